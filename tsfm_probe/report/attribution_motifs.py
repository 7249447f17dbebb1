"""Overthinking: error by layer with a true and with a misleading motif."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.attribution_layers import (
    axis_of_layers,
    label_layers,
    mark_layer,
    scaled,
    vertical,
    wide,
)
from tsfm_probe.report.attribution_views import layer_title
from tsfm_probe.report.plates import Key, Plate

COLOURS = {"true": palette.CURVES[0], "misleading": palette.CURVES[2]}
UNIT = "mean differences of neighbours"


def plate(found: pd.DataFrame, critical: str) -> Plate:
    """Both curves and their difference; columns as in attribution.overthinking."""
    keys = tuple(Key("━", colour, f"{name} motif") for name, colour in COLOURS.items())
    if critical:
        keys += (Key("┊", palette.VERDICTS["harmful"].colour, "critical layer"),)
    return Plate(
        name="overthinking",
        title="Where a misleading motif leads astray",
        caption="A context shows several times how a stretch goes on, and ends with it; in the "
        "misleading one it went on otherwise the last time. Left: mean error of each layer's own "
        f"forecast, in {UNIT} in what follows. Right: misleading less true, with its 95\u00a0% "
        "interval over made-up cases; from the critical layer on it lies above 0.",
        alternative="Two line charts by layer: errors with a true and a misleading motif, and "
        "their difference",
        keys=keys,
        panels=(_curves(found, critical), _difference(found, critical)),
        below=None,
        print=_print(found, critical),
    )


def _curves(found: pd.DataFrame, critical: str) -> go.Figure:
    places = np.arange(len(found))
    traces = []
    for name, colour in COLOURS.items():
        line = canvas.line(name, places, found[name].to_numpy(float), colour, 2)
        line.update(
            mode="lines+markers",
            marker={"size": 7},
            hovertext=[
                f"{layer_title(str(layer))}<br>{name} motif: {value:.4g}"
                for layer, value in zip(found["layer"], found[name], strict=True)
            ],
            hoverinfo="text",
            cliponaxis=False,
        )
        traces.append(line)
    figure = canvas.empty(traces, 320, top=32)
    figure.update_layout(title=canvas.title("Error by layer"))
    label_layers(figure, list(found["layer"]))
    mark_layer(figure, list(found["layer"]), critical)
    figure.update_yaxes(title=canvas.axis_title(f"Error, {UNIT}"), tickformat="~g", nticks=7)
    if wide(found[list(COLOURS)].to_numpy(float)):
        figure.update_yaxes(type="log")
    else:
        figure.update_yaxes(rangemode="tozero")
    return figure


def _difference(found: pd.DataFrame, critical: str) -> go.Figure:
    places = np.arange(len(found))
    value, low, high = (found[name].to_numpy(float) for name in ("difference", "low", "high"))
    line = canvas.line("difference", places, value, palette.CURVES[3], 2)
    line.update(
        mode="lines+markers",
        marker={"size": 7},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": high - value,
            "arrayminus": value - low,
            "thickness": 1.4,
            "width": 0,
        },
        hovertext=[
            f"{layer_title(str(layer))}<br>{one:+.4g} ({lower:+.4g} to {upper:+.4g})"
            for layer, one, lower, upper in zip(found["layer"], value, low, high, strict=True)
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    figure = canvas.empty([line], 320, top=32)
    figure.update_layout(title=canvas.title("Misleading less true"))
    label_layers(figure, list(found["layer"]))
    mark_layer(figure, list(found["layer"]), critical)
    figure.update_yaxes(zeroline=True, nticks=7, tickformat="~g")
    return figure


@mpl.rc_context(easel.STYLE)
def _print(found: pd.DataFrame, critical: str) -> Figure:
    figure = easel.blank(2.9)
    left, right = figure.subplots(1, 2)
    layers = list(found["layer"])
    for name, colour in COLOURS.items():
        left.plot(found[name], "o-", color=colour, markersize=3.5, linewidth=1.2)
    left.set_title("Error by layer")
    left.set_ylabel(f"Error, {UNIT}")
    scaled(left, found[list(COLOURS)].to_numpy(float))
    value, low, high = (found[name].to_numpy(float) for name in ("difference", "low", "high"))
    colour = palette.CURVES[3]
    right.vlines(np.arange(len(found)), low, high, color=colour, linewidth=1)
    right.plot(value, "o-", color=colour, markersize=3.5, linewidth=1.2)
    right.axhline(0, color=easel.QUIET, linewidth=0.8)
    right.set_title("Misleading less true")
    for axes in (left, right):
        axis_of_layers(axes, layers, critical)
    signs = [
        Line2D([], [], color=colour, label=f"{name} motif") for name, colour in COLOURS.items()
    ]
    easel.draw_legend(figure, [*signs, *([vertical("critical layer")] if critical else [])], 3)
    return figure
