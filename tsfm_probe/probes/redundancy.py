"""What cumulative cuts say: each number cut, how many stay within a limit, the redundancy index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import pandas as pd

from tsfm_probe.probes.curves import Curve

JOINT = "joint"
SURE = "joint-redundant"


@dataclass(frozen=True)
class Cut:
    """The first heads or layers of an order at one place, cut together: one trial by one metric.

    control: whether it is a random order beside the chosen one. place: an attention, "" for the
    whole network; JOINT, as many of each attention as it can lose within the limit; SURE, as many
    as it was shown to be redundant without. cut, of: how many heads or layers. ratio, low, high,
    verdict: see verdict.answer.
    """

    order: str
    control: bool
    place: str
    cut: int
    of: int
    trial: str
    metric: str
    ratio: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Within:
    """How many heads of one attention can go by one metric: "heads@x pp".

    within: the most whose loss raises the error by at most x percent. redundant: the most that
    were shown to be redundant. random_low, random_high: `within` in random orders.
    """

    place: str
    metric: str
    of: int
    within: int
    redundant: int
    random_low: int
    random_high: int


@dataclass(frozen=True)
class Index:
    """R@x: the largest share of all heads or layers that is redundant when cut together.

    cut, of: how many, and of how many; 0 if none were shown to be redundant.
    """

    order: str
    control: bool
    metric: str
    cut: int
    of: int
    share: float


Known = Iterable[tuple[str, bool, str, int, int, str]]


def cuts(known: Known, verdicts: pd.DataFrame) -> list[Cut]:
    """The cuts that were tried, by each metric that has a ratio.

    known: order, control, place, cut, of and trial. verdicts: see verdict.answer.
    """
    columns = ("trial", "metric", "ratio", "low", "high", "verdict")
    found: dict[str, list[tuple[str, float, float, float, str]]] = {}
    for trial, *values in zip(*(verdicts[name].tolist() for name in columns), strict=True):
        if values[-1]:
            found.setdefault(trial, []).append(tuple(values))
    return [Cut(*one, *values) for one in known for values in found.get(one[-1], ())]


def steps(curves: Sequence[Curve]) -> Known:
    """Every number that could be cut in every curve, as `cuts` takes them."""
    return [
        (curve.order, curve.control, curve.place, count, curve.of, curve.name(count))
        for curve in curves
        for count in range(1, len(curve.units) + 1)
    ]


def frame(rows: Sequence[Cut] | Sequence[Within] | Sequence[Index]) -> pd.DataFrame:
    """Results of one kind as a table with a column for each of their fields."""
    names = [one.name for one in fields(rows[0])] if rows else []
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pd.DataFrame(columns)


def within(rows: Iterable[Cut], threshold_pp: float) -> int:
    """The largest number cut whose error is at most so many percent higher; 0 if there is none."""
    return max((row.cut for row in rows if row.ratio <= 1 + threshold_pp / 100), default=0)


def redundant(rows: Iterable[Cut]) -> int:
    """The largest number cut that was shown to be redundant; 0 if there is none."""
    return max((row.cut for row in rows if row.verdict == "redundant"), default=0)


def heads_within(found: Sequence[Cut], threshold_pp: float) -> list[Within]:
    """How many heads each attention can lose alone, by each metric."""
    groups: dict[tuple[str, str], list[Cut]] = {}
    for row in found:
        if row.place not in ("", JOINT, SURE):
            groups.setdefault((row.place, row.metric), []).append(row)
    made = []
    for (place, metric), rows in groups.items():
        ours = [row for row in rows if not row.control]
        random: dict[str, list[Cut]] = {}
        for row in rows:
            if row.control:
                random.setdefault(row.order, []).append(row)
        at_random = [within(one, threshold_pp) for one in random.values()]
        counts = within(ours, threshold_pp), redundant(ours), min(at_random), max(at_random)
        made.append(Within(place, metric, rows[0].of, *counts))
    return made


def index(found: Sequence[Cut], total: int) -> list[Index]:
    """The redundancy index of every order and metric; total: heads or layers there are."""
    groups: dict[tuple[str, bool, str], list[Cut]] = {}
    for row in found:
        groups.setdefault((row.order, row.control, row.metric), []).append(row)
    return [
        Index(*key, cut, total, cut / total)
        for key, cut in ((key, redundant(rows)) for key, rows in groups.items())
    ]
