"""The pictures of the study: single layers by their depth, and heads by how many are cut."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from tsfm_probe.report import easel, palette

from .compared import HIGH, LOW
from .cuts import HEADS, LAYER
from .frames import where
from .study import RANDOM

STACKS = (palette.CURVES[0], palette.CURVES[2])
SIGNS = {"redundant": "o", "uncertain": "o", "harmful": "D"}
ORDERS = {LOW: palette.CURVES[0], HIGH: palette.CURVES[2]}
NAMES = {LOW: "lowest stable rank first", HIGH: "highest first"}
CONTROL = palette.CONTROLS["random"].colour
ROW = 1.75  # inches


@mpl.rc_context(easel.STYLE)
def layers(cuts: pd.DataFrame, metric: str, limit: float, middle: Sequence[float]) -> Figure:
    """A row of panels for each level, a column for each model: errors by depth of the layer."""
    rows = where(cuts, {"kind": LAYER, "metric": metric})
    figure, panels = _panels(rows, metric, limit)
    for axes, own in panels:
        axes.axvspan(middle[0] - 0.05, middle[1] + 0.05, color=palette.NOISE_BAND, alpha=0.12)
        # What the network runs first comes first, whichever level's rows these are.
        of_model = rows.loc[rows["model"].isin(own["model"]), :]
        for number, name in enumerate(dict.fromkeys(of_model["stack"])):
            stack = where(own, {"stack": name}).sort_values("depth")
            _stack(axes, stack, STACKS[number % 2], 0.02 * number)
        axes.set_xlim(-0.1, 1.1)
        axes.set_xticks([0, 0.5, 1], ["first", "", "last"])
    signs: list[Artist] = [
        Line2D([], [], color=STACKS[0], label="only stack, or encoder"),
        Line2D([], [], color=STACKS[1], label="decoder"),
        *(_sign(verdict) for verdict in SIGNS),
        Patch(color=palette.NOISE_BAND, alpha=0.12, label="middle"),
        Line2D([], [], color=palette.THRESHOLD, linestyle="--", label=f"limit {limit:g} %"),
    ]
    easel.draw_legend(figure, signs, 4)
    return figure


@mpl.rc_context(easel.STYLE)
def heads(cuts: pd.DataFrame, metric: str, limit: float) -> Figure:
    """The same by the share of heads that is cut, in each order."""
    rows = where(cuts, {"kind": HEADS, "metric": metric})
    figure, panels = _panels(rows, metric, limit)
    for axes, own in panels:
        _random(axes, where(own, {"order": RANDOM}))
        for order, colour in ORDERS.items():
            _curve(axes, where(own, {"order": order}).sort_values("share"), colour)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "½", "all"])
    signs: list[Artist] = [
        *(Line2D([], [], color=colour, label=NAMES[one]) for one, colour in ORDERS.items()),
        Patch(color=CONTROL, alpha=0.2, label="random orders, lowest to highest"),
        Line2D([], [], color=palette.THRESHOLD, linestyle="--", label=f"limit {limit:g} %"),
    ]
    easel.draw_legend(figure, signs, 4)
    return figure


def _panels(
    rows: pd.DataFrame, metric: str, limit: float
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """A figure, and each of its panels with the rows that it is to show."""
    levels, models = (list(dict.fromkeys(rows[name])) for name in ("level", "model"))
    figure = easel.blank(0.7 + ROW * len(levels))
    grid = figure.subplots(len(levels), len(models), squeeze=False, sharex=True, sharey="row")
    found = []
    for down, level in enumerate(levels):
        own = where(rows, {"level": level})
        for across, model in enumerate(models):
            axes = grid[down, across]
            axes.axhline(1, color=easel.QUIET, linewidth=0.8)
            axes.axhline(1 + limit / 100, color=palette.THRESHOLD, linestyle="--", linewidth=0.8)
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_ylim(own["ratio"].min() / 1.06, own["ratio"].max() * 1.1)
            axes.tick_params(labelsize=7)
            axes.grid(axis="y")
            if not down:
                axes.set_title(easel.shown(str(model)), fontsize=7)
            found.append((axes, where(own, {"model": model})))
        grid[down, 0].set_ylabel(f"{metric}, ratio\n{easel.shown(level)}", fontsize=7)
    return figure, found


def _stack(axes: Axes, rows: pd.DataFrame, colour: str, aside: float) -> None:
    x = rows["depth"].to_numpy() + aside
    axes.plot(x, rows["ratio"], color=colour, linewidth=0.8)
    axes.vlines(x, rows["low"], rows["high"], color=colour, linewidth=1, alpha=0.6)
    for place, ratio, verdict in zip(x, rows["ratio"], rows["verdict"], strict=True):
        face = colour if verdict != "uncertain" else "white"
        axes.plot(place, ratio, SIGNS[verdict], color=colour, markersize=3.5, markerfacecolor=face)


def _sign(verdict: str) -> Line2D:
    return easel.sign(
        verdict, palette.Mark(easel.INK, "", SIGNS[verdict], "", verdict != "uncertain")
    )


def _curve(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    axes.plot([0, *rows["share"]], [1, *rows["ratio"]], ".-", color=colour, linewidth=1.2)
    axes.vlines(rows["share"], rows["low"], rows["high"], color=colour, linewidth=1, alpha=0.5)


def _random(axes: Axes, rows: pd.DataFrame) -> None:
    logs = rows.assign(ratio=np.log(rows["ratio"])).groupby("share")["ratio"]
    if not len(logs):
        return
    x = [0.0, *logs.groups]
    low, middle, high = (np.exp([0.0, *one]) for one in (logs.min(), logs.mean(), logs.max()))
    axes.fill_between(x, low, high, color=CONTROL, alpha=0.2, linewidth=0)
    axes.plot(x, middle, ":", color=CONTROL, linewidth=1)
