"""The page of a run: one self-contained HTML file, and its figures as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tsfm_probe.durable import write_atomically
from tsfm_probe.report.effects import read, threshold
from tsfm_probe.report.forecasts import windows
from tsfm_probe.report.plates import effect_plates, forecast_plate
from tsfm_probe.report.section import Section
from tsfm_probe.report.sheet import draw, inlined, template
from tsfm_probe.report.trials import trials
from tsfm_probe.table import Table

TITLE_FIELDS = ("model", "data")
ALONG_ORDERS = ("order", "random order")  # a section of their own draws them


def write(
    folder: Path,
    table: Table,
    answer: pd.DataFrame,
    summary: Sequence[str],
    forecasts: pd.DataFrame,
    sections: Sequence[Section] = (),
) -> Path:
    """Write `report.html` and the folder `figures` and return the path of the page.

    answer: one row per (kind, trial, metric) with ratio, low, high, q_redundant, q_harmful,
    verdict, mean, series, windows and excluded.
    summary: the answer in plain sentences.
    forecasts: one row per (trial, series, window, role, step, level) with time and value.
    sections: what else there is to show, ahead of the single trials.
    DataError if the answer holds no metric that can be drawn.
    """
    metrics = read(answer.loc[~answer["kind"].isin(ALONG_ORDERS)], table.about)
    plates = {effects.metric: effect_plates(effects) for effects in metrics}
    drawn = forecast_plate(windows(forecasts, metrics[0]))
    every = [plate for section in sections for plate in section.every]
    every += [plate for found in plates.values() for plate in found] + ([drawn] if drawn else [])
    draw(folder, every)
    html = template("page.html.j2").render(
        about=dict(table.about),
        title=" on ".join(table.about.get(field, f"unnamed {field}") for field in TITLE_FIELDS),
        summary=summary,
        sections=sections,
        plates=plates,
        drawn=any(plates.values()),
        forecasts=drawn,
        trials=trials(answer, tuple(plates)),
        threshold=threshold(table.about),
        figures=inlined(every),
        plotly=Markup(get_plotlyjs()),
    )
    path = folder / "report.html"
    write_atomically(path, html.encode("utf-8"))
    return path
