"""The figures of scores for print, as matplotlib figures."""

from collections.abc import Sequence
from math import ceil

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from tsfm_probe.report import easel, prints
from tsfm_probe.report.score_charts import colours, line_colours
from tsfm_probe.report.scores import Grid, Scores, Spectrum


@mpl.rc_context(easel.STYLE)
def heat_maps(scores: Scores) -> Figure:
    """All maps of one score above their common scale."""
    across = min(3, len(scores.grids))
    down = ceil(len(scores.grids) / across)
    height = 0.75 + 0.16 * max(len(grid.rows) for grid in scores.grids)
    figure = easel.blank(down * height + 0.75)
    places = figure.add_gridspec(down + 1, across, height_ratios=[height] * down + [0.75])
    shades = LinearSegmentedColormap.from_list("score", colours(scores))
    for index, grid in enumerate(scores.grids):
        axes = figure.add_subplot(places[divmod(index, across)])
        _heat_map(axes, grid, scores, shades)
    axes = figure.add_subplot(places[down, :])
    steps = np.linspace(scores.lowest, scores.highest, 201)[None, :]
    extent = (scores.lowest, scores.highest, 0.4, -0.4)
    axes.imshow(steps, cmap=shades, aspect="auto", extent=extent)
    axes.set_yticks([])
    axes.set_xlabel(scores.name)
    return figure


@mpl.rc_context(easel.STYLE)
def spectra(found: Sequence[Spectrum]) -> Figure:
    """Singular values over the largest one, and the share of the squares that the first hold."""
    figure = easel.blank(3.4)
    left, right = figure.subplots(1, 2)
    for one, colour in zip(found, line_colours(found), strict=True):
        index, style = np.arange(1, len(one.values) + 1), "-" if one.low else ":"
        relative = one.values / max(one.values[0], np.finfo(float).tiny)
        left.plot(index, relative, style, color=colour, label=easel.shown(one.address))
        right.plot(index, 100 * one.energy, style, color=colour)
    left.set_title("Singular value over the largest")
    right.set_title("Share of the squares explained, %")
    for axes in (left, right):
        axes.grid(axis="y")
        axes.set_xlabel("Singular values, the largest first")
        axes.set_ylim(bottom=0)
    easel.draw_legend(figure, left.get_lines(), 4)
    return figure


def _heat_map(axes: Axes, grid: Grid, scores: Scores, shades: LinearSegmentedColormap) -> None:
    axes.pcolormesh(
        np.array(grid.cells),
        cmap=shades,
        vmin=scores.lowest,
        vmax=scores.highest,
        edgecolors="white",
        lw=0.6,
    )
    axes.set_ylim(len(grid.rows), 0)
    axes.set_title(easel.shown(grid.title))
    axes.set_xlabel("Head")
    prints.cells_by_layer(axes, grid.columns, grid.rows)
