"""The captioned figures of the page, each with its charts and its print."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import plotly.graph_objects as go
from matplotlib.figure import Figure

from tsfm_probe.report import charts, palette, prints
from tsfm_probe.report.effects import Effect, Effects, percent
from tsfm_probe.report.forecasts import UNTOUCHED, Windows
from tsfm_probe.report.maps import Bars, bars, maps
from tsfm_probe.report.ranking import EACH_END, Ranking, ranking


@dataclass(frozen=True)
class Key:
    """One entry of a legend."""

    glyph: str
    colour: str
    name: str


@dataclass(frozen=True, eq=False)
class Plate:
    """One captioned figure.

    name: the stem of its picture files.
    panels: charts that stand side by side where there is room.
    below: a chart of the full width under them, or None.
    alternative: what it shows, for those who do not see it.
    """

    name: str
    title: str
    caption: str
    alternative: str
    keys: tuple[Key, ...]
    panels: tuple[go.Figure, ...]
    below: go.Figure | None
    print: Figure


def effect_plates(effects: Effects) -> tuple[Plate, ...]:
    """The maps, the bars and the ranking of one metric, as far as there are trials for them."""
    if not effects.edits:
        return ()
    order = ranking(effects)
    found = (_maps(effects), _bars(effects, order), _ranked(effects, order))
    return tuple(plate for plate in found if plate is not None)


def forecast_plate(views: Windows) -> Plate | None:
    """The forecasts of a few windows; None where there are none."""
    if not views.windows:
        return None
    colours = palette.curve_colours(views.names)
    banded = " The band reaches from the untouched model's 10 % to its 90 % quantile."
    more = f" {views.left_out} more windows are not drawn." if views.left_out else ""
    known = any(curve.trial == UNTOUCHED and curve.low for w in views.windows for curve in w.curves)
    return Plate(
        name="forecasts",
        title="Forecasts of a few windows",
        caption="The median forecast of each trial, after the end of the context."
        + (banded if known else "")
        + more,
        alternative=f"{len(views.windows)} line charts of context, target and the medians of "
        + "; ".join(views.names.values()),
        keys=(
            Key("━", "var(--quiet)", "context"),
            Key("━", "var(--ink)", "target"),
            *(Key("━", colours[trial], name) for trial, name in views.names.items()),
        ),
        panels=tuple(charts.window(one, colours) for one in views.windows),
        below=None,
        print=prints.windows(views, colours),
    )


def _maps(effects: Effects) -> Plate | None:
    grids = maps(effects)
    if not grids:
        return None
    what = "heads" if grids[0].columns_are == "head" else "parts"
    return Plate(
        name=f"map-{effects.metric.lower()}",
        title=f"Which {what} matter",
        caption=f"Change of {effects.metric} when one {what[:-1]} at a time is ablated, in percent "
        f"of the untouched model: red is worse, blue is better. Colours end at "
        f"±{effects.limit:g}\u00a0%; larger changes have the end colour. A dot (•) "
        "marks a redundant cell, a cross (×) a harmful one. The scale shows the controls: what "
        "another seed (noise) or randomly drawn edits (random) change.",
        alternative=f"{len(grids)} heat maps ({', '.join(grid.title for grid in grids)}). "
        + _extremes(effects),
        keys=(),
        panels=tuple(charts.heat_map(grid, effects) for grid in grids),
        below=charts.scale(effects),
        print=prints.heat_maps(grids, effects),
    )


def _bars(effects: Effects, axis: Ranking) -> Plate | None:
    stacks = bars(effects)
    if not stacks:
        return None
    return Plate(
        name=f"layers-{effects.metric.lower()}",
        title="Which layers matter",
        caption=f"Change of {effects.metric} when one whole layer is ablated, in percent of the "
        "untouched model, with 95 % intervals. A bar with a number goes beyond the axis.",
        alternative=f"Bars by layer ({', '.join(stack.title for stack in stacks)}). "
        + _extremes(effects),
        keys=_bar_keys(stacks, effects) + _limits(effects),
        panels=tuple(charts.bars(stack, effects, axis) for stack in stacks),
        below=None,
        print=prints.bars(stacks, effects, axis),
    )


def _ranked(effects: Effects, order: Ranking) -> Plate | None:
    if not order.effects:
        return None
    which = f"All {order.measured} trials"
    if order.gaps:
        which = (
            f"The {EACH_END} least and the {EACH_END} most harmful of {order.measured} trials, "
            "and all controls (a free row stands for the others)"
        )
    beyond = " A number at the right edge stands for a dot beyond the axis."
    return Plate(
        name=f"ranking-{effects.metric.lower()}",
        title="Trials in order of their effect",
        caption=f"{which}: change of {effects.metric} in percent of the untouched model with 95 % "
        "intervals over series." + (beyond if any(map(order.beyond, order.effects)) else ""),
        alternative=f"Dot plot of {len(order.effects)} trials. {_extremes(effects)}",
        keys=_keys(order.effects) + _limits(effects),
        panels=(charts.ranked(order, effects),),
        below=None,
        print=prints.ranked(order, effects),
    )


def _extremes(effects: Effects) -> str:
    measured = [one for one in effects.edits if isfinite(one.change)]
    if not measured:
        return "Nothing was measured."
    least = min(measured, key=lambda effect: effect.change)
    most = max(measured, key=lambda effect: effect.change)
    return (
        f"The least harmful trial is {least.trial} ({effects.metric} {percent(least.change)}), "
        f"the most harmful one {most.trial} ({percent(most.change)}). "
        "All numbers are in the table of trials."
    )


def _keys(effects: Sequence[Effect]) -> tuple[Key, ...]:
    found = palette.marks([(one.kind, one.verdict) for one in effects])
    return tuple(Key(mark.glyph, mark.colour, name) for name, mark in found.items())


def _bar_keys(stacks: Sequence[Bars], effects: Effects) -> tuple[Key, ...]:
    shown = palette.marks([(one.kind, one.verdict) for stack in stacks for one in stack.effects])
    keys = [Key("■", mark.colour, name) for name, mark in shown.items()]
    if any(effect.kind == "random" for effect in effects.controls):
        keys.append(Key("┅", palette.CONTROLS["random"].colour, "random control"))
    return tuple(keys)


def _limits(effects: Effects) -> tuple[Key, ...]:
    found = []
    if isfinite(effects.threshold):
        name = f"limit {effects.threshold:g}\u00a0%"
        found.append(Key("┅", palette.THRESHOLD, name))
    if effects.noise is not None:
        found.append(Key("▮", palette.faded(palette.NOISE_BAND, 0.45), "noise band"))
    return tuple(found)
