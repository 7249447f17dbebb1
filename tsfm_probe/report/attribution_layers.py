"""How the forecast of the stream changes from layer to layer."""

from math import ceil

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.attribution_views import FIRST, layer_title
from tsfm_probe.report.plates import Key, Plate

ERROR, CLOSE = "error", 1.05
LINE = palette.CURVES[0]
TITLES = {
    "error": "Error, in seasonal errors",
    "distance from the last": "Distance from the last layer",
    "width": "Width, 10 % to 90 %",
    "entropy": "Entropy, nats",
    "top 10 entropy": "Entropy of the top 10 bins",
    "likely bins": "Bins above 1 %",
    "peaks": "Peaks of the distribution",
    "divergence": "Divergence from the last, nats",
}
WIDE = 30
"""Ratio of the ends of an axis from which on it is logarithmic."""


def plate(layers: pd.DataFrame, crystallised: str) -> Plate:
    """Every measure by layer: layer, measure, value. crystallised: the layer that is marked."""
    found = {
        str(measure): rows.reset_index(drop=True)
        for measure, rows in layers.groupby("measure", sort=False)
    }
    final = float(found[ERROR]["value"].to_numpy()[-1])
    keys = (Key("┅", palette.THRESHOLD, "5\u00a0% above the final error"),)
    if crystallised:
        keys += (Key("┊", palette.VERDICTS["harmful"].colour, "crystallisation"),)
    return Plate(
        name="layers",
        title="From layer to layer",
        caption="Means over all windows and steps of what the readout makes of the stream after "
        f"each layer. The error of the last one is {final:.3g} seasonal errors; from the layer of "
        "crystallisation on all stay below the dashed line. Width and distances are in seasonal "
        "errors too.",
        alternative=f"{len(found)} line charts by layer: {', '.join(found)}",
        keys=keys,
        panels=tuple(_chart(name, rows, crystallised) for name, rows in found.items()),
        below=None,
        print=_print(found, crystallised),
    )


def short(layer: str) -> str:
    """The label of a layer on an axis."""
    return "emb." if layer == FIRST else layer


def wide(values: np.ndarray) -> bool:
    """Whether values are shown on a logarithmic axis."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() > WIDE * known.min())


def _chart(name: str, rows: pd.DataFrame, crystallised: str) -> go.Figure:
    values, places = rows["value"].to_numpy(float), np.arange(len(rows))
    line = canvas.line(name, places, values, LINE, 2)
    line.update(
        mode="lines+markers",
        marker={"size": 7},
        hovertext=[
            f"{layer_title(str(layer))}<br>{canvas.shown(name)} {value:.4g}"
            for layer, value in zip(rows["layer"], values, strict=True)
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    figure = canvas.empty([line], 260, top=32)
    figure.update_layout(title=canvas.title(TITLES.get(name, name)))
    label_layers(figure, list(rows["layer"]))
    figure.update_yaxes(nticks=6, tickformat="~g")
    if wide(values):
        figure.update_yaxes(type="log", dtick="D2")
    else:
        figure.update_yaxes(rangemode="tozero")
    if name == ERROR:
        dashed = {"color": palette.THRESHOLD, "dash": "dash", "width": 1.5}
        figure.add_hline(CLOSE * values[-1], line=dashed)
        mark_layer(figure, list(rows["layer"]), crystallised)
    return figure


def label_layers(figure: go.Figure, layers: list[str]) -> None:
    """Name the layers on the horizontal axis."""
    every = ceil(len(layers) / 13)
    figure.update_xaxes(
        title=canvas.axis_title("After layer"),
        tickvals=list(range(0, len(layers), every)),
        ticktext=[short(layer) for layer in layers[::every]],
        range=[-0.4, len(layers) - 0.6],
        showgrid=False,
    )


def mark_layer(figure: go.Figure, layers: list[str], layer: str) -> None:
    """Draw a line at a layer, if there is one."""
    if layer in layers:
        dotted = {"color": palette.VERDICTS["harmful"].colour, "dash": "dot", "width": 1.8}
        figure.add_vline(layers.index(layer), line=dotted)


@mpl.rc_context(easel.STYLE)
def _print(found: dict[str, pd.DataFrame], crystallised: str) -> Figure:
    across = min(3, len(found))
    down = ceil(len(found) / across)
    figure = easel.blank(0.3 + 1.7 * down)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, rows) in zip(panels, found.items(), strict=False):
        _panel(axes, name, rows, crystallised)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    signs = [
        Line2D([], [], color=palette.THRESHOLD, linestyle="--", label="5 % above the final error")
    ]
    if crystallised:
        signs.append(vertical("crystallisation"))
    easel.draw_legend(figure, signs, 2)
    return figure


def vertical(name: str) -> Line2D:
    """The legend entry of a marked layer."""
    colour = palette.VERDICTS["harmful"].colour
    return Line2D([], [], color=colour, linestyle=":", linewidth=1.4, label=name)


def axis_of_layers(axes: Axes, layers: list[str], marked: str) -> None:
    """Name the layers on the horizontal axis, and mark one of them."""
    every = ceil(len(layers) / 13)
    places = list(range(0, len(layers), every))
    axes.set_xticks(places, [short(layer) for layer in layers[::every]])
    axes.set_xlabel("After layer")
    axes.grid(axis="y")
    if marked in layers:
        colour = palette.VERDICTS["harmful"].colour
        axes.axvline(layers.index(marked), color=colour, linestyle=":", linewidth=1.4)


def scaled(axes: Axes, values: np.ndarray) -> None:
    """A vertical axis from 0, or a logarithmic one with plain numbers."""
    if wide(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif not (values < 0).any():
        axes.set_ylim(bottom=0)


def _panel(axes: Axes, name: str, rows: pd.DataFrame, crystallised: str) -> None:
    values = rows["value"].to_numpy(float)
    axes.plot(values, "o-", color=LINE, markersize=3.5, linewidth=1.2, clip_on=False)
    axes.set_title(TITLES.get(name, name))
    scaled(axes, values)
    axis_of_layers(axes, list(rows["layer"]), crystallised if name == ERROR else "")
    if name == ERROR:
        axes.axhline(CLOSE * values[-1], color=palette.THRESHOLD, linestyle="--", linewidth=1)
