"""What all pages are made of: templates, figures as files, figures as data inside the page."""

import json
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from tsfm_probe.durable import write_atomically
from tsfm_probe.report import easel
from tsfm_probe.report.plates import Plate

# Letters that would end the script element, or that only newer engines take inside a string.
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def draw(folder: Path, plates: Sequence[Plate]) -> None:
    """Write the pictures of all plates to the folder `figures` of a run."""
    pictures = folder / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    for plate in plates:
        for form, data in easel.encoded(plate.print).items():
            write_atomically(pictures / f"{plate.name}.{form}", data)


def template(name: str) -> Template:
    """A template of this folder; what it is given is escaped, what it lacks is an error."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return found.get_template(name)


def inlined(plates: Sequence[Plate]) -> Markup:
    """All charts by the id of their place, as JSON that is safe inside a script element."""
    charts: dict[str, go.Figure] = {}
    for plate in plates:
        charts |= {f"{plate.name}-{at}": chart for at, chart in enumerate(plate.panels, start=1)}
        if plate.below is not None:
            charts[f"{plate.name}-below"] = plate.below
    text = ",".join(f"{json.dumps(name)}:{chart.to_json()}" for name, chart in charts.items())
    return Markup(f"{{{text}}}".translate(str.maketrans(UNSAFE)))
