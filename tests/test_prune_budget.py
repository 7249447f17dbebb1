"""How much may be cut, which cut is made of those that were found, and when none is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.searched import path_of, study
from tsfm_probe.errors import CheckFailed, UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.prune import budget as budgets
from tsfm_probe.prune.budget import Budget
from tsfm_probe.prune.confirm import CONFIRMED, METRICS, Looked, chosen, confirmed, risen
from tsfm_probe.prune.judge import Judge, Rise
from tsfm_probe.prune.search import Found
from tsfm_probe.prune.study import Study, within
from tsfm_probe.prune.units import Choice

Tiny = Callable[[str], Model]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"percent": -1.0}, "--budget-pp -1.0; a number of 0 or more"),
        ({"percent": math.nan}, "--budget-pp nan; a number of 0 or more"),
        ({"percent": math.inf}, "--budget-pp inf"),
        ({"size": 1.5}, "--target-size 1.5; a share between 0 and 1"),
        ({"latency": -0.5}, "--target-latency -0.5; a share between 0 and 1"),
        ({"size": 0.5, "latency": 0.5}, "--target-size and --target-latency; one of them"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Budget(**asked)


def test_a_budget_says_what_it_is_and_which_ones_are_searched() -> None:
    assert str(Budget()) == "errors at most 1 % higher"
    assert str(Budget(size=0.5)) == "50 % of the parameters"
    assert str(Budget(2.0, latency=0.6)) == "60 % of the time, errors at most 2 % higher"
    assert Budget().steps == (0, 0.5, 1, 2, 5)
    assert Budget(3.0).steps == (0, 0.5, 1, 2, 3, 5)
    assert Budget(1.5, curve=False).steps == (0, 0.5, 1, 1.5)
    assert Budget(size=0.5).steps == budgets.LADDER
    assert Budget(7.0, size=0.5).steps == (0, 0.5, 1, 2, 5, 7)


def looks_of(*worsts: float) -> tuple[tuple[Found, ...], tuple[Looked, ...]]:
    """Cuts of the budgets 0, 1, 2, ... that raise WQL by so many percent on unseen windows."""
    found = [Found(one, ("a",), (object(),), Rise(0, 0)) for one in range(len(worsts))]  # type: ignore[arg-type]
    looks = [
        Looked(one, CONFIRMED, metric, 1 + (metric == "WQL") * rise / 100, 0.9, 1.1, "", 3, 6)
        for one, rise in enumerate(worsts)
        for metric in METRICS
    ]
    return tuple(found), tuple(looks)


def test_the_largest_cut_that_holds_is_chosen() -> None:
    for rises, budget, expected in (
        ((0.0, 0.5, 1.5, 2.0), 2.0, 2),
        ((0.0, 0.5, 2.5, 1.0), 2.0, 1),
        ((3.0, 2.1, 2.5), 2.0, None),
        ((0.0, math.inf), 2.0, 0),
    ):
        found, looks = looks_of(*rises)
        one = chosen(found, looks, budget)
        assert (None if one is None else one.budget) == expected


def apart(asked: Study) -> tuple[str, float]:
    """The unit that harms least in the search compared with what it does on unseen windows."""
    rises = [
        [judge.rise(judge.trial(one.name, one.kind, one.at)).worst for judge in asked.judges]
        for one in asked.searching.plan
    ]
    best = max(range(len(rises)), key=lambda place: rises[place][1] - max(rises[place][0], 0))
    here, there = rises[best]
    return asked.searching.plan.names[best], (max(here, 0) + there) / 2


def test_a_cut_that_does_not_hold_on_unseen_windows_is_not_made(tiny: Tiny, tmp_path: Path) -> None:
    """Of the one unit that may go, the search thinks well; a larger budget would take it."""
    model = tiny("toto-2")
    unit, percent = apart(study(model, tmp_path))
    (tmp_path / "order.txt").write_text(unit)
    choice = Choice(order=str(tmp_path / "order.txt"))
    asked = study(model, tmp_path, choice, Budget(percent, curve=False))
    path = path_of(asked)
    assert path.found[-1].units == (unit,)
    looks = confirmed(*asked.judges, path.found, 0)
    rise = risen(looks, path.found[-1].budget)
    with pytest.raises(CheckFailed, match=f"never saw an error rises by {rise:.2f} %") as failed:
        within(asked, path, looks)
    assert failed.value.exit_code == 3
    more = study(model, tmp_path, choice, Budget(rise + 0.1, curve=False))
    path = path_of(more)
    assert within(more, path, confirmed(*more.judges, path.found, 0)).units == (unit,)


def test_both_parts_are_judged_on_their_own_windows(tiny: Tiny, tmp_path: Path) -> None:
    asked = study(tiny("toto-2"), tmp_path, budget=Budget(20.0, curve=False))
    path = path_of(asked)
    looks = confirmed(*asked.judges, path.found, 0)
    for judge, part in zip(asked.judges, ("searched", "confirmed"), strict=True):
        rise = judge.rise(judge.trial("direct", "cut", path.found[-1].at))
        ratios = [one.ratio for one in looks if (one.part, one.budget) == (part, 20.0)]
        assert ratios == pytest.approx([1 + rise.mase / 100, 1 + rise.wql / 100], rel=1e-12)


def test_a_broken_forecast_is_infinitely_worse(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one window alone: the others know nothing of it."""
    asked = study(tiny("toto-2"), tmp_path, budget=Budget(20.0, curve=False))
    path, measured = path_of(asked), Judge._measured

    def broken(self: Judge, trial: Any) -> pd.DataFrame:
        frame = measured(self, trial)
        first = frame["window"].eq(frame["window"].iat[0]) & frame["series"].eq("s0")
        return frame.assign(value=frame["value"].mask(first))

    monkeypatch.setattr(Judge, "_measured", broken)
    looks = confirmed(*asked.judges, path.found, 0)
    assert risen(looks, 20.0) == math.inf
    with pytest.raises(CheckFailed, match="rises by inf %"):
        within(asked, path, looks)


def test_a_budget_that_nothing_meets_is_told_though_a_larger_one_is_met(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("toto-2")
    asked = study(model, tmp_path)
    alone = {one.name: asked.judges[0].rise(one).worst for one in asked.searching.plan}
    unit = min((one for one in alone if 0.1 < alone[one] < 5), key=lambda one: -alone[one])
    (tmp_path / "order.txt").write_text(unit)
    choice = Choice(order=str(tmp_path / "order.txt"))
    asked = study(model, tmp_path, choice, Budget(alone[unit] / 2))
    path = path_of(asked)
    assert path.found[-1].units == (unit,)
    words = f"least harmful part, {unit}, raises an error by {alone[unit]:.2f} %"
    with pytest.raises(CheckFailed, match=words):
        within(asked, path, confirmed(*asked.judges, path.found, 0))


def test_a_target_in_time_is_measured_once_for_each_cut(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that finds each network slower than the one that it measured before."""
    told: list[float] = []

    @dataclass(frozen=True)
    class Slower:
        ratio: float

    def timed(models: tuple[Model, Model], *_: Any) -> Slower:
        left, whole = (len(one.anatomy.heads) for one in reversed(models))
        told.append(left / whole + len(told) / 1000)
        return Slower(told[-1])

    monkeypatch.setattr(budgets, "latency", timed)
    asked = study(tiny("toto-2"), tmp_path, budget=Budget(latency=0.6))
    path = path_of(asked)
    assert told[-1] <= 0.6 < told[-2]
    assert len(told) == len(path.found[-1].units)
    assert within(asked, path, confirmed(*asked.judges, path.found, 0)) == path.found[-1]
