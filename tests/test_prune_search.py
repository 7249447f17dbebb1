"""What a search finds: cuts that contain each other, within budgets that were measured."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.planted import with_dead
from tests.searched import path_of, rises, study
from tsfm_probe.address import Address
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune import search as searching
from tsfm_probe.prune.budget import Budget
from tsfm_probe.prune.search import Found
from tsfm_probe.prune.units import Choice

Tiny = Callable[[str], Model]
WHAT = {"chronos-bolt": "all", "chronos-t5": "parts", "toto-2": "all"}
STEPS = Budget(10.0, curve=True)
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")


@pytest.mark.parametrize("family", WHAT)
def test_a_budget_holds_after_each_step_and_cuts_contain_each_other(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    asked = study(tiny(family), tmp_path, Choice(WHAT[family]), STEPS)
    path = path_of(asked)
    *lowest, _, _, _, _, _, _ = path.found
    assert [one.budget for one in path.found[len(lowest) :]] == [0, 0.5, 1, 2, 5, 10]
    first = [step.rise.worst for step in path.steps if step.taken and step.budget == 0]
    falls = bool(first) and min(first) < min(first[-1], 0)
    assert [one.budget for one in lowest] == ([min(first)] if falls else [])
    assert all(one.rise.worst == one.budget for one in lowest)
    assert {one.taken for one in path.steps} == {True, False}
    assert all((one.rise.worst <= one.budget) == one.taken for one in path.steps)
    for small, large in zip(path.found, path.found[1:], strict=False):
        assert set(small.at) <= set(large.at)
    for one in path.found[len(lowest) :]:
        taken = [step for step in path.steps if step.taken and step.budget <= one.budget]
        assert one.units == tuple(step.unit for step in taken)
        assert len(taken) == (taken[-1].cut if taken else 0)
    last = path.found[-1]
    direct = rises(asked.searching, last.at)
    assert (last.rise.mase, last.rise.wql) == pytest.approx(direct, rel=1e-3, abs=1e-3)
    assert max(direct) <= 10.001
    assert max(map(abs, direct)) > 0.1


class Counted:
    """How often a model forecast a batch."""

    def __init__(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times, decode = 0, model.decode

        def counting(*given: object, **named: object) -> object:
            self.times += 1
            return decode(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(model, "decode", counting)


@pytest.mark.parametrize("family", ["toto-2"])
def test_a_second_start_measures_what_is_missing_and_finds_the_same(
    family: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = Choice(WHAT[family])
    first = path_of(study(tiny(family), tmp_path / "run", choice, STEPS))
    model = tiny(family)
    counted = Counted(model, monkeypatch)
    assert path_of(study(model, tmp_path / "run", choice, STEPS)) == first
    assert counted.times == 0
    shards = sorted((tmp_path / "run" / "shards").iterdir())
    shards[3].unlink()
    shards[-1].write_bytes(shards[-1].read_bytes()[:-20])
    before = {one.name: one.stat().st_mtime_ns for one in shards[4:-1]}
    again = study(model, tmp_path / "run", choice, STEPS)
    assert path_of(again) == first
    batches = len(again.searching.sweep().batches)
    assert counted.times == 3 * batches, "two trials and the untouched model"
    assert before == {one.name: one.stat().st_mtime_ns for one in shards[4:-1]}
    assert path_of(study(model, tmp_path / "other", choice, STEPS)) == first


def head_of(model: Model, number: int) -> list[Address]:
    """The head of this number of every attention."""
    return [at for at in model.anatomy.heads if at.head == number]


@pytest.mark.parametrize("family", ["chronos-bolt", "timesfm-2.5", "toto-1", "moirai-2"])
def test_dead_heads_go_and_cost_nothing(family: str, tiny: Tiny, tmp_path: Path) -> None:
    model = tiny(family)
    dead = head_of(model, 1)
    asked = study(with_dead(model, dead), tmp_path, Choice("heads"), Budget(0.001, curve=False))
    judge = asked.judges[0]
    assert np.allclose(judge.rise(judge.trial("dead", "cut", dead)).worst, 0, atol=1e-4)
    assert set(dead) <= set(path_of(asked).found[-1].at)


@pytest.mark.parametrize("what", ["layers", "all"])
def test_a_stack_keeps_a_layer_however_much_is_allowed(
    what: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("chronos-bolt")
    found = path_of(study(model, tmp_path, Choice(what), Budget(1e9, curve=False))).found[-1]
    smaller = cut(model, found.at)
    assert sorted(smaller.anatomy.layers) == ["decoder.0", "encoder.0"]
    assert np.isfinite(smaller.forecast([np.arange(30.0)], 4).values).all()
    parts = {"layers": 5, "all": 2}
    assert len(smaller.anatomy.parts) == parts[what]


def test_a_kind_of_which_enough_was_refused_is_given_up(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = path_of(study(tiny("toto-2"), tmp_path, budget=Budget(0.0)))
    monkeypatch.setattr(searching, "PATIENCE", 1)
    short = path_of(study(tiny("toto-2"), tmp_path, budget=Budget(0.0)))
    for budget in (0.0, 5.0):
        tried = [one for one in short.steps if one.budget == budget]
        refused = [one.kind for one in tried if not one.taken]
        assert len(refused) == len(set(refused))
    assert len(short.steps) < len(whole.steps)


@pytest.mark.parametrize("share", [0.9, 0.5])
def test_a_search_for_a_size_ends_there(share: float, tiny: Tiny, tmp_path: Path) -> None:
    asked = study(tiny("chronos-bolt"), tmp_path, budget=Budget(size=share))
    path = path_of(asked)

    def left(found: Found, units: int) -> float:
        at = [
            one
            for unit in asked.searching.plan
            if unit.name in found.units[:units]
            for one in unit.at
        ]
        return cut(asked.model, at).parameters / asked.model.parameters

    last = path.found[-1]
    assert left(last, len(last.units)) <= share < left(last, len(last.units) - 1)
    assert path.steps[-1].taken
