"""Curves with the bands of their intervals, in panels of one kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsfm_probe.report import canvas, easel, palette

ACROSS = 3


@dataclass(frozen=True, eq=False)
class Curve:
    """Values along an axis: x, y, low and high are [point], low and high NaN for no interval.

    colour, print: for the page and for print. shaded: whether its band is drawn.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    colour: str
    print: str
    dashed: bool = False
    shaded: bool = True

    @property
    def banded(self) -> bool:
        """Whether its interval is drawn."""
        return self.shaded and bool(np.isfinite(self.low).any())


@dataclass(frozen=True, eq=False)
class Lines:
    """A panel of curves. ticks: places and names on the horizontal axis, none to leave it."""

    title: str
    across: str
    up: str
    curves: tuple[Curve, ...]
    ticks: tuple[tuple[float, str], ...] = ()

    @property
    def dotted(self) -> bool:
        """Whether points are few enough to be marked."""
        return len(self.curves[0].x) <= 12


def chart(panel: Lines, height: int = 260) -> go.Figure:
    """A panel of the page."""
    traces = [trace for curve in panel.curves if curve.banded for trace in _band(curve)]
    for curve in panel.curves:
        line = canvas.line(curve.name, curve.x, curve.y, curve.colour, 2)
        line.update(
            mode="lines+markers" if panel.dotted else "lines",
            line_dash="dash" if curve.dashed else "solid",
            hovertext=[
                f"{canvas.shown(curve.name)}, {canvas.shown(panel.across.lower())} {x:g}: "
                f"{y:+.3f}" + ("" if np.isnan(low) else f" ({low:+.3f} to {high:+.3f})")
                for x, y, low, high in zip(curve.x, curve.y, curve.low, curve.high, strict=True)
            ],
            hoverinfo="text",
            cliponaxis=False,
        )
        traces.append(line)
    figure = canvas.empty(traces, height, top=32)
    figure.update_layout(title=canvas.title(panel.title))
    figure.update_xaxes(title=canvas.axis_title(panel.across), showgrid=False, nticks=7)
    if panel.ticks:
        places, names = zip(*panel.ticks, strict=True)
        figure.update_xaxes(tickvals=list(places), ticktext=list(names))
    figure.update_yaxes(title=canvas.axis_title(panel.up), zeroline=True, nticks=6)
    return figure


def _band(curve: Curve) -> list[go.Scatter]:
    bottom = canvas.line("", curve.x, curve.low, curve.colour, 0)
    top = canvas.line("", curve.x, curve.high, curve.colour, 0)
    top.update(fill="tonexty", fillcolor=palette.faded(curve.colour))
    for one in (bottom, top):
        one.update(hoverinfo="skip")
    return [bottom, top]


@mpl.rc_context(easel.STYLE)
def printed(panels: Sequence[Lines]) -> Figure:
    """All panels as small multiples with one legend."""
    across = min(ACROSS, len(panels))
    down = ceil(len(panels) / across)
    figure = easel.blank(0.35 + (2.7 if across == 1 else 1.9) * down)
    found = figure.subplots(down, across, squeeze=False).ravel()
    for axes, panel in zip(found, panels, strict=False):
        _panel(axes, panel)
    for axes in found[len(panels) :]:
        axes.set_axis_off()
    named = {curve.name: curve for panel in panels for curve in panel.curves}
    signs = [
        Line2D([], [], color=one.print, linestyle="--" if one.dashed else "-", label=name)
        for name, one in named.items()
    ]
    easel.draw_legend(figure, signs, len(signs))
    return figure


def _panel(axes: Axes, panel: Lines) -> None:
    axes.axhline(0, color=easel.QUIET, linewidth=0.8)
    for curve in panel.curves:
        if curve.banded:
            axes.fill_between(
                curve.x, curve.low, curve.high, color=curve.print, alpha=0.2, linewidth=0
            )
        style = ("--" if curve.dashed else "-") + ("o" if panel.dotted else "")
        axes.plot(curve.x, curve.y, style, color=curve.print, linewidth=1.2, markersize=3.5)
    if panel.ticks:
        axes.set_xticks(*map(list, zip(*panel.ticks, strict=True)))
    axes.grid(axis="y")
    axes.set_title(easel.shown(panel.title))
    axes.set_xlabel(panel.across)
    axes.set_ylabel(panel.up)
