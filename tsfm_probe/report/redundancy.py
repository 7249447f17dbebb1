"""The sections of the page on cumulative cuts and on sets of layers."""

from collections.abc import Mapping
from math import isfinite

import pandas as pd

from tsfm_probe.report import charts, curve_charts, curve_prints, palette, prints
from tsfm_probe.report.curves import Counts, Curve, counts, curve, maps, sets
from tsfm_probe.report.effects import METRICS, Effects, between, percent, read, rounded_up
from tsfm_probe.report.maps import Map
from tsfm_probe.report.plates import Key, Plate
from tsfm_probe.report.section import Section

NAME, TITLE = "together", "What can be cut together"
COLOURS = (
    "red is worse, blue is better. A dot (•) marks sets that were shown to be redundant, a "
    "cross (×) those that were shown to be harmful to cut. Colours end at ±{limit:g}\u00a0%."
)


def whole_section(found: pd.DataFrame, about: Mapping[str, str]) -> Section:
    """The curves of an order of the whole network.

    found: one row per order, number cut and metric: order, control, place, cut, of, trial, metric,
    ratio, low, high, verdict.
    """
    known = [curve(found, metric, about) for metric in _metrics(found)]
    plates = {one.effects.metric: (_curve_plate(one),) for one in known}
    main = known[0]
    columns = (f"{main.what}s cut", "MASE change", "95 % interval", "verdict", "random orders")
    random = {
        int(cut): f"{percent(low)} to {percent(high)}"
        for cut, low, high in zip(main.band.cuts, main.band.low, main.band.high, strict=True)
    }
    rows = tuple(
        (
            str(cut),
            percent(one.change),
            between(one.low, one.high),
            one.verdict,
            random.get(cut, "–"),
        )
        for cut, one in zip(main.cuts, main.effects.edits, strict=True)
    )
    return Section(NAME, TITLE, plates=plates, columns=columns, rows=rows)


def attention_section(
    found: pd.DataFrame, within: pd.DataFrame, answer: pd.DataFrame, about: Mapping[str, str]
) -> Section:
    """What each attention can lose: maps of all numbers cut, and the numbers within the limit.

    found: as in whole_section. within: one row per attention and metric: place, metric, of,
    within, redundant, random_low, random_high. answer: one row per trial and metric.
    """
    limit = about.get("threshold_pp", "")
    plates = {}
    for metric in _metrics(found):
        effects, grids = maps(found, answer, metric, about)
        bars = _counts_plate(counts(within, metric), metric, limit)
        text = _steps(metric, about, effects)
        plates[metric] = (bars, _map_plate("steps", "Number by number", effects, grids, text))
    columns = ("attention", "heads", f"within {limit} %", "redundant", "within, random orders")
    rows = tuple(
        (
            str(one["place"]),
            str(one["of"]),
            str(one["within"]),
            str(one["redundant"]),
            f"{one['random_low']} to {one['random_high']}",
        )
        for one in within.loc[within["metric"] == METRICS[0]].to_dict("records")
    )
    return Section(NAME, TITLE, plates=plates, columns=columns, rows=rows)


def sets_section(answer: pd.DataFrame, about: Mapping[str, str]) -> Section:
    """The matrix of blocks or pairs of layers; answer: one row per trial and metric."""
    plates = {}
    for effects in read(answer, about):
        text = (
            f"Change of {effects.metric} when a row's layer and a column's are cut together (in "
            "blocks: all from one to the other); on the diagonal each alone: "
        ) + COLOURS.format(limit=effects.limit)
        grids = list(sets(effects))
        plates[effects.metric] = (_map_plate("sets", "Set by set", effects, grids, text),)
    return Section(NAME, TITLE, plates=plates)


def _metrics(found: pd.DataFrame) -> list[str]:
    return [metric for metric in METRICS if (found["metric"] == metric).any()]


def _steps(metric: str, about: Mapping[str, str], effects: Effects) -> str:
    return (
        f"Change of {metric} when the first heads of one attention are cut, in the order "
        f"{about.get('order', 'given')}, one attention at a time: "
    ) + COLOURS.format(limit=effects.limit)


def _curve_plate(one: Curve) -> Plate:
    metric = one.effects.metric
    near = rounded_up(5 * max(threshold_of(one.effects), 0.1))
    found = palette.marks([(effect.kind, effect.verdict) for effect in one.effects.edits])
    return Plate(
        name=f"curve-{metric.lower()}",
        title=f"{one.what.capitalize()}s cut together in the order {one.order}",
        caption=f"{metric} when the first {one.what}s of the order are cut together, with "
        "95\u00a0% intervals over series; on the right what lies near the limit. The band reaches "
        "from the best to the worst of the random orders, the dotted line is their median.",
        alternative=f"Line chart of {metric} by number of {one.what}s cut; {one.redundant} of "
        f"{one.of} are redundant together.",
        keys=(
            Key("━", curve_charts.OURS, one.order),
            *(Key(mark.glyph, mark.colour, name) for name, mark in found.items()),
            Key("┅", curve_charts.RANDOM, "random orders"),
        ),
        panels=curve_charts.curves(one, near),
        below=None,
        print=curve_prints.curves(one, near),
    )


def threshold_of(effects: Effects) -> float:
    """The limit in percent, 1 where it is not known."""
    return effects.threshold if isfinite(effects.threshold) else 1.0


def _counts_plate(kinds: tuple[Counts, ...], metric: str, limit: str) -> Plate:
    can, of = (sum(sum(getattr(one, name)) for one in kinds) for name in ("within", "of"))
    return Plate(
        name=f"counts-{metric.lower()}",
        title=f"Heads at {limit} pp",
        caption=f"The largest number of heads of each attention that can be cut, in the order, "
        f"with at most {limit}\u00a0% more {metric}; the darker part was shown to be redundant. "
        "Each attention stands alone: what all of them lose together is said above.",
        alternative=f"Bar charts of heads by layer; {can} of {of} heads within the limit",
        keys=(
            Key("■", curve_charts.OURS, "shown to be redundant"),
            Key("■", palette.faded(curve_charts.OURS, 0.45), "within the limit"),
            Key("┅", curve_charts.RANDOM, "within the limit, random orders"),
        ),
        panels=tuple(curve_charts.counts(one) for one in kinds),
        below=None,
        print=curve_prints.counts(kinds),
    )


def _map_plate(name: str, title: str, effects: Effects, grids: list[Map], caption: str) -> Plate:
    return Plate(
        name=f"{name}-{effects.metric.lower()}",
        title=title,
        caption=caption,
        alternative=f"Heat maps of the change of {effects.metric}: "
        + "; ".join(grid.title for grid in grids),
        keys=(),
        panels=tuple(charts.heat_map(grid, effects) for grid in grids),
        below=charts.scale(effects),
        print=prints.heat_maps(grids, effects),
    )
