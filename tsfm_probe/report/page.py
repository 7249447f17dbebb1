"""The page of a run: one self-contained HTML file, and its figures as PNG and SVG."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tsfm_probe.durable import write_atomically
from tsfm_probe.report import easel
from tsfm_probe.report.effects import read, threshold
from tsfm_probe.report.forecasts import windows
from tsfm_probe.report.plates import Plate, effect_plates, forecast_plate
from tsfm_probe.report.trials import trials
from tsfm_probe.table import Table

TITLE_FIELDS = ("model", "data")
# Letters that would end the script element, or that only newer engines take inside a string.
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def write(
    folder: Path,
    table: Table,
    answer: pd.DataFrame,
    summary: Sequence[str],
    forecasts: pd.DataFrame,
) -> Path:
    """Write `report.html` and the folder `figures` and return the path of the page.

    answer: one row per (kind, trial, metric) with ratio, low, high, q_redundant, q_harmful,
    verdict, mean, series, windows and excluded.
    summary: the answer in plain sentences.
    forecasts: one row per (trial, series, window, role, step, level) with time and value.
    DataError if the answer holds no metric that can be drawn.
    """
    metrics = read(answer, table.about)
    plates = {effects.metric: effect_plates(effects) for effects in metrics}
    drawn = forecast_plate(windows(forecasts, metrics[0]))
    every = [plate for found in plates.values() for plate in found] + ([drawn] if drawn else [])
    pictures = folder / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    for plate in every:
        for form, data in easel.encoded(plate.print).items():
            write_atomically(pictures / f"{plate.name}.{form}", data)
    html = _template().render(
        about=dict(table.about),
        title=" on ".join(table.about.get(field, f"unnamed {field}") for field in TITLE_FIELDS),
        summary=summary,
        plates=plates,
        forecasts=drawn,
        trials=trials(answer, tuple(plates)),
        threshold=threshold(table.about),
        figures=_inlined(every),
        plotly=Markup(get_plotlyjs()),
    )
    path = folder / "report.html"
    write_atomically(path, html.encode("utf-8"))
    return path


def _template() -> Template:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return found.get_template("page.html.j2")


def _inlined(plates: Sequence[Plate]) -> Markup:
    """All charts by the id of their place, as JSON that is safe inside a script element."""
    charts: dict[str, go.Figure] = {}
    for plate in plates:
        charts |= {f"{plate.name}-{at}": chart for at, chart in enumerate(plate.panels, start=1)}
        if plate.below is not None:
            charts[f"{plate.name}-below"] = plate.below
    text = ",".join(f"{json.dumps(name)}:{chart.to_json()}" for name, chart in charts.items())
    return Markup(f"{{{text}}}".translate(str.maketrans(UNSAFE)))
