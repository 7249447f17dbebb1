"""What one pass predicts is read as the forecast reads it, and aimed at as it is read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.families import NETWORKS, contexts, write_checkpoint
from tsfm_probe.errors import UsageError
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.draws import uniforms
from tsfm_probe.models.moirai.tokens import batches, zeros
from tsfm_probe.models.passes import Pass
from tsfm_probe.models.reading import LEVELS, Bins, Mixtures, Quantiles

Tiny = Callable[[str], Model]
REACH = {
    "chronos-bolt": 16,
    "chronos-2": 16,
    "timesfm-2.5": 16,
    "moirai-2": 16,
    "timesfm-3": 37,
    "toto-2": 37,
}
COUNT = 2000
DRAWN = ("toto-1", "moirai-1.1")


def given() -> list[np.ndarray]:
    """Of several levels and lengths, with gaps, on a line, and constant."""
    far, negative = 1e3 + contexts(2, 20, seed=5)[0], -contexts(2, 64, seed=6)[0]
    late = contexts(2, 30, seed=3)[0]
    late[:7] = np.nan
    return [*contexts(), far, negative, late, np.arange(40.0) * 3, np.full(20, 3.7)]


def first(model: Model, horizon: int) -> Pass:
    return next(model.trace(given(), horizon))


def truth(horizon: int) -> np.ndarray:
    """What follows the contexts, with gaps; nothing is known of the first series."""
    last = np.array([one[-1] for one in given()])[:, None]
    made = last + np.random.default_rng(1).normal(size=(len(last), horizon))
    made[0], made[1, ::2] = np.nan, np.nan
    return made


@pytest.fixture
def plain(tiny: Tiny, tmp_path: Path) -> Tiny:
    """Tiny models that forecast as one pass predicts."""
    off = {"use_continuous_quantile_head": False, "force_flip_invariance": False}

    def made(family: str) -> Model:
        if family != "timesfm-2.5":
            return tiny(family)
        return load(str(write_checkpoint(family, tmp_path, **off)), "cpu")

    return made


@pytest.mark.parametrize("family", REACH)
@pytest.mark.parametrize("share", [1, 3])
def test_one_pass_is_read_as_the_forecast(family: str, share: int, plain: Tiny) -> None:
    model, horizon = plain(family), REACH[family] // share
    (only,) = model.trace(given(), horizon)
    expected = model.forecast(given(), horizon).values
    for found, one in zip(only.quantiles(only.prediction), expected, strict=True):
        assert relative(found, one) < 1e-5


@pytest.mark.parametrize(
    "fields",
    [{"use_stitching": False}, {"use_iterative_cpm_revin": False}, {"output_patch_len": 32}],
    ids=str,
)
def test_timesfm_3_is_read_as_its_config_says(fields: dict[str, int], tmp_path: Path) -> None:
    model = load(str(write_checkpoint("timesfm-3", tmp_path, **fields)), "cpu")
    (only,) = model.trace(given(), 70)
    expected = model.forecast(given(), 70).values
    assert relative(only.quantiles(only.prediction)[:5], expected[:5]) < 1e-5


@pytest.mark.parametrize("family", DRAWN)
def test_draws_are_those_of_the_forecast_from_the_same_numbers(family: str, tiny: Tiny) -> None:
    model, at = tiny(family), torch.tensor(LEVELS, dtype=torch.float64)
    for one in given():
        choice, place = uniforms([one], 0, 50, 2)[0].unbind(-1)
        reading = model.reading([one])
        assert isinstance(reading, Mixtures)
        with torch.no_grad():
            made = model.predict([one])
        rows = made.flatten(0, 1) if made.ndim > 3 else made
        drawn = reading.drawn(rows, choice, place)[0, 0].quantile(at)
        expected = model.forecast([one], 1, samples=50).values[0, 0]
        np.testing.assert_allclose(drawn, expected, rtol=1e-6, atol=1e-9)


def shares(one: Pass, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of what a pass says lies below values [row, step], and how much not above."""
    made, at = one.reading, torch.from_numpy(values)[..., None]
    if isinstance(made, Bins):
        units, weight = made.values.double()[:, None], made.chances(one.prediction)
    else:
        assert isinstance(made, Mixtures)
        choice, place = torch.rand(2, COUNT, generator=torch.Generator().manual_seed(0)).double()
        units = made.drawn(one.prediction, choice, place)[:, : one.steps]
        weight = torch.full_like(units, 1 / COUNT)
    slack = 1e-6 * at.abs()
    below, upto = (units < at - slack), (units <= at + slack)
    return (weight * below).sum(-1).numpy(), (weight * upto).sum(-1).numpy()


@pytest.mark.parametrize("family", [*DRAWN, "chronos-t5"])
def test_quantiles_are_those_of_many_samples(family: str, tiny: Tiny) -> None:
    """Chronos-T5's are exact, where the forecast draws from all tokens; the others' are of a few
    even draws, as good as a hundredth or two.

    The forecast's own and those of the draws they are compared with have four standard errors each.
    """
    model = tiny(family)
    if family == "chronos-t5":
        model.net.config.chronos_config["top_k"] = 0
    one = next(model.trace(given()[5:], 6))
    found = one.quantiles(one.prediction)
    drawn = model.forecast(given()[5:], one.steps, samples=COUNT).values
    for place, level in enumerate(LEVELS):
        error = 4 * np.sqrt(level * (1 - level) / COUNT)
        own, allowed = (0.0, 1e-9) if family == "chronos-t5" else (error, 0.02)
        for values, off in ((found, own + allowed), (drawn, own + error)):
            below, upto = shares(one, values[..., place])
            assert ((below <= level + off) & (level - off <= upto)).all()


@pytest.mark.parametrize("family", REACH)
def test_the_quantile_that_is_aimed_at_is_the_one_that_is_read(family: str, tiny: Tiny) -> None:
    one = first(tiny(family), 16)
    read, known = one.quantiles(one.prediction), truth(16)
    for target, place in (("median", 4), ("0.9", 8)):
        found = restored(one, one.aim(target, known)(one.prediction))
        assert relative(found, read[..., place]) < 1e-6
    assert isinstance(one.reading, Quantiles)
    units = one.reading.restore(one.reading.split(one.prediction))[:, : one.steps].cpu()
    hit, here = restored(one, one.aim("truth", known)(one.prediction)), ~np.isnan(known)
    least = np.abs(units.double().numpy() - known[..., None]).min(-1)
    np.testing.assert_allclose(np.abs(hit - known)[here], least[here], rtol=1e-3, atol=1e-3)


def restored(one: Pass, numbers: Tensor) -> np.ndarray:
    """Numbers [row, step] on the scale of the network in units of the series."""
    assert isinstance(one.reading, Quantiles)
    every = functional.pad(numbers.nan_to_num(), (0, one.reading.steps - one.steps))
    return one.reading.restore(every[..., None])[:, : one.steps, 0].double().numpy()


def test_the_bin_that_is_aimed_at_is_the_one_that_is_read(tiny: Tiny) -> None:
    one = first(tiny("chronos-t5"), 3)
    made, known = one.reading, truth(3)
    assert isinstance(made, Bins)
    chances = made.chances(one.prediction)[:, 0]
    assert (chances[:, 1] == 0).all(), "the end token"
    median = torch.from_numpy(one.quantiles(one.prediction)[..., 4])
    last = 127 - (made.values.double() - torch.from_numpy(known[:, :1])).abs().flip(-1).argmin(-1)
    allowed = {
        "median": made.values.double() == median,
        "truth": torch.arange(128) == last[:, None],
        "bin": chances == chances.amax(-1, keepdim=True),
    }
    for target, tokens in allowed.items():
        found = one.aim(target, known)(one.prediction)
        hit = (found == one.prediction[:, 0]) & tokens
        assert (hit.any(-1) | found[:, 0].isnan()).all(), target


def test_the_density_of_toto_1_is_that_of_its_draws(tiny: Tiny) -> None:
    """Between two quantiles of each step it sums to the share of draws between them."""
    one = first(tiny("toto-1"), 8)
    low, high = np.moveaxis(one.quantiles(one.prediction)[..., [1, 7]], -1, 0)
    assert isinstance(one.reading, Mixtures)
    grid = (np.arange(400) + 0.5) / 400
    summed = 0.0
    for share in grid:
        value = torch.from_numpy(low + share * (high - low))
        summed = summed + one.reading.density(one.prediction, value).detach().exp().numpy()
    np.testing.assert_allclose(summed * (high - low) / len(grid), 0.6, atol=0.04)


def test_the_density_of_moirai_1_is_that_by_which_it_chooses_patches(tiny: Tiny) -> None:
    model, horizon = tiny("moirai-1.1"), 6
    whole = contexts(4, 40, seed=2)[:1] + contexts(4, 40, seed=2)[2:3]
    (batch,) = batches(whole, None, 99, zeros)
    expected = -model._loss(batch, model.patch_size, horizon)  # type: ignore[attr-defined]
    (one,) = model.trace([series[:-horizon] for series in whole], horizon)
    known = np.stack([series[-horizon:] for series in whole])
    found = one.aim("truth", known)(one.prediction)
    assert relative(found.mean(dim=1), expected) < 1e-5


@pytest.mark.parametrize("family", NETWORKS)
def test_what_is_aimed_at_has_a_gradient_where_the_truth_is_known(family: str, tiny: Tiny) -> None:
    one, known = first(tiny(family), 5), truth(5)
    made = one.prediction.clone().requires_grad_()
    missing = torch.from_numpy(np.isnan(known[:, : one.steps]))
    for target in one.reading.targets:
        named = "0.75" if target == "level" else target
        found = one.aim(named, known)(made)
        assert torch.equal(found.isnan(), missing & torch.tensor(target == "truth"))
        (gradient,) = torch.autograd.grad(found.nansum(), made)
        assert gradient.isfinite().all()
        lost = missing.all(dim=1) if target == "truth" else torch.zeros(len(made)).bool()
        assert torch.equal(gradient.flatten(1).any(dim=1), ~lost)


@pytest.mark.parametrize("family", NETWORKS)
def test_another_target_is_refused_with_what_is_allowed(family: str, tiny: Tiny) -> None:
    one = first(tiny(family), 1)
    for target in ("mode", "1.5", *{"bin", "median", "centre"}.difference(one.reading.targets)):
        with pytest.raises(UsageError, match=f"'{target}'.*{one.reading.targets[0]}.*truth"):
            one.aim(target, truth(1))
