"""What all printed figures have in common: their look, their legend, their bytes."""

from collections.abc import Sequence
from io import BytesIO
from math import isnan
from typing import Any
from unicodedata import category
from warnings import catch_warnings, filterwarnings

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tsfm_probe.report import palette
from tsfm_probe.report.effects import Effects
from tsfm_probe.report.ranking import Ranking

FORMS: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}}
WIDTH = 7.2  # inches
INK, QUIET, LINES = "#111111", "#5f6368", "#dee1e6"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "grid.color": LINES,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "path",
    "svg.hashsalt": "tsfm-probe",
    "savefig.facecolor": "white",
}


def blank(height: float) -> Figure:
    """An empty figure of the common width; height in inches."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def shown(text: str) -> str:
    """Text that every picture format can hold: control characters are replaced."""
    return "".join("\ufffd" if category(letter)[0] == "C" else letter for letter in text)


@mpl.rc_context(STYLE)
def encoded(figure: Figure) -> dict[str, bytes]:
    """The figure as the bytes of each form in FORMS, the same each time."""
    found = {}
    with catch_warnings():
        # A name may have letters that the font lacks: the picture shows a box, the page the name.
        filterwarnings("ignore", message="Glyph .* missing from font")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, for both forms
        for form, metadata in FORMS.items():
            with BytesIO() as file:
                figure.savefig(file, format=form, dpi=200, metadata=metadata)
                found[form] = file.getvalue()
    return found


def draw_limits(axes: Axes, effects: Effects, axis: Ranking | None, vertical: bool) -> None:
    """Draw the noise band (where an axis is given) and the threshold line."""
    if effects.noise is not None and axis is not None:
        low, high = (axis.held(end) for end in effects.noise)
        shade = axes.axvspan if vertical else axes.axhspan
        shade(low, high, color=palette.NOISE_BAND, alpha=0.22, linewidth=0, zorder=0.5)
    if not isnan(effects.threshold):
        rule = axes.axvline if vertical else axes.axhline
        rule(effects.threshold, color=palette.THRESHOLD, linestyle="--", linewidth=1)


def draw_legend(figure: Figure, handles: Sequence[Artist], columns: int) -> None:
    """Put a legend below everything else."""
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns)


def sign(name: str, mark: palette.Mark) -> Line2D:
    """The legend entry of a mark."""
    face = mark.colour if mark.filled else "white"
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=mark.sign,
        markersize=5,
        markeredgecolor=mark.colour,
        markerfacecolor=face,
        label=name,
    )


def limit_signs(effects: Effects, banded: bool) -> list[Artist]:
    """The legend entries of the threshold line and of the noise band."""
    found: list[Artist] = []
    if not isnan(effects.threshold):
        name = f"limit {effects.threshold:g} %"
        found.append(
            Line2D([], [], color=palette.THRESHOLD, linestyle="--", linewidth=1, label=name)
        )
    if banded and effects.noise is not None:
        found.append(Patch(color=palette.NOISE_BAND, alpha=0.22, label="noise band"))
    return found
