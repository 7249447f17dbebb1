"""The figures for print: the same views as on the page, as matplotlib figures."""

from collections.abc import Mapping, Sequence
from math import ceil

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tsfm_probe.report import easel, palette
from tsfm_probe.report.effects import Effect, Effects, percent
from tsfm_probe.report.forecasts import UNTOUCHED, Line, Window, Windows
from tsfm_probe.report.maps import Bars, Map
from tsfm_probe.report.ranking import Ranking

RANDOM = {"color": palette.CONTROLS["random"].colour, "linestyle": ":", "linewidth": 1}
COLOURS = LinearSegmentedColormap.from_list("degradation", palette.DIVERGING)


@mpl.rc_context(easel.STYLE)
def heat_maps(grids: Sequence[Map], effects: Effects) -> Figure:
    """All maps of one metric above their common scale with the controls."""
    across = min(3, len(grids))
    down = ceil(len(grids) / across)
    map_height = 0.75 + 0.16 * max(len(grid.rows) for grid in grids)
    kinds = list(dict.fromkeys(effect.kind for effect in effects.controls))
    scale_height = 0.75 + 0.18 * len(kinds)
    figure = easel.blank(down * map_height + scale_height)
    places = figure.add_gridspec(
        down + 1, across, height_ratios=[map_height] * down + [scale_height]
    )
    for index, grid in enumerate(grids):
        _heat_map(figure.add_subplot(places[divmod(index, across)]), grid, effects.limit)
    _scale(figure.add_subplot(places[down, :]), effects, kinds)
    return figure


@mpl.rc_context(easel.STYLE)
def bars(stacks: Sequence[Bars], effects: Effects, axis: Ranking) -> Figure:
    """The layers of each stack side by side, with intervals, noise band and threshold."""
    figure = easel.blank(3.2)
    panels = figure.subplots(1, len(stacks), sharey=True, squeeze=False)[0]
    for axes, stack in zip(panels, stacks, strict=True):
        _bars(axes, stack, effects, axis)
    panels[0].set_ylabel(f"{effects.metric} change, %")
    panels[0].set_ylim(axis.lowest, axis.highest)
    shown = palette.marks([(one.kind, one.verdict) for stack in stacks for one in stack.effects])
    signs: list[Artist] = [Patch(color=mark.colour, label=name) for name, mark in shown.items()]
    if any(effect.kind == "random" for effect in effects.controls):
        signs.append(Line2D([], [], **RANDOM, label="random control"))
    easel.draw_legend(figure, signs + easel.limit_signs(effects, banded=True), 6)
    return figure


@mpl.rc_context(easel.STYLE)
def ranked(order: Ranking, effects: Effects) -> Figure:
    """One dot with its interval for each trial, the least harmful at the top."""
    last = max(order.places, default=0)
    figure = easel.blank(1.1 + 0.16 * (last + 1))
    axes = figure.subplots()
    margin = 0.02 * (order.highest - order.lowest)
    axes.set_xlim(order.lowest - margin, order.highest + margin)
    axes.set_ylim(last + 0.7, -0.7)
    axes.set_yticks(order.places, [easel.shown(effect.trial) for effect in order.effects])
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.grid(axis="x")
    axes.set_xlabel(f"{effects.metric} change, %")
    axes.axvline(0, color=easel.QUIET, linewidth=0.8)
    easel.draw_limits(axes, effects, order, vertical=True)
    for place, effect in zip(order.places, order.effects, strict=True):
        low, high = map(order.held, effect.span)
        colour = palette.mark(effect.kind, effect.verdict).colour
        axes.plot([low, high], [place, place], color=colour, linewidth=1)
        _dot(axes, effect, order.held(effect.change), place)
        if order.beyond(effect):
            side = axes.get_yaxis_transform()
            axes.text(1.01, place, percent(effect.change), va="center", fontsize=7, transform=side)
    signs = _signs(order.effects) + easel.limit_signs(effects, banded=True)
    easel.draw_legend(figure, signs, 4)
    return figure


@mpl.rc_context(easel.STYLE)
def windows(views: Windows, colours: Mapping[str, str]) -> Figure:
    """The windows as small multiples, with one legend."""
    across = min(2, len(views.windows))
    down = ceil(len(views.windows) / across)
    figure = easel.blank(1.9 * down + 0.2 * (len(views.names) + 1))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, one in zip(panels, views.windows, strict=False):
        _window(axes, one, colours)
    for axes in panels[len(views.windows) :]:
        axes.set_axis_off()
    signs = [
        Line2D([], [], color=easel.QUIET, linewidth=0.9, label="context"),
        Line2D([], [], color=easel.INK, linewidth=1.5, label="target"),
    ] + [
        Line2D([], [], color=colours[trial], label=easel.shown(name))
        for trial, name in views.names.items()
    ]
    easel.draw_legend(figure, signs, 1 if len(views.names) > 1 else 3)
    return figure


def cells_by_layer(axes: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    """The ticks of a map with a row for each layer."""
    axes.set_ylabel("Layer")
    every = 1 if len(columns) <= 12 else 2
    axes.set_xticks(np.arange(0, len(columns), every) + 0.5, columns[::every])
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.tick_params(length=0, labelsize=7)
    axes.spines[:].set_visible(False)


def _heat_map(axes: Axes, grid: Map, limit: float) -> None:
    values = np.array(
        [[np.nan if cell is None else cell.change for cell in row] for row in grid.cells]
    )
    axes.pcolormesh(values, cmap=COLOURS, vmin=-limit, vmax=limit, edgecolors="white", lw=0.6)
    axes.set_ylim(len(grid.rows), 0)
    axes.set_title(easel.shown(grid.title))
    axes.set_xlabel(grid.columns_are.capitalize())
    cells_by_layer(axes, grid.columns, grid.rows)
    for row, cells in enumerate(grid.cells):
        for column, cell in enumerate(cells):
            if cell is not None:
                dark = abs(cell.change) > 0.7 * limit
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    palette.cell_sign(cell.verdict),
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if dark else easel.INK,
                )


def _scale(axes: Axes, effects: Effects, kinds: Sequence[str]) -> None:
    limit = effects.limit
    axes.imshow(
        np.linspace(-limit, limit, 201)[None, :],
        cmap=COLOURS,
        aspect="auto",
        extent=(-limit, limit, 0.4, -0.4),
    )
    for effect in effects.controls:
        _dot(axes, effect, min(max(effect.change, -limit), limit), 1 + kinds.index(effect.kind))
    axes.set_xlim(-1.03 * limit, 1.03 * limit)
    axes.set_ylim(len(kinds) + 0.5, -0.5)
    axes.set_yticks(range(len(kinds) + 1), ["colour", *kinds])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{effects.metric} change, %")
    easel.draw_limits(axes, effects, None, vertical=True)
    signs = easel.limit_signs(effects, banded=False)
    if signs:
        axes.legend(handles=signs, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)


def _bars(axes: Axes, stack: Bars, effects: Effects, axis: Ranking) -> None:
    axes.set_title(easel.shown(stack.title))
    axes.set_xlabel("Layer")
    axes.grid(axis="y")
    axes.axhline(0, color=easel.QUIET, linewidth=0.8)
    for place, effect in enumerate(stack.effects):
        low, high = map(axis.held, effect.span)
        held = axis.held(effect.change)
        axes.bar(place, held, 0.75, color=palette.mark(effect.kind, effect.verdict).colour)
        axes.plot([place, place], [low, high], color=easel.INK, linewidth=1)
        if axis.beyond(effect):
            axes.text(
                place,
                held,
                percent(effect.change) + " ",
                rotation=90,
                ha="center",
                va="top",
                color="white",
                fontsize=7,
            )
    for effect in effects.controls:
        if effect.kind == "random":
            axes.axhline(axis.held(effect.change), **RANDOM)
    axes.set_xticks(range(len(stack.layers)), stack.layers)
    easel.draw_limits(axes, effects, axis, vertical=False)


def _dot(axes: Axes, effect: Effect, at: float, place: float) -> None:
    mark = palette.mark(effect.kind, effect.verdict)
    axes.plot(
        at,
        place,
        mark.sign,
        markersize=4.5,
        markeredgecolor=mark.colour,
        markerfacecolor=mark.colour if mark.filled else "white",
        clip_on=False,
        zorder=3,
    )


def _signs(effects: Sequence[Effect]) -> list[Line2D]:
    found = palette.marks([(one.kind, one.verdict) for one in effects])
    return [easel.sign(name, mark) for name, mark in found.items()]


def _window(axes: Axes, one: Window, colours: Mapping[str, str]) -> None:
    axes.set_title(easel.shown(one.title))
    axes.grid(axis="y")
    _plot(axes, one.context, easel.QUIET, 0.8)
    for curve in one.curves:
        colour = colours[curve.trial]
        if curve.trial == UNTOUCHED and curve.low is not None and curve.high is not None:
            axes.fill_between(
                curve.low.x, curve.low.y, curve.high.y, color=colour, alpha=0.2, linewidth=0
            )
        _plot(axes, curve.median, colour, 1.2)
    _plot(axes, one.target, easel.INK, 1.4)
    axes.margins(x=0.01)
    axes.set_ylabel("Value")
    if np.issubdtype(one.target.x.dtype, np.datetime64):
        locator = AutoDateLocator(minticks=3, maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _plot(axes: Axes, line: Line, colour: str, width: float) -> None:
    axes.plot(line.x, line.y, color=colour, linewidth=width)
