"""Numbers with their intervals in rows, a few to a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import matplotlib as mpl
import plotly.graph_objects as go
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.diagnosis_people import Look

SPREAD = 0.64
"""The share of a row's height over which its dots are spread."""


@dataclass(frozen=True)
class Dot:
    """A number with the ends of its interval (NaN for none), and what its label says."""

    value: float
    low: float
    high: float
    look: Look
    label: str

    @property
    def span(self) -> tuple[float, float]:
        """The ends, the number itself where there are none."""
        return (self.value, self.value) if isnan(self.low) else (self.low, self.high)


@dataclass(frozen=True)
class Rows:
    """A panel: rows from the top down, each with a name and its dots.

    rule: where a vertical line is drawn. band: ends of what is shaded, None for nothing. ends: of
    the axis.
    """

    title: str
    across: str
    rows: tuple[tuple[str, tuple[Dot, ...]], ...]
    rule: float
    ends: tuple[float, float]
    band: tuple[float, float] | None = None

    @property
    def placed(self) -> list[tuple[float, Dot]]:
        """Every dot that has a number, with its height."""
        found = []
        for row, (_, dots) in enumerate(self.rows):
            for place, dot in enumerate(dots):
                offset = (place - (len(dots) - 1) / 2) * SPREAD / max(1, len(dots) - 1)
                if not isnan(dot.value):
                    found.append((row + offset, dot))
        return found


def ends(dots: Sequence[Dot], least: tuple[float, float]) -> tuple[float, float]:
    """Ends of an axis that holds all dots with their intervals, and what `least` spans."""
    known = [one.span for one in dots if not isnan(one.value)]
    low = min([least[0], *(one for one, _ in known)])
    high = max([least[1], *(one for _, one in known)])
    pad = 0.04 * (high - low)
    return low - pad, high + pad


def chart(panel: Rows, row: float = 46) -> go.Figure:
    """A panel of the page; row: height of one in pixels."""
    looks = dict.fromkeys(dot.look for _, dot in panel.placed)
    traces = [_trace(panel, look) for look in looks]
    count = len(panel.rows)
    figure = canvas.empty(traces, round(86 + row * count), top=32)
    figure.update_layout(title=canvas.title(panel.title))
    figure.update_xaxes(title=canvas.axis_title(panel.across), range=list(panel.ends), nticks=8)
    figure.update_yaxes(
        range=[count - 0.45, -0.55],
        tickvals=list(range(count)),
        ticktext=[canvas.shown(name) for name, _ in panel.rows],
        showgrid=False,
    )
    figure.add_vline(panel.rule, line={"color": palette.QUIET, "width": 1.2})
    for place in range(1, count):
        figure.add_hline(place - 0.5, line={"color": palette.GRID, "width": 1})
    if panel.band is not None:
        shade = {"fillcolor": palette.NOISE_BAND, "opacity": 0.22, "line_width": 0}
        figure.add_vrect(*panel.band, **shade, layer="below")
    return figure


def _trace(panel: Rows, look: Look) -> go.Scatter:
    """The dots of one look."""
    pairs = [(height, dot) for height, dot in panel.placed if dot.look == look]
    return go.Scatter(
        x=[dot.value for _, dot in pairs],
        y=[height for height, _ in pairs],
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": 8},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [dot.span[1] - dot.value for _, dot in pairs],
            "arrayminus": [dot.value - dot.span[0] for _, dot in pairs],
            "thickness": 1.6,
            "width": 0,
            "color": look.colour,
        },
        hovertext=[canvas.shown(dot.label).replace("\n", "<br>") for _, dot in pairs],
        hoverinfo="text",
        cliponaxis=False,
    )


@mpl.rc_context(easel.STYLE)
def printed(panels: Sequence[Rows], signs: Sequence[Artist], row: float = 0.34) -> Figure:
    """All panels side by side; row: height of one in inches."""
    figure = easel.blank(1.0 + row * max(len(one.rows) for one in panels))
    widths = [max(1.0, 0.45 * len(panels))] * len(panels)
    found = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
    for axes, panel in zip(found, panels, strict=True):
        _panel(axes, panel)
    easel.draw_legend(figure, signs, max(1, len(signs)))
    return figure


def _panel(axes: Axes, panel: Rows) -> None:
    if panel.band is not None:
        axes.axvspan(*panel.band, color=palette.NOISE_BAND, alpha=0.22, linewidth=0, zorder=0.5)
    axes.axvline(panel.rule, color=easel.QUIET, linewidth=0.9)
    for height, dot in panel.placed:
        axes.plot(dot.span, (height, height), color=dot.look.print, linewidth=1.1)
        axes.plot(dot.value, height, dot.look.sign, color=dot.look.print, markersize=4)
    count = len(panel.rows)
    axes.set_ylim(count - 0.45, -0.55)
    axes.set_yticks(range(count), [easel.shown(name) for name, _ in panel.rows])
    axes.tick_params(axis="y", length=0, labelsize=7)
    for place in range(1, count):
        axes.axhline(place - 0.5, color=easel.LINES, linewidth=0.6)
    axes.set_xlim(*panel.ends)
    axes.grid(axis="x")
    axes.set_title(easel.shown(panel.title))
    axes.set_xlabel(panel.across)
