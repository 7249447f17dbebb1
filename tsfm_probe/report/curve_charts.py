"""The interactive figures of cumulative cuts, as plotly figures."""

from collections.abc import Sequence
from math import isnan

import numpy as np
import plotly.graph_objects as go

from tsfm_probe.report import canvas, palette
from tsfm_probe.report.curves import Counts, Curve
from tsfm_probe.report.effects import Effect

OURS = palette.CURVES[0]
RANDOM = palette.CONTROLS["random"].colour


def curves(one: Curve, near: float) -> tuple[go.Figure, go.Figure]:
    """The whole curve as ratios on a logarithmic axis, and what lies within `near` percent."""
    whole = _curve(one, ratios=True)
    whole.update_layout(title=canvas.title("The whole curve"))
    error = canvas.axis_title(f"{one.effects.metric}, ratio to the untouched model")
    whole.update_yaxes(type="log", title=error, nticks=8, tickformat="~g")
    close = _curve(one, ratios=False)
    close.update_layout(title=canvas.title("Near the limit"))
    change = canvas.axis_title(f"{one.effects.metric} change, %")
    close.update_yaxes(range=[-near, near], title=change, zeroline=True)
    canvas.draw_threshold(close, one.effects, vertical=False)
    return whole, close


def counts(one: Counts) -> go.Figure:
    """How many heads each layer can lose: within the limit, shown to be redundant, at random."""
    traces = [
        _bars(one, one.of, palette.faded(palette.NOISE_BAND, 0.25), "heads"),
        _bars(one, one.within, palette.faded(OURS, 0.45), "within the limit"),
        _bars(one, one.redundant, OURS, "shown to be redundant"),
        go.Scatter(
            x=[end for low, high in one.random for end in (low, high, None)],
            y=[layer for layer in one.layers for _ in range(3)],
            mode="lines+markers",
            line={"color": RANDOM, "width": 2},
            marker={"color": RANDOM, "size": 6, "symbol": "line-ns-open"},
            hoverinfo="skip",
            cliponaxis=False,
        ),
    ]
    figure = canvas.empty(traces, 82 + 24 * len(one.layers), top=32)
    figure.update_layout(title=canvas.title(one.title), barmode="overlay", bargap=0.25)
    heads = canvas.axis_title("Heads")
    figure.update_xaxes(range=[0, max(one.of)], title=heads, dtick=max(1, max(one.of) // 8))
    layers = canvas.axis_title("Layer")
    figure.update_yaxes(type="category", title=layers, autorange="reversed", showgrid=False)
    return figure


def _bars(one: Counts, values: Sequence[int], colour: str, what: str) -> go.Bar:
    labels = [
        f"layer {layer}<br>{value} of {of}: {what}<br>random orders: {low} to {high}"
        for layer, value, of, (low, high) in zip(
            one.layers, values, one.of, one.random, strict=True
        )
    ]
    return go.Bar(
        x=values,
        y=one.layers,
        orientation="h",
        marker={"color": colour},
        hovertext=labels,
        hoverinfo="text",
    )


def _curve(one: Curve, ratios: bool) -> go.Figure:
    band, effects = one.band, one.effects.edits
    x = np.concatenate([[0], band.cuts])
    low, middle, high = (
        _scaled(np.concatenate([[0.0], values]), ratios)
        for values in (band.low, band.middle, band.high)
    )
    bottom, top = (canvas.line("", x, ends, RANDOM, 0) for ends in (low, high))
    top.update(fill="tonexty", fillcolor=palette.faded(RANDOM))
    bottom.update(hoverinfo="skip")
    top.update(hoverinfo="skip")
    centre = canvas.line("random orders, median", x, middle, RANDOM, 1.2)
    centre.update(line_dash="dot", hoverinfo="skip")
    changes = _scaled(np.array([0.0, *(effect.change for effect in effects)]), ratios)
    ours = canvas.line(one.order, np.array([0, *one.cuts]), changes, OURS, 2)
    ours.update(hoverinfo="skip")
    marks = [_dots(one, group, ratios) for group in _by_mark(one)]
    figure = canvas.empty([bottom, top, centre, ours, *marks], 380, top=32)
    count = canvas.axis_title(f"{one.what.capitalize()}s cut together, of {one.of}")
    figure.update_xaxes(title=count, range=[0, max(one.cuts) * 1.02], nticks=10)
    return figure


def _dots(one: Curve, places: Sequence[int], ratios: bool) -> go.Scatter:
    effects = [one.effects.edits[place] for place in places]
    at = _scaled(np.array([effect.change for effect in effects]), ratios)
    low, high = (
        _scaled(np.array([effect.span[end] for effect in effects]), ratios) for end in (0, 1)
    )
    dots = canvas.dots(effects, [one.cuts[place] for place in places], list(at))
    colour = palette.mark(effects[0].kind, effects[0].verdict).colour
    dots.update(
        cliponaxis=True,
        hovertext=[
            _hover(one, effect, one.cuts[place])
            for place, effect in zip(places, effects, strict=True)
        ],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": high - at,
            "arrayminus": at - low,
            "thickness": 1.4,
            "width": 0,
            "color": colour,
        },
    )
    return dots


def _hover(one: Curve, effect: Effect, cut: int) -> str:
    return f"{cut} of {one.of} {one.what}s<br>{canvas.hover(effect)}"


def _by_mark(one: Curve) -> list[list[int]]:
    groups: dict[palette.Mark, list[int]] = {}
    for place, effect in enumerate(one.effects.edits):
        if not isnan(effect.change):
            groups.setdefault(palette.mark(effect.kind, effect.verdict), []).append(place)
    return list(groups.values())


def _scaled(change: np.ndarray, ratios: bool) -> np.ndarray:
    """Changes in percent, or as ratios."""
    return 1 + change / 100 if ratios else change
