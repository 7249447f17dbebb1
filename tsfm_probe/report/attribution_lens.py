"""What every layer would forecast of a window: quantile fans, or the chances of bins of values."""

from collections.abc import Mapping
from math import ceil

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.attribution_views import View, layer_title, views
from tsfm_probe.report.plates import Key, Plate

FAN, TRUTH = palette.CURVES[0], palette.CURVES[2]
SHADES = LinearSegmentedColormap.from_list("chance", palette.SEQUENTIAL)
ACROSS = 3


def plates(frames: Mapping[str, pd.DataFrame], titles: Mapping[int, str]) -> dict[str, Plate]:
    """A figure for each example, by the title of its window.

    frames: "forecasts", "bins" and "series". titles: of windows, by case.
    """
    found = views(frames["forecasts"], frames["bins"], frames["series"])
    return {
        titles.get(one.case, f"window {one.case}"): _plate(one, number, titles)
        for number, one in enumerate(found, 1)
    }


def _plate(one: View, number: int, titles: Mapping[int, str]) -> Plate:
    name = titles.get(one.case, f"window {one.case}")
    some = "" if one.all_layers else f" {len(one.layers)} layers are drawn, evenly chosen."
    if one.grids:
        title = "Where each layer sees the values"
        what = (
            f"Chances of values by step: the darkest colour is {100 * one.top:.3g}\u00a0% or more."
        )
        keys = (Key("■", palette.SEQUENTIAL[-2], "chance"), Key("━", FAN, "median of the layer"))
    else:
        title = "What each layer would forecast"
        what = "The bands reach from the 10 % to the 90 % and from the 30 % to the 70 % quantile."
        keys = (Key("━", FAN, "median of the layer"),)
    return Plate(
        name=f"lens-{number}",
        title=title,
        caption=f"{name}: the final norm and the readout applied to the stream after each layer. "
        f"{what}{some} All panels have the range of the last layer and the truth; what lies beyond "
        "is not drawn.",
        alternative=f"{len(one.layers)} small charts, one for each layer, of {name}",
        keys=(*keys, Key("━", TRUTH, "truth"), Key("━", "var(--quiet)", "context")),
        panels=tuple(_chart(one, place) for place in range(len(one.layers))),
        below=None,
        print=_print(one),
    )


def _chart(one: View, place: int) -> go.Figure:
    traces: list[go.Heatmap | go.Scatter] = []
    fan = one.fans[place]
    steps = np.arange(1, len(fan) + 1)
    if one.grids:
        traces.append(_heat(one, one.grids[place], steps))
    else:
        traces += _bands(fan, steps)
    traces.append(canvas.line("context", *one.context, palette.QUIET, 1.2))
    traces.append(canvas.line("median", steps, fan[:, 4], FAN, 1.8))
    traces.append(canvas.line("truth", *one.truth, TRUTH, 1.8))
    for trace in traces[-3:]:
        trace.update(hovertemplate="step %{x}: %{y:.5~g}")
    figure = canvas.empty(traces, 230, top=32)
    figure.update_layout(title=canvas.title(layer_title(one.layers[place])))
    figure.update_yaxes(range=list(one.span), nticks=5, tickformat="~g")
    figure.update_xaxes(title=canvas.axis_title("Step"), showgrid=False, nticks=6)
    return figure


def _heat(one: View, grid: np.ndarray, steps: np.ndarray) -> go.Heatmap:
    centres = (one.edges[:-1] + one.edges[1:]) / 2
    labels = [
        [
            f"step {step}<br>{low:.5g} to {high:.5g}: {100 * chance:.3g} %"
            for step, chance in zip(steps, row, strict=True)
        ]
        for low, high, row in zip(one.edges[:-1], one.edges[1:], grid, strict=True)
    ]
    return go.Heatmap(
        z=[[None if chance == 0 else chance for chance in row] for row in grid],
        x=steps,
        y=centres,
        zmin=0,
        zmax=one.top,
        colorscale=canvas.shades(palette.SEQUENTIAL),
        showscale=False,
        hovertext=labels,
        hoverinfo="text",
    )


def _bands(fan: np.ndarray, steps: np.ndarray) -> list[go.Scatter]:
    found = []
    for low, high, name in ((0, 8, "10 % to 90 %"), (2, 6, "30 % to 70 %")):
        bottom = canvas.line("", steps, fan[:, low], FAN, 0)
        bottom.update(hoverinfo="skip")
        top = canvas.line(name, steps, fan[:, high], FAN, 0)
        top.update(
            fill="tonexty",
            fillcolor=palette.faded(FAN),
            customdata=fan[:, low],
            hovertemplate=f"step %{{x}}: %{{customdata:.5~g}} to %{{y:.5~g}}<extra>{name}</extra>",
        )
        found += [bottom, top]
    return found


@mpl.rc_context(easel.STYLE)
def _print(one: View) -> Figure:
    down = ceil(len(one.layers) / ACROSS)
    figure = easel.blank(0.4 + 1.6 * down)
    panels = figure.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
    for place, axes in enumerate(panels):
        if place < len(one.layers):
            _panel(axes, one, place)
        else:
            axes.set_axis_off()
    for axes in panels[max(0, len(one.layers) - ACROSS) : len(one.layers)]:
        axes.set_xlabel("Step")
        axes.tick_params(labelbottom=True)
    easel.draw_legend(
        figure,
        [
            Line2D([], [], color=FAN, label="median of the layer"),
            Line2D([], [], color=TRUTH, label="truth"),
            Line2D([], [], color=easel.QUIET, linewidth=0.9, label="context"),
        ],
        3,
    )
    return figure


def _panel(axes: Axes, one: View, place: int) -> None:
    fan = one.fans[place]
    steps = np.arange(1, len(fan) + 1)
    if one.grids:
        sides = np.arange(len(steps) + 1) + 0.5
        grid = np.ma.masked_equal(one.grids[place], 0.0)
        axes.pcolormesh(sides, one.edges, grid, cmap=SHADES, vmin=0, vmax=one.top)
    else:
        for low, high in ((0, 8), (2, 6)):
            axes.fill_between(
                steps, fan[:, low], fan[:, high], color=FAN, alpha=0.2, linewidth=0, clip_on=True
            )
        axes.grid(axis="y")
    axes.plot(*one.context, color=easel.QUIET, linewidth=0.8)
    axes.plot(steps, fan[:, 4], color=FAN, linewidth=1.2)
    axes.plot(*one.truth, color=TRUTH, linewidth=1.2)
    axes.set_ylim(*one.span)
    axes.margins(x=0.01)
    axes.set_title(layer_title(one.layers[place]))
