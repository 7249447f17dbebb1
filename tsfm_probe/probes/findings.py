"""What cutting several heads or layers together found, in plain words."""

import math
from collections.abc import Sequence
from dataclasses import fields

import pandas as pd

from tsfm_probe.probes.layer_sets import largest_redundant
from tsfm_probe.probes.redundancy import JOINT, SURE, Cut, Within, cuts, index, redundant, within
from tsfm_probe.surgery.plan import Plan
from tsfm_probe.table import Table
from tsfm_probe.verdict import Row, cautions, controls, percent

METRICS = ("MASE", "WQL")
PLACES = {"": "", JOINT: " in each attention", SURE: " in each attention"}
ON_THE_SAME = (
    "The order was measured on the windows that judge it, so it looks better here than it would "
    "on new data."
)


def order_words(
    found: Sequence[Cut], places: Sequence[Within], total: int, by: str, threshold_pp: float
) -> list[str]:
    """What an order gave, a sentence or two per line.

    found, places: see redundancy. total: heads or layers that there are; by: "head" or "layer".
    """
    order = next(row.order for row in found if not row.control)
    said = []
    for metric in METRICS:
        rows = [row for row in found if row.metric == metric and not row.control]
        said.append(_index(rows, total, by, threshold_pp))
        said += [] if places else _as_measured(rows, by, threshold_pp)
    if places:
        main = [one for one in places if one.metric == METRICS[0]]
        said += _within(found, main, order, threshold_pp)
    else:
        shares = [
            one.share for one in index(found, total) if one.control and one.metric == METRICS[0]
        ]
        said.append(
            f"Control, {len(shares)} random orders: R@{threshold_pp:g} by {METRICS[0]} from "
            f"{min(shares):.2f} to {max(shares):.2f}."
        )
    return [*said, ON_THE_SAME] if order == "measured" else said


def set_words(plan: Plan, verdicts: pd.DataFrame, threshold_pp: float) -> list[str]:
    """The redundancy index of layers, as far as sets of them were tried."""
    total = sum(trial.kind == "layer" for trial in plan)
    said = []
    for metric in METRICS:
        name, cut = largest_redundant(plan, verdicts, metric)
        start = f"R@{threshold_pp:g} of layers by {metric}, among the sets tried, is"
        if not cut:
            said.append(f"{start} 0.00: none was shown to be redundant.")
            continue
        known = cuts([("", False, "", cut, total, name)], verdicts)
        (row,) = (one for one in known if one.metric == metric)
        said.append(f"{start} {cut / total:.2f}: {name}, {cut} of {total} layers: {_change(row)}.")
    return said


def control_words(table: Table, verdicts: pd.DataFrame) -> list[str]:
    """How large the controls are, and what a reader must not overlook."""
    columns = [verdicts[field.name].tolist() for field in fields(Row)]
    every = [Row(*values) for values in zip(*columns, strict=True)]
    rows = [row for row in every if row.metric == METRICS[0]]
    return controls(rows) + cautions(table.frame, rows)


def _index(rows: Sequence[Cut], total: int, by: str, limit: float) -> str:
    """The redundancy index by one metric, with what lies at it and beyond."""
    cut, order, metric = redundant(rows), rows[0].order, rows[0].metric
    start = f"R@{limit:g} of {by}s by {metric} is {cut / total:.2f}"
    if not cut:
        return f"{start}: in the order {order}, no number of {by}s was shown to be redundant."
    last = next(row for row in rows if row.cut == cut and row.verdict == "redundant")
    beyond = min(
        (row for row in rows if row.place == last.place and row.cut > cut),
        key=lambda row: row.cut,
        default=None,
    )
    then = f"; {beyond.cut} together: {_change(beyond)}" if beyond else ""
    place = PLACES.get(last.place, f" in {last.place}")
    return (
        f"{start}: the first {cut} of {total} {by}s in the order {order}{place} are redundant "
        f"together at {limit:g} %: {_change(last)}{then}."
    )


def _as_measured(rows: Sequence[Cut], by: str, limit: float) -> list[str]:
    """The largest number within the limit, where it is more than was shown to be redundant."""
    cut = within(rows, limit)
    if cut <= redundant(rows):
        return []
    row = next(one for one in rows if one.cut == cut)
    what = f"the first {cut} {by}s stay" if cut > 1 else f"the first {by} stays"
    return [f"As measured, but not surely, {what} within {limit:g} %: {_change(row)}."]


def _within(found: Sequence[Cut], places: Sequence[Within], order: str, limit: float) -> list[str]:
    """What each attention can lose, and what becomes of it when all lose it together."""
    can, of, sure, low, high = (
        sum(getattr(one, name) for one in places)
        for name in ("within", "of", "redundant", "random_low", "random_high")
    )
    said = [
        f"Heads@{limit:g} pp by {METRICS[0]}, one attention at a time in the order {order}: {can} "
        f"of {of} (in random orders {low} to {high}); shown to be redundant: {sure}."
    ]
    rows = [row for row in found if row.metric == METRICS[0]]
    for place, which in ((JOINT, "All of these"), (SURE, "Those shown to be redundant alone")):
        said += [
            f"{which}, {row.cut} heads, cut together: {_change(row)}, {row.verdict}."
            for row in rows
            if row.place == place and not row.control
        ]
    random = [row.ratio for row in rows if row.place == JOINT and row.control]
    if random:
        ends = f"{percent(min(random))} to {percent(max(random))}"
        said.append(f"Control, as many random heads of each attention: {ends}.")
    return said


def _change(row: Cut) -> str:
    if math.isnan(row.low):
        return f"{row.metric} {percent(row.ratio)}"
    return f"{row.metric} {percent(row.ratio)} ({percent(row.low)} to {percent(row.high)})"
