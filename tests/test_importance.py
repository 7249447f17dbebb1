"""Derivatives by gates and patches are those of the forecast's prediction, for every family."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.families import NETWORKS
from tests.planted import with_dead
from tsfm_probe.address import Address
from tsfm_probe.data.series import Series
from tsfm_probe.data.synthetic import generated
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.probes.fills import donors
from tsfm_probe.probes.importance import (
    Passage,
    attribution_patching,
    gradient_importance,
    passages,
    scalars,
)
from tsfm_probe.probes.predictors import predictors
from tsfm_probe.probes.tally import Tally
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.record import recorded

Tiny = Callable[[str], Model]
LONG = generated(1, 90, seed=1)[:2]
SHORT = Series("short", LONG[1].values[-38:] + np.arange(38.0), LONG[1].start, LONG[1].freq)
SERIES = [*LONG, SHORT]


def job(model: Model, windows: int = 1, count: int = 3) -> Job:
    return Job.of(model, SERIES[:count], Setting(horizon=5, windows=windows, samples=4, seed=3))


def alone(made: Job, place: int) -> Passage:
    """The passage of one window, from a batch of its own, with all heads and parts."""
    anatomy = made.model.anatomy
    others = donors([one.series for one in made.windows], made.setting.seed)
    found = passages(
        made, (*anatomy.heads, *anatomy.parts), 1, others, tuple(anatomy.stacks)
    )  # one at a time, shortest first
    contexts = sorted(range(len(made.windows)), key=lambda at: len(made.windows[at].seen))
    return list(found)[contexts.index(place)]


@torch.no_grad()
def scalar(made: Job, place: int, edits: list[Edit]) -> float:
    """L of a window under edits."""
    anatomy = made.model.anatomy
    with edited(anatomy, edits), recorded(anatomy, output=True) as record:
        made.model.predict([made.windows[place].seen])
    return float(scalars(record.output[-1], [place], made.setting.seed))


def slope(made: Job, place: int, at: Address, value: Tensor, change: Tensor) -> float:
    """The central difference of L of a window where `value` grows by a share of `change`."""
    step = 1e-3  # larger ones cross kinks, smaller ones drown in rounding
    up, down = (scalar(made, place, [Edit(at, value + sign * step * change)]) for sign in (1, -1))
    return (up - down) / (2 * step)


def few(model: Model) -> list[Address]:
    """A head of each attention, and all parts."""
    heads = [at for at in model.anatomy.heads if at.head == at.layer + 1]
    return [*heads, *model.anatomy.parts]


def assert_close(found: Mapping[Address, float], expected: Mapping[Address, float]) -> None:
    ours, theirs = (np.array([one[at] for at in expected]) for one in (found, expected))
    assert np.abs(theirs).max() > 0
    assert np.linalg.norm(ours - theirs) < 0.01 * np.linalg.norm(theirs)


@pytest.mark.parametrize("family", NETWORKS)
def test_a_gate_is_the_difference_of_a_little_more_and_a_little_less_of_the_head(
    family: str, tiny: Tiny
) -> None:
    made = job(tiny(family))
    found = alone(made, 1)
    gates, expected = found.gates(), {}
    for at in few(made.model):
        value = found.written[at]
        expected[at] = slope(made, 1, at, value, value)
    assert_close({at: float(gates[at]) for at in expected}, expected)


@pytest.mark.parametrize("family", NETWORKS)
def test_a_patch_is_the_difference_of_a_little_of_the_other_windows_value(
    family: str, tiny: Tiny
) -> None:
    """Also where the other window is shorter: the last tokens of both belong together."""
    made = job(tiny(family))
    others = donors([one.series for one in made.windows], made.setting.seed)
    place = next(at for at, other in enumerate(others) if made.windows[other].series == "short")
    given = made.windows[others[place]].seen
    assert len(given) < len(made.windows[place].seen)
    found, expected = alone(made, place), {}
    with torch.no_grad(), recorded(made.model.anatomy, few(made.model)) as record:
        made.model.predict([given])
    for at in few(made.model):
        value, other = found.written[at], record.parts[at][0]
        change, length = torch.zeros_like(value), other.shape[1]
        change[:, -length:] = other[:, -length:] - value[:, -length:]
        expected[at] = slope(made, place, at, value, change)
    patches = found.patches()
    assert_close({at: float(patches[at]) for at in expected}, expected)


@pytest.mark.parametrize("family", NETWORKS)
def test_taking_derivatives_changes_no_value(family: str, tiny: Tiny) -> None:
    made = job(tiny(family))
    anatomy, found = made.model.anatomy, alone(made, 0)
    addresses = (*anatomy.heads, *anatomy.parts)
    with recorded(anatomy, addresses, tuple(anatomy.stacks)) as record:
        made.model.predict([made.windows[0].seen])
    for at, value in found.written.items():
        assert torch.equal(value, record.parts[at][0]), at
    for stream, value in found.streams.items():
        assert torch.equal(value, record.streams[stream][0]), stream


@pytest.mark.parametrize("family", NETWORKS)
def test_dead_heads_are_worth_nothing_and_live_ones_something(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    first, second = [at for at in model.anatomy.parts if model.anatomy[at].heads][:2]
    dead = {replace(first, head=1), replace(second, head=3)}
    made = job(with_dead(model, dead))
    for found in (gradient_importance(made), attribution_patching(made)):
        assert tuple(found) == model.anatomy.heads
        assert all(found[at] == 0 for at in dead)
        assert all(found[at] > 0 for at in found if at.whole in (first, second) and at not in dead)


@pytest.mark.parametrize("family", NETWORKS)
def test_the_mean_is_over_single_windows_whatever_the_batch(family: str, tiny: Tiny) -> None:
    made = job(tiny(family), windows=3)
    for measure in (gradient_importance, attribution_patching):
        one, many = measure(made, batch_size=1), measure(made, batch_size=500)
        assert one == pytest.approx(many, rel=1e-3, abs=1e-6)
    by_hand = dict.fromkeys(made.model.anatomy.heads, 0.0)
    for passage in passages(made, made.model.anatomy.heads, 1):
        assert len(passage.gates()[made.model.anatomy.heads[0]]) == 1
        for at, gate in passage.gates().items():
            by_hand[at] += abs(float(gate)) / len(made.windows)
    assert gradient_importance(made) == pytest.approx(by_hand, rel=1e-3, abs=1e-6)


def test_missing_values_before_the_first_one_are_no_tokens(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    longer = [replace(one, values=np.concatenate([[np.nan] * 40, one.values])) for one in SERIES]
    plain = job(model)
    padded = Job.of(model, longer, plain.setting)
    assert len(padded.windows[-1].seen) > len(plain.windows[-1].seen)
    one, other = predictors(plain)["value"], predictors(padded)["value"]
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_one_window_has_no_other_to_patch_from(tiny: Tiny) -> None:
    made = job(tiny("chronos-bolt"), count=1)
    assert min(gradient_importance(made).values()) > 0
    with pytest.raises(UsageError, match="one window"):
        attribution_patching(made)


def test_memory_does_not_grow_with_windows(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    anatomy = model.anatomy
    addresses = (*anatomy.heads, *anatomy.parts)
    kept = []
    for windows in (2, 8):
        made = job(model, windows, count=1)
        others = donors([one.series for one in made.windows], 0)
        tally, passage = Tally(anatomy), None
        for passage in passages(made, addresses, 1, others, tuple(anatomy.stacks)):
            tally.add(passage)
        gc.collect()
        kept.append(sum(one.nbytes for one in gc.get_objects() if type(one) is Tensor))
        assert passage is not None
    assert kept[1] <= 1.01 * kept[0]
