"""The interactive figures of scores, as plotly figures."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import plotly.graph_objects as go

from tsfm_probe.report import canvas, palette
from tsfm_probe.report.scores import Grid, Scores, Spectrum


def colours(scores: Scores) -> tuple[str, ...]:
    """The colours of a score, from its lowest to its highest value."""
    return palette.DIVERGING if scores.signed else palette.SEQUENTIAL


def heat_map(grid: Grid, scores: Scores) -> go.Figure:
    """One cell for each head of each layer."""
    trace = go.Heatmap(
        z=[[None if np.isnan(cell) else cell for cell in row] for row in grid.cells],
        x=grid.columns,
        y=grid.rows,
        zmin=scores.lowest,
        zmax=scores.highest,
        colorscale=canvas.shades(colours(scores)),
        showscale=False,
        xgap=1,
        ygap=1,
        hovertext=[
            [
                f"{canvas.shown(one)}<br>{scores.name} {cell:.4g}" if one else ""
                for one, cell in both
            ]
            for both in (
                zip(*row, strict=True) for row in zip(grid.addresses, grid.cells, strict=True)
            )
        ],
        hoverinfo="text",
    )
    row = 30 if len(grid.rows) <= 8 else 22 if len(grid.rows) <= 14 else 16
    figure = canvas.empty([trace], 82 + row * len(grid.rows), top=32)
    figure.update_layout(title=canvas.title(grid.title))
    figure.update_xaxes(type="category", title=canvas.axis_title("Head"), showgrid=False)
    layers = canvas.axis_title("Layer")
    figure.update_yaxes(type="category", title=layers, autorange="reversed", showgrid=False)
    return figure


def scale(scores: Scores) -> go.Figure:
    """The colours of a score along its values."""
    steps = np.linspace(scores.lowest, scores.highest, 101).tolist()
    trace = go.Heatmap(
        z=[steps],
        x=steps,
        y=[0],
        colorscale=canvas.shades(colours(scores)),
        showscale=False,
        hoverinfo="skip",
        zsmooth="best",
    )
    figure = canvas.empty([trace], 96, top=8)
    figure.update_xaxes(title=canvas.axis_title(scores.name), showgrid=False, nticks=8)
    figure.update_yaxes(visible=False)
    return figure


def spectra(found: Sequence[Spectrum]) -> tuple[go.Figure, go.Figure]:
    """Singular values over the largest one, and the share of the squares that the first hold."""
    falling, rising = [], []
    for one, colour in zip(found, line_colours(found), strict=True):
        index = np.arange(1, len(one.values) + 1)
        relative = one.values / max(one.values[0], np.finfo(float).tiny)
        falling.append(_line(one, index, relative, colour))
        rising.append(_line(one, index, 100 * one.energy, colour))
    titles = ("Singular value over the largest", "Share of the squares explained, %")
    made = []
    for title, traces in zip(titles, (falling, rising), strict=True):
        figure = canvas.empty(traces, 320, top=32)
        figure.update_layout(title=canvas.title(title))
        figure.update_xaxes(title=canvas.axis_title("Singular values, the largest first"))
        figure.update_yaxes(rangemode="tozero")
        made.append(figure)
    return made[0], made[1]


def line_colours(found: Sequence[Spectrum]) -> list[str]:
    """A shade of one colour for each low head, of another for each high one."""
    shades = {True: cycle(palette.LOW), False: cycle(palette.HIGH)}
    return [next(shades[one.low]) for one in found]


def _line(one: Spectrum, x: np.ndarray, y: np.ndarray, colour: str) -> go.Scatter:
    line = canvas.line(one.address, x, y, colour, 1.8)
    line.update(
        line_dash="solid" if one.low else "dot",
        hovertemplate=f"{canvas.shown(one.address)}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
    )
    return line
