"""The figure of a search: for the page and for print."""

from collections.abc import Sequence
from math import isfinite

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.plates import Key, Plate
from tsfm_probe.report.prune_steps import Search, Tried, read

COLOURS = {"MASE": palette.CURVES[0], "WQL": palette.CURVES[1]}
WIDTHS = {"MASE": 2.6, "WQL": 1.4}
SYMBOLS, SIGNS = {"MASE": "circle", "WQL": "diamond"}, {"MASE": "o", "WQL": "D"}
REFUSED = palette.NOISE_BAND
ACROSS, UP = "Trial", "Rise of the errors together, %"


def plate(steps: pd.DataFrame) -> Plate:
    """The figure; steps: budget, unit, kind, taken, MASE, WQL in percent, cut."""
    one = read(steps)
    beyond = f" Triangles at the upper edge lie beyond it ({len(one.beyond)})." * bool(one.beyond)
    return Plate(
        name="search",
        title="The search, trial by trial",
        caption="Parts are tried one after the other on top of all that went before. Lines: the "
        "errors without everything taken out so far, in percent of the untouched model, where it "
        "was searched. Crosses: what was refused, at the larger rise of both errors. Dashed: the "
        f"budget, the most that either may rise; its value stands above.{beyond}",
        alternative=f"Step lines of MASE and WQL over {one.trials} trials, of which "
        f"{len(one.taken)} were taken out",
        keys=(
            *(Key("━", colour, f"{metric}, taken out") for metric, colour in COLOURS.items()),
            Key("×", REFUSED, "refused"),
            Key("┅", palette.THRESHOLD, "budget"),
        ),
        panels=(_chart(one),),
        below=None,
        print=_print(one),
    )


def _chart(one: Search) -> go.Figure:
    traces = [_crosses(one), *(_line(one, metric) for metric in one.lines)]
    figure = canvas.empty(traces, 390, top=40)
    figure.update_xaxes(
        title=canvas.axis_title(ACROSS), range=[0, one.trials + 1], showgrid=False, nticks=10
    )
    figure.update_yaxes(title=canvas.axis_title(UP), range=[one.lowest, one.highest], nticks=8)
    figure.add_hline(0, line={"color": palette.QUIET, "width": 1.4}, layer="below")
    for budget in one.budgets:
        text = ("budget " if budget is one.budgets[0] else "") + budget.name
        figure.add_annotation(
            x=budget.place, y=1, yref="paper", yanchor="bottom", yshift=6, showarrow=False,
            text=canvas.shown(text), font={"size": 12},
        )  # fmt: skip
        if budget.first > 1:
            line = {"color": palette.GRID, "width": 1.2}
            figure.add_vline(budget.first - 0.5, line=line, layer="below")
        if isfinite(budget.allowed):
            ends = {"x0": budget.first - 0.5, "x1": budget.last + 0.5}
            line = {"color": palette.THRESHOLD, "dash": "dash", "width": 1.5}
            figure.add_shape(type="line", **ends, y0=budget.allowed, y1=budget.allowed, line=line)
    return figure


def _crosses(one: Search) -> go.Scatter:
    beyond = set(one.beyond)
    return go.Scatter(
        x=[tried.number for tried in one.refused],
        y=[one.held(tried.rise) for tried in one.refused],
        mode="markers",
        marker={
            "symbol": ["triangle-up" if tried in beyond else "x-thin" for tried in one.refused],
            "size": 6,
            "color": REFUSED,
            "line": {"width": 1.4, "color": REFUSED},
        },
        hovertext=_hovers(one.refused),
        hoverinfo="text",
        cliponaxis=False,
    )


def _line(one: Search, metric: str) -> go.Scatter:
    x, y = _path(one, metric)
    found = canvas.line(metric, np.array(x), np.array(y), COLOURS[metric], WIDTHS[metric])
    sizes = [0, *(5 for _ in one.taken), 0]
    found.update(
        mode="lines+markers",
        line_shape="hv",
        marker={"size": sizes, "symbol": SYMBOLS[metric]},
        hovertext=["", *_hovers(one.taken), ""],
        hoverinfo="text",
        hovertemplate=["", *("%{hovertext}<extra></extra>" for _ in one.taken), ""],
    )
    return found


def _path(one: Search, metric: str) -> tuple[list[float], list[float]]:
    """A line from nothing cut to the end of the search."""
    values = [0.0, *map(one.held, one.lines[metric])]
    return [0.0, *(float(tried.number) for tried in one.taken), one.trials + 0.5], [
        *values,
        values[-1],
    ]


def _hovers(found: Sequence[Tried]) -> list[str]:
    return ["<br>".join(map(canvas.shown, one.label)) for one in found]


@mpl.rc_context(easel.STYLE)
def _print(one: Search) -> Figure:
    figure = easel.blank(3.4)
    axes = figure.subplots()
    axes.axhline(0, color=easel.QUIET, linewidth=0.9)
    beyond = set(one.beyond)
    for tried in one.refused:
        sign = "^" if tried in beyond else "x"
        style = {"color": REFUSED, "ms": 3, "mew": 0.8, "clip_on": False}
        axes.plot(tried.number, one.held(tried.rise), sign, **style)
    for metric, colour in COLOURS.items():
        x, y = _path(one, metric)
        axes.step(x, y, where="post", color=colour, linewidth=0.6 * WIDTHS[metric])
        axes.plot(x[1:-1], y[1:-1], SIGNS[metric], color=colour, ms=2.6)
    _budgets(axes, one)
    axes.set_xlim(0, one.trials + 1)
    axes.set_ylim(one.lowest, one.highest)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(axis="y")
    axes.set_xlabel(ACROSS)
    axes.set_ylabel(UP)
    signs = [Line2D([], [], color=colour, label=f"{m}, taken out") for m, colour in COLOURS.items()]
    signs.append(Line2D([], [], linestyle="none", marker="x", ms=4, color=REFUSED, label="refused"))
    dashed = {"color": palette.THRESHOLD, "linestyle": "--", "linewidth": 1}
    easel.draw_legend(figure, [*signs, Line2D([], [], **dashed, label="budget")], 4)
    return figure


def _budgets(axes: Axes, one: Search) -> None:
    for budget in one.budgets:
        text = ("budget " if budget is one.budgets[0] else "") + budget.name
        axes.annotate(
            text, (budget.place, 1), xycoords=("data", "axes fraction"), xytext=(0, 5),
            textcoords="offset points", ha="center", fontsize=7,
        )  # fmt: skip
        if budget.first > 1:
            axes.axvline(budget.first - 0.5, color=easel.LINES, linewidth=0.8)
        if isfinite(budget.allowed):
            ends, height = (budget.first - 0.5, budget.last + 0.5), (budget.allowed,) * 2
            axes.plot(ends, height, color=palette.THRESHOLD, linestyle="--", linewidth=1)
