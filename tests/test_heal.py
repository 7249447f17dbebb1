"""A smaller network learns what the original predicts, and never gets worse at it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from tests.families import NETWORKS
from tsfm_probe.errors import DataError, UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune import heal as healing
from tsfm_probe.prune.heal import Healed, Recipe, distance, heal
from tsfm_probe.prune.lessons import Lesson, Lessons

Tiny = Callable[[str], Model]
Progress = Callable[[int, int, str], None]
WALKS = [np.random.default_rng(one).normal(size=150).cumsum() for one in range(6)]
LESSONS = Lessons(WALKS, 24, 8, size=4)


def without_layer(model: Model) -> Model:
    """The model without its second layers."""
    return cut(model, [at for at in model.anatomy.parts if at.layer == 1])


def weights(model: Model) -> dict[str, torch.Tensor]:
    return {name: one.detach().clone() for name, one in model.net.named_parameters()}


def same(one: Model, other: Model) -> bool:
    pairs = zip(one.net.parameters(), other.net.parameters(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
def test_every_family_gets_nearer_to_its_original(family: str, tiny: Tiny, tmp_path: Path) -> None:
    original = tiny(family)
    smaller, before = without_layer(original), weights(original)
    smaller.net.requires_grad_(False)
    mode = [module.training for module in smaller.net.modules()]
    done = heal(original, smaller, LESSONS, Recipe(steps=20, rate=1e-3, every=10), tmp_path)
    assert done.after < 0.97 * done.before
    assert done.steps == 20
    assert all(torch.equal(one, before[name]) for name, one in weights(original).items())
    assert not any(one.requires_grad for one in smaller.net.parameters())
    assert all(one.grad is None for one in smaller.net.parameters())
    assert [module.training for module in smaller.net.modules()] == mode
    again = without_layer(tiny(family))
    again.net.load_state_dict(smaller.net.state_dict())
    assert measured(original, again, tmp_path / "again") == pytest.approx(done.after, rel=1e-5)


def measured(original: Model, smaller: Model, folder: Path) -> float:
    """How far a network is from the original as it is."""
    folder.mkdir(exist_ok=True)
    return heal(original, smaller, LESSONS, Recipe(steps=1, rate=1e-12), folder).before


def test_healing_that_only_harms_leaves_the_weights_as_they_were(
    tiny: Tiny, tmp_path: Path
) -> None:
    original = tiny("chronos-bolt")
    smaller = without_layer(original)
    before = weights(smaller)
    recipe = Recipe(steps=8, rate=10.0, every=2)
    done = heal(original, smaller, LESSONS, recipe, tmp_path)
    assert done.after == done.before
    assert all(torch.equal(one, before[name]) for name, one in weights(smaller).items())
    again = without_layer(original)
    assert heal(original, again, LESSONS, recipe, tmp_path).after == done.after
    assert same(smaller, again)


class Killed(Exception):
    """What stops a healing in the middle."""


def healed(tiny: Tiny, family: str, folder: Path, progress: Progress | None = None) -> Model:
    original = tiny(family)
    smaller = without_layer(original)
    folder.mkdir(exist_ok=True)
    heal(original, smaller, LESSONS, Recipe(steps=14, seed=5, every=4), folder, progress)
    return smaller


@pytest.mark.parametrize("family", ["chronos-t5", "timesfm-2.5"])
def test_a_healing_that_was_killed_goes_on_to_the_same_weights(
    family: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = healed(tiny, family, tmp_path / "whole")
    learn, steps = healing._Healing._learn, list[int]()

    def killed(self: healing._Healing, number: int, share: float) -> None:
        steps.append(number)
        if len(steps) == 11:
            raise Killed
        learn(self, number, share)

    monkeypatch.setattr(healing._Healing, "_learn", killed)
    with pytest.raises(Killed):
        healed(tiny, family, tmp_path / "halves")
    resumed = healed(tiny, family, tmp_path / "halves")
    assert steps == [*range(11), *range(8, 14)]  # after 10 steps, of which 8 were written
    assert same(whole, resumed)
    told: list[str] = []
    again = healed(tiny, family, tmp_path / "halves", lambda *one: told.append(one[2]))
    assert len(steps) == 17
    assert same(whole, again)


def test_each_step_learns_from_other_stretches(tiny: Tiny, tmp_path: Path) -> None:
    given: list[bytes] = []

    class Noted(Lessons):
        def batch(self, rng: np.random.Generator, held_out: bool = False) -> Lesson:
            made = super().batch(rng, held_out)
            given.append(made[1].tobytes())
            return made

    original = tiny("chronos-bolt")
    lessons = Noted(WALKS, 24, 8, size=4)
    heal(original, without_layer(original), lessons, Recipe(steps=6), tmp_path)
    assert len(set(given)) == len(given) == 6 + healing.HELD_OUT


def test_another_seed_gives_other_weights(tiny: Tiny, tmp_path: Path) -> None:
    def made(seed: int) -> Model:
        original = tiny("chronos-bolt")
        smaller, folder = without_layer(original), tmp_path / str(seed)
        folder.mkdir()
        heal(original, smaller, LESSONS, Recipe(steps=4, seed=seed, every=2), folder)
        return smaller

    assert not same(made(0), made(1))


def test_a_healing_that_is_stopped_leaves_the_best_weights(tiny: Tiny, tmp_path: Path) -> None:
    original = tiny("chronos-bolt")
    smaller, seen = without_layer(original), list[dict[str, torch.Tensor]]()

    def stop(done: int, *_: object) -> None:
        seen.append(weights(smaller))
        if done == 20:
            raise Killed

    with pytest.raises(Killed):
        heal(original, smaller, LESSONS, Recipe(steps=30, rate=3e-3, every=10), tmp_path, stop)
    found = measured(original, smaller, tmp_path / "again")
    start = measured(original, without_layer(original), tmp_path / "start")
    assert found < start
    assert all(torch.equal(seen[9][name], one) for name, one in weights(smaller).items())
    assert all(one.grad is None for one in smaller.net.parameters())


def test_a_healing_of_minutes_ends_in_time(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that goes on by a second whenever it is looked at."""
    clock = iter(range(10_000))
    monkeypatch.setattr(healing, "monotonic", lambda: float(next(clock)))
    original = tiny("chronos-bolt")
    told: list[tuple[int, int]] = []

    def healed() -> Healed:
        smaller, recipe = without_layer(original), Recipe(minutes=0.5, every=5)
        return heal(original, smaller, LESSONS, recipe, tmp_path, lambda *one: told.append(one[:2]))

    done = healed()
    assert 30 <= done.seconds <= 33
    assert 10 <= done.steps <= 16
    assert told[-1] == (30, 30)
    assert healed().steps == done.steps


def test_the_rate_rises_and_falls() -> None:
    recipe = Recipe(steps=100, rate=2.0)
    assert recipe.rate_at(0.0) == pytest.approx(0.2)
    assert recipe.rate_at(0.05) == pytest.approx(2.0, rel=0.02)
    assert recipe.rate_at(0.5) == pytest.approx(1.0)
    assert recipe.rate_at(1.0) == pytest.approx(0.0)


@pytest.mark.parametrize("asked", [{}, {"steps": 1, "minutes": 1.0}, {"steps": -1}], ids=str)
def test_steps_or_minutes_are_asked_for(asked: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="a number of steps or of minutes above 0"):
        Recipe(**asked)  # type: ignore[arg-type]


def test_a_folder_of_another_healing_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    original = tiny("chronos-bolt")

    def run(recipe: Recipe, lessons: Lessons = LESSONS) -> Healed:
        return heal(original, without_layer(original), lessons, recipe, tmp_path)

    run(Recipe(steps=2))
    for recipe, lessons in (
        (Recipe(steps=3), LESSONS),
        (Recipe(steps=2, seed=1), LESSONS),
        (Recipe(steps=2), Lessons(WALKS[:5], 24, 8, size=4)),
    ):
        with pytest.raises(UsageError, match="another network, other series or other settings"):
            run(recipe, lessons)
    whole = (tmp_path / "healing.safetensors").read_bytes()
    (tmp_path / "healing.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="delete it"):
        run(Recipe(steps=2))


def test_half_precision_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    original = tiny("chronos-bolt")
    smaller = without_layer(original)
    smaller.net.bfloat16()
    with pytest.raises(UsageError, match="it is not float32"):
        heal(original, smaller, LESSONS, Recipe(steps=1), tmp_path)


def test_the_distance_is_a_divergence_or_a_share_of_the_variance() -> None:
    rng = torch.Generator().manual_seed(0)
    made, told = torch.randn(2, 4, 3, 11, generator=rng)
    divergence = kl_divergence(Categorical(logits=told), Categorical(logits=made))
    torch.testing.assert_close(distance(made, told, tokens=True), divergence.mean())
    assert distance(told, told, tokens=True) == 0.0
    nothing = torch.full_like(told, float(told.mean()))
    assert distance(nothing, told, tokens=False) == pytest.approx(1.0, rel=0.01)
    torch.testing.assert_close(
        distance(10 * made, 10 * told, tokens=False), distance(made, told, tokens=False)
    )


def test_what_is_measured_by_is_never_learned_from() -> None:
    """Series that count their own steps: each value says where it was taken from."""
    lessons = Lessons.of([np.arange(100.0), np.arange(30.0)], 12, 8)
    learned, held = set[float](), set[float]()
    for seed in range(60):
        contexts, path = lessons.batch(np.random.default_rng(seed))
        learned |= {*np.concatenate([*contexts, path.ravel()])}
        contexts, path = lessons.batch(np.random.default_rng(seed), held_out=True)
        for context, after in zip(contexts, path, strict=True):
            assert after[0] == context[-1] + 1
            assert len(context) in (12, 6, 3)
            held |= {*after} if after[0] > 30 else set()
            assert after[0] >= 80 or 22 <= after[0] < 30
    assert learned == set(map(float, range(80)))
    assert held == set(map(float, range(80, 100)))


def test_series_too_short_to_learn_from_are_left_out() -> None:
    lessons = Lessons.of([np.arange(16.0), np.arange(17.0), np.full(90, np.nan)], 12, 8)
    assert [len(one) for one in lessons.series] == [17]
    with pytest.raises(DataError, match="longest of 1 series has 16 values; at least 17"):
        Lessons.of([np.arange(16.0)], 12, 8)


def test_generated_lessons_are_those_of_their_seed() -> None:
    one, again, other = (Lessons.generated(20, 5, seed, count=1) for seed in (0, 0, 1))
    assert len(one.series) == 8
    assert all(np.array_equal(*pair) for pair in zip(one.series, again.series, strict=True))
    assert not np.array_equal(one.series[0], other.series[0])
