"""Whether a cut holds on windows that the search never saw."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from tsfm_probe.models.base import Model
from tsfm_probe.prune.judge import BROKEN, METRICS, Judge, Rise
from tsfm_probe.prune.search import Found, named
from tsfm_probe.table import Table
from tsfm_probe.verdict import answer

SEARCHED, CONFIRMED = "searched", "confirmed"
LARGEST = 1e6  # percent: above it every rise is allowed


@dataclass(frozen=True)
class Looked:
    """One budget's cut on one part of the windows, by one metric.

    budget: percent. part: SEARCHED or CONFIRMED. ratio, low, high: of the error to that of the
    untouched model, infinite if a forecast is broken, with its 95 % interval over series. verdict:
    see verdict.answer, at the budget.
    """

    budget: float
    part: str
    metric: str
    ratio: float
    low: float
    high: float
    verdict: str
    series: int
    windows: int


Looks = tuple[Looked, ...]


def confirmed(searched: Judge, unseen: Judge, found: Sequence[Found], seed: int) -> Looks:
    """What the cut of each budget that has one does on both parts of the windows."""
    rows: list[Looked] = []
    for one in found:
        if not one.at:
            continue
        for part, judge in ((SEARCHED, searched), (CONFIRMED, unseen)):
            trial = judge.trial(named(one.units), "cut", one.at)
            rows += _looked(judge.frame(trial), one.budget, part, seed)
    return tuple(rows)


def of_network(judges: tuple[Judge, Judge], network: Model, found: Found, seed: int) -> Looks:
    """The same of a network to which more was done than that cut: narrowed or healed."""
    rows: list[Looked] = []
    for part, judge in zip((SEARCHED, CONFIRMED), judges, strict=True):
        rows += _looked(judge.other("network", network), found.budget, part, seed)
    return tuple(rows)


def frame(looks: Iterable[Looked]) -> pd.DataFrame:
    """A row for each, a column for each field."""
    columns = pd.Index(list(Looked.__dataclass_fields__))
    return pd.DataFrame([asdict(one) for one in looks], columns=columns)


def _looked(rows: pd.DataFrame, budget: float, part: str, seed: int) -> list[Looked]:
    verdicts = answer(Table(rows, {}), threshold_pp=min(max(budget, 0.0), LARGEST), seed=seed)
    names = ("metric", "ratio", "low", "high", "verdict", "series", "windows")
    told = {row[0]: row for row in zip(*(verdicts[name].tolist() for name in names), strict=True)}
    found = [Looked(budget, part, *told[metric]) for metric in METRICS]
    rise = Rise.of(rows)
    return [
        replace(one, ratio=BROKEN) if value == BROKEN else one
        for one, value in zip(found, (rise.mase, rise.wql), strict=True)
    ]


def risen(looks: Iterable[Looked], budget: float, part: str = CONFIRMED) -> float:
    """By how many percent the worse of both errors rises under a budget's cut."""
    here = (one for one in looks if (one.part, one.budget) == (part, budget))
    return max(100 * (one.ratio - 1) for one in here)


def chosen(found: Sequence[Found], looks: Looks, budget: float) -> Found | None:
    """The largest cut that stays within the asked budget on the windows that confirm it.

    That of the asked budget itself if it does, else that of the next smaller one that was tried;
    None if none does.
    """
    for one in reversed(found):
        if one.at and one.budget <= budget and risen(looks, one.budget) <= budget:
            return one
    return None
