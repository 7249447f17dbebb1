"""What all interactive figures have in common: the empty figure, its axes, its marks, its text."""

from collections.abc import Sequence
from html import escape
from math import isnan
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tsfm_probe.report import palette
from tsfm_probe.report.effects import Effect, Effects
from tsfm_probe.report.ranking import Ranking

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def shown(text: str) -> str:
    """Text that plotly shows as it is: its tags, entities and formulas lose their meaning."""
    return escape(text, quote=False).replace("$", "&#36;")


def hover(effect: Effect | None) -> str:
    """The label of a trial; empty where there is none."""
    return "" if effect is None else "<br>".join(map(shown, effect.label))


def empty(traces: Sequence[Any], height: int, top: int) -> go.Figure:
    """A figure of these traces with the page's look; height and top margin in pixels."""
    figure = go.Figure(
        data=list(traces),
        layout={
            "template": go.layout.Template(),
            "height": height,
            "margin": {"l": 8, "r": 12, "t": top, "b": 8},
            "font": {"family": FONT, "size": 13, "color": palette.INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "dragmode": False,
            "hoverlabel": {
                "bgcolor": palette.PAPER,
                "bordercolor": palette.QUIET,
                "font": {"color": palette.INK, "size": 13},
                "align": "left",
                "namelength": -1,
            },
        },
    )
    look = {
        "automargin": True,
        "fixedrange": True,
        "ticks": "",
        "ticklabelstandoff": 4,
        "zeroline": False,
        "gridcolor": palette.GRID,
        "zerolinecolor": palette.QUIET,
    }
    figure.update_xaxes(look)
    figure.update_yaxes(look)
    return figure


def title(text: str) -> dict[str, Any]:
    """The title of a figure, at its upper left corner."""
    return {
        "text": shown(text),
        "font": {"size": 14},
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 1,
        "yanchor": "top",
        "yref": "container",
        "pad": {"t": 8, "l": 8},
    }


def axis_title(text: str) -> dict[str, Any]:
    """The title of an axis."""
    return {"text": shown(text), "standoff": 6, "font": {"size": 12}}


def colour_scale() -> list[list[Any]]:
    """The diverging colours in plotly's form."""
    return shades(palette.DIVERGING)


def shades(colours: Sequence[str]) -> list[list[Any]]:
    """Colours from the lowest to the highest value in plotly's form."""
    return [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)]


def whiskers(effects: Sequence[Effect], axis: Ranking) -> dict[str, Any]:
    """The intervals of the effects, cut at the ends of the axis."""
    held = [axis.held(effect.change) for effect in effects]
    spans = [effect.span for effect in effects]
    return {
        "type": "data",
        "symmetric": False,
        "array": [axis.held(high) - at for (_, high), at in zip(spans, held, strict=True)],
        "arrayminus": [at - axis.held(low) for (low, _), at in zip(spans, held, strict=True)],
        "thickness": 1.4,
        "width": 0,
    }


def marker(mark: palette.Mark) -> dict[str, Any]:
    """How plotly draws a mark."""
    line = {"color": mark.colour, "width": 0 if mark.filled else 2}
    return {"symbol": mark.symbol, "color": mark.colour, "size": 9, "line": line}


def dots(effects: Sequence[Effect], x: Sequence[float], y: Sequence[float]) -> go.Scatter:
    """The dots of trials of one sort, which share a mark."""
    mark = palette.mark(effects[0].kind, effects[0].verdict)
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        marker=marker(mark),
        hovertext=[hover(effect) for effect in effects],
        hoverinfo="text",
        cliponaxis=False,
    )


def line(name: str, x: np.ndarray, y: np.ndarray, colour: str, width: float) -> go.Scatter:
    """A line of values along a window."""
    return go.Scatter(
        x=x, y=y, name=shown(name), mode="lines", line={"color": colour, "width": width}
    )


def draw_noise(figure: go.Figure, effects: Effects, axis: Ranking, vertical: bool) -> None:
    """Shade what another seed alone changes."""
    if effects.noise is None:
        return
    low, high = (axis.held(end) for end in effects.noise)
    add = figure.add_vrect if vertical else figure.add_hrect
    add(low, high, fillcolor=palette.NOISE_BAND, opacity=0.22, line_width=0, layer="below")


def draw_threshold(figure: go.Figure, effects: Effects, vertical: bool) -> None:
    """Draw the line below which a trial counts as redundant, if it is known."""
    if isnan(effects.threshold):
        return
    add = figure.add_vline if vertical else figure.add_hline
    add(
        effects.threshold,
        line={"color": palette.THRESHOLD, "dash": "dash", "width": 1.5},
        annotation={
            "text": f"limit {effects.threshold:g} %",
            "font": {"size": 11, "color": palette.INK},
            "yanchor": "bottom",
            "xanchor": "center" if vertical else "right",
            "showarrow": False,
        },
        annotation_position="top" if vertical else "top right",
    )
