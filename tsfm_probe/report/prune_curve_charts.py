"""The figure of what every budget saves: for the page and for print."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.plates import Key, Plate
from tsfm_probe.report.prune_curve import SAVED, Panel, panel

UNSEEN = palette.CURVES[0]
SEARCHED = palette.NOISE_BAND


def plate(curve: pd.DataFrame, removed: Sequence[str], metric: str) -> Plate:
    """The figure of one metric; curve: one row per budget, removed: what was cut in the end."""
    panels = tuple(panel(curve, removed, metric, saved) for saved in SAVED)
    names = ", ".join(point.name for point in panels[0].points)
    return Plate(
        name=f"curve-{metric.lower()}",
        title=f"What each budget saves, and what it does to {metric}",
        caption="Each point is the cut of one budget, by which the errors might rise in the "
        f"search. Filled: {metric} on windows that the search never saw, with 95\u00a0% intervals "
        "over series, and over repeats for the time. Hollow: the estimate of the search, on "
        "the windows it chose by. The untouched network is at 100\u00a0% and a change of 0.",
        alternative=f"Two dot plots of {metric} by what is left of time and of parameters, for "
        f"the budgets {names}",
        keys=(
            Key("●", UNSEEN, "on unseen windows"),
            Key("○", SEARCHED, "where it was searched"),
            Key("◯", "var(--ink)", "the cut that was made"),
        ),
        panels=tuple(chart(one) for one in panels),
        below=None,
        print=printed(panels),
    )


def chart(one: Panel, height: int = 400) -> go.Figure:
    """A panel of the page."""
    hovers = ["<br>".join(map(canvas.shown, point.label)) for point in one.points]
    shared = {"x": [p.x for p in one.points], "hovertext": hovers, "hoverinfo": "text"}
    traces = [
        _leaders(one),
        go.Scatter(
            **shared,
            y=[p.searched for p in one.points],
            mode="markers",
            marker={"symbol": "circle-open", "size": 8, "color": SEARCHED, "line": {"width": 1.6}},
        ),
        go.Scatter(
            **shared,
            y=[p.y for p in one.points],
            mode="markers",
            marker={"color": UNSEEN, "size": 9},
            error_x=_whiskers([(p.x, *p.x_span) for p in one.points]),
            error_y=_whiskers([(p.y, *p.y_span) for p in one.points]),
        ),
        _rings(one),
        _names(one),
    ]
    figure = canvas.empty(traces, height, top=12)
    figure.update_xaxes(title=canvas.axis_title(one.across), range=list(one.x_ends), nticks=8)
    figure.update_yaxes(title=canvas.axis_title(one.up), range=list(one.y_ends), nticks=8)
    figure.add_hline(0, line={"color": palette.QUIET, "width": 1.4}, layer="below")
    return figure


def _leaders(one: Panel) -> go.Scatter:
    """Lines from the labels to the upper ends of the intervals."""
    x, y = [], []
    for point, place in zip(one.points, one.places, strict=True):
        x += [place, point.x, None]
        y += [one.top, max(point.y_span[1], point.searched), None]
    line = {"color": palette.GRID, "width": 1.2}
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip")


def _rings(one: Panel) -> go.Scatter:
    """A ring around the cut that was made."""
    made = [point for point in one.points if point.made]
    return go.Scatter(
        x=[point.x for point in made],
        y=[point.y for point in made],
        mode="markers",
        marker={"symbol": "circle-open", "size": 19, "color": palette.INK, "line": {"width": 2}},
        hoverinfo="skip",
    )


def _names(one: Panel) -> go.Scatter:
    return go.Scatter(
        x=one.places,
        y=[one.top] * len(one.places),
        mode="text",
        text=[
            f"<b>{canvas.shown(p.name)}</b>" if p.made else canvas.shown(p.name) for p in one.points
        ],
        textposition="top center",
        textfont={"size": 12},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _whiskers(found: Sequence[tuple[float, float, float]]) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - at for at, _, high in found],
        "arrayminus": [at - low for at, low, _ in found],
        "thickness": 1.4,
        "width": 0,
        "color": UNSEEN,
    }


@mpl.rc_context(easel.STYLE)
def printed(panels: Sequence[Panel]) -> Figure:
    """All panels side by side."""
    figure = easel.blank(3.4)
    found = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, one in zip(found, panels, strict=True):
        _panel(axes, one)
    found[0].set_ylabel(panels[0].up)
    signs = [
        Line2D([], [], ls="none", marker="o", ms=4.5, color=UNSEEN, label="on unseen windows"),
        Line2D(
            [],
            [],
            ls="none",
            marker="o",
            ms=4.5,
            mfc="none",
            mec=SEARCHED,
            label="where it was searched",
        ),
        Line2D(
            [],
            [],
            ls="none",
            marker="o",
            ms=8,
            mfc="none",
            mec=easel.INK,
            label="the cut that was made",
        ),
    ]
    easel.draw_legend(figure, signs, len(signs))
    return figure


def _panel(axes: Axes, one: Panel) -> None:
    axes.axhline(0, color=easel.QUIET, linewidth=0.9)
    for point, place in zip(one.points, one.places, strict=True):
        highest = max(point.y_span[1], point.searched)
        axes.plot((place, point.x), (one.top, highest), color=easel.LINES, linewidth=0.8)
        axes.plot(point.x, point.searched, "o", ms=4, mfc="none", mec=SEARCHED)
        axes.plot((point.x, point.x), point.y_span, color=UNSEEN, linewidth=1)
        axes.plot(point.x_span, (point.y, point.y), color=UNSEEN, linewidth=1)
        axes.plot(point.x, point.y, "o", ms=4.5, color=UNSEEN)
        if point.made:
            axes.plot(point.x, point.y, "o", ms=9.5, mfc="none", mec=easel.INK)
        weight = "bold" if point.made else "normal"
        axes.text(place, one.top, point.name, ha="center", va="bottom", fontsize=7, weight=weight)
    axes.grid(axis="y")
    axes.set_xlim(*one.x_ends)
    axes.set_ylim(*one.y_ends)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.set_xlabel(one.across)
