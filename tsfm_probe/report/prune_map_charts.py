"""The figure of the map of a network: for the page and for print."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsfm_probe.report import canvas, easel, palette, score_charts
from tsfm_probe.report.plates import Key, Plate
from tsfm_probe.report.prune_map import Stack, limit, stacks
from tsfm_probe.report.scores import Scores

SHADES = LinearSegmentedColormap.from_list("rise", palette.DIVERGING)
# Dark, as the cells are light in both schemes of the page, with a core that a dark page shows.
STRUCK = (("#141414", 5.5), (palette.INK, 1.8))
SCALE = "Larger change of MASE and WQL without it alone, %"


def plate(alone: pd.DataFrame, removed: Sequence[str]) -> Plate:
    """The figure; alone: unit, kind, MASE, WQL in percent. removed: what was cut."""
    found, end = stacks(alone, removed), limit(alone)
    thin = ""
    if {"part", "head"} <= set(alone["kind"]):
        thin = " The thin bar above the heads is their whole attention."
    return Plate(
        name="map",
        title="The network, and what was cut from it",
        caption="Each row is a layer, from the first at the top; heads stand from left to right "
        f"from number 0.{thin} Shades: what cutting it alone does to the errors where it was "
        "searched, the larger change of MASE and WQL in percent of the untouched model: red is "
        f"worse, blue is better; beyond ±{end:g}\u00a0% they stay the same. Struck out: cut.",
        alternative=f"{len(found)} maps of layers ({', '.join(one.title for one in found)}), on "
        f"which {sum(len(one.struck) for one in found)} layers, parts and heads are struck out",
        keys=(
            Key("━", "var(--ink)", "struck out: cut"),
            Key("■", palette.DIVERGING[-1], "worse without it"),
            Key("■", palette.DIVERGING[0], "better without it"),
        ),
        panels=tuple(_chart(one, end) for one in found),
        below=_scale(end),
        print=_print(found, end),
    )


def _chart(one: Stack, end: float) -> go.Figure:
    across, down = one.edges
    labels = np.full((len(down) - 1, len(across) - 1), "", dtype=object)
    for cell, rows, columns in one.painted():
        labels[rows, columns] = "<br>".join(map(canvas.shown, cell.label))
    trace = go.Heatmap(
        z=[[None if np.isnan(cell) else cell for cell in row] for row in one.shades],
        x=across,
        y=down,
        zmin=-end,
        zmax=end,
        colorscale=canvas.shades(palette.DIVERGING),
        showscale=False,
        hovertext=labels.tolist(),
        hoverinfo="text",
        hoverongaps=False,
    )
    figure = canvas.empty(
        [trace, *(_lines(one, *look) for look in STRUCK)], 96 + 34 * len(one.rows), top=54
    )
    figure.update_layout(title=canvas.title(one.title))
    names, places = zip(*one.columns, strict=True)
    figure.update_xaxes(
        side="top", tickvals=places, ticktext=list(map(canvas.shown, names)), showgrid=False
    )
    figure.update_xaxes(range=[across[0], across[-1]])
    layers, heights = zip(*one.rows, strict=True)
    figure.update_yaxes(title=canvas.axis_title("Layer"), tickvals=heights, ticktext=layers)
    figure.update_yaxes(range=[down[-1], down[0]], showgrid=False)
    return figure


def _scale(end: float) -> go.Figure:
    figure = score_charts.scale(Scores(SCALE, (), -end, end, True, ""))
    return figure.update_layout(margin={"b": 52}, height=92)


def _lines(one: Stack, colour: str, width: float) -> go.Scatter:
    x, y = [], []
    for left, right, height in one.struck:
        x += [left, right, None]
        y += [height, height, None]
    line = {"color": colour, "width": width}
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", cliponaxis=False)


@mpl.rc_context(easel.STYLE)
def _print(found: Sequence[Stack], end: float) -> Figure:
    height = 0.6 + 0.24 * max(len(one.rows) for one in found)
    figure = easel.blank(height + 0.85)
    widths = [one.edges[0][-1] for one in found]
    places = figure.add_gridspec(2, len(found), height_ratios=(height, 0.3), width_ratios=widths)
    for place, one in enumerate(found):
        _map(figure.add_subplot(places[0, place]), one, end)
    figure.axes[0].set_ylabel("Layer")
    axes = figure.add_subplot(places[1, :])
    steps = np.linspace(-end, end, 201)[None, :]
    axes.imshow(steps, cmap=SHADES, aspect="auto", extent=(-end, end, 0.4, -0.4))
    axes.set_yticks([])
    axes.set_xlabel(SCALE)
    sign = Line2D([], [], color=easel.INK, linewidth=1.8, label="struck out: cut")
    easel.draw_legend(figure, [sign], 1)
    return figure


def _map(axes: Axes, one: Stack, end: float) -> None:
    axes.pcolormesh(*one.edges, one.shades, cmap=SHADES, vmin=-end, vmax=end)
    for left, right, height in one.struck:
        axes.hlines(height, left, right, color=easel.INK, linewidth=1.8)
    across, down = one.edges
    axes.set_xlim(across[0], across[-1])
    axes.set_ylim(down[-1], down[0])
    axes.xaxis.tick_top()
    names, places = zip(*one.columns, strict=True)
    axes.set_xticks(places, [easel.shown(name) for name in names])
    layers, heights = zip(*one.rows, strict=True)
    axes.set_yticks(heights, layers)
    axes.tick_params(length=0, labelsize=7)
    axes.spines[:].set_visible(False)
    axes.set_title(easel.shown(one.title))
