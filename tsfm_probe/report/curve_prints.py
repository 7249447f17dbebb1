"""The figures of cumulative cuts for print, as matplotlib figures."""

from collections.abc import Sequence
from math import ceil

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from tsfm_probe.report import easel, palette
from tsfm_probe.report.curves import Counts, Curve

OURS = palette.CURVES[0]
RANDOM = palette.CONTROLS["random"].colour


@mpl.rc_context(easel.STYLE)
def curves(one: Curve, near: float) -> Figure:
    """The whole curve as ratios on a logarithmic axis, and what lies within `near` percent."""
    figure = easel.blank(3.4)
    whole, close = figure.subplots(1, 2)
    _curve(whole, one, ratios=True)
    whole.set_yscale("log")
    whole.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    whole.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    whole.yaxis.set_minor_formatter(NullFormatter())
    whole.set_title("The whole curve")
    whole.set_ylabel(f"{one.effects.metric}, ratio to the untouched model")
    _curve(close, one, ratios=False)
    close.set_ylim(-near, near)
    close.axhline(0, color=easel.QUIET, linewidth=0.8)
    close.set_title("Near the limit")
    close.set_ylabel(f"{one.effects.metric} change, %")
    easel.draw_limits(close, one.effects, None, vertical=False)
    marks = palette.marks([(effect.kind, effect.verdict) for effect in one.effects.edits])
    signs: list[Artist] = [
        Line2D([], [], color=OURS, label=easel.shown(one.order)),
        *(easel.sign(name, mark) for name, mark in marks.items()),
        Patch(color=RANDOM, alpha=0.2, label="random orders"),
        *easel.limit_signs(one.effects, banded=False),
    ]
    easel.draw_legend(figure, signs, len(signs))
    return figure


@mpl.rc_context(easel.STYLE)
def counts(kinds: Sequence[Counts]) -> Figure:
    """How many heads each layer can lose, a panel for each attention kind."""
    across = min(3, len(kinds))
    down = ceil(len(kinds) / across)
    tallest = max(len(one.layers) for one in kinds)
    figure = easel.blank(0.4 + down * (0.8 + 0.17 * tallest))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, one in zip(panels, kinds, strict=False):
        _counts(axes, one)
    for axes in panels[len(kinds) :]:
        axes.set_axis_off()
    signs: list[Artist] = [
        Patch(color=palette.NOISE_BAND, alpha=0.25, label="heads"),
        Patch(color=OURS, alpha=0.45, label="within the limit"),
        Patch(color=OURS, label="shown to be redundant"),
        Line2D([], [], color=RANDOM, marker="|", label="within the limit, random orders"),
    ]
    easel.draw_legend(figure, signs, 4)
    return figure


def _counts(axes: Axes, one: Counts) -> None:
    places = np.arange(len(one.layers))
    axes.barh(places, one.of, 0.75, color=palette.NOISE_BAND, alpha=0.25)
    axes.barh(places, one.within, 0.75, color=OURS, alpha=0.45)
    axes.barh(places, one.redundant, 0.75, color=OURS)
    for place, ends in zip(places, one.random, strict=True):
        axes.plot(ends, [place, place], color=RANDOM, marker="|", linewidth=1.4, clip_on=False)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_xlim(0, max(one.of))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_yticks(places, one.layers)
    axes.tick_params(length=0, labelsize=7)
    axes.set_title(easel.shown(one.title))
    axes.set_xlabel("Heads")
    axes.set_ylabel("Layer")


def _curve(axes: Axes, one: Curve, ratios: bool) -> None:
    def scaled(change: np.ndarray) -> np.ndarray:
        return 1 + change / 100 if ratios else change

    band = one.band
    x = np.concatenate([[0], band.cuts])
    low, middle, high = (
        scaled(np.concatenate([[0.0], ends])) for ends in (band.low, band.middle, band.high)
    )
    axes.fill_between(x, low, high, color=RANDOM, alpha=0.2, linewidth=0)
    axes.plot(x, middle, color=RANDOM, linestyle=":", linewidth=1)
    changes = np.array([0.0, *(effect.change for effect in one.effects.edits)])
    axes.plot([0, *one.cuts], scaled(changes), color=OURS, linewidth=1.4)
    for cut, effect in zip(one.cuts, one.effects.edits, strict=True):
        mark = palette.mark(effect.kind, effect.verdict)
        axes.plot([cut, cut], scaled(np.array(effect.span)), color=mark.colour, linewidth=1)
        axes.plot(
            cut,
            scaled(np.array(effect.change)),
            mark.sign,
            markersize=4,
            markeredgecolor=mark.colour,
            markerfacecolor=mark.colour if mark.filled else "white",
            zorder=3,
        )
    axes.set_xlim(0, max(one.cuts) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.grid(axis="y")
    axes.set_xlabel(f"{one.what.capitalize()}s cut together, of {one.of}")
