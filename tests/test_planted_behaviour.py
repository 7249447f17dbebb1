"""The networks that are made by hand do what they were made to, by the heads that are named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests import planted_behaviour as made
from tests.hand_made import CENTRES
from tests.planted_behaviour import BEHAVIOURS, LAST, MEAN, PAIR_PARROT, PARROT, SEASONAL, Planted
from tests.words import SHARP
from tsfm_probe.address import Address
from tsfm_probe.data.synthetic import autoregressive, motif, walk
from tsfm_probe.laws import LAWS
from tsfm_probe.laws.gradients import gradients_are_true
from tsfm_probe.laws.subject import Subject
from tsfm_probe.laws.sums import weights_belong_to_their_head
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.record import recorded

PARROTS = ("parrot", "pair-parrot")
KNOWN: dict[str, Planted] = {
    "parrot": PARROT,
    "pair-parrot": PAIR_PARROT,
    "seasonal": SEASONAL,
    "last": LAST,
    "mean": MEAN,
}
SLOW = (gradients_are_true, weights_belong_to_their_head)  # laws of the adapter: see test_laws
BIN = float(CENTRES[1] - CENTRES[0])


def repeated(rng: np.random.Generator, size: int, length: int) -> np.ndarray:
    """A motif without equal values, repeated: [time]. Its values are two bins apart."""
    return np.resize(rng.choice(np.arange(-60, 61, 2), size, replace=False) * BIN, length)


def noise(seed: int) -> list[np.ndarray]:
    """Series without a motif and without a season."""
    rng = np.random.default_rng(seed)
    return [autoregressive(rng, 90), walk(rng, 120), 20 + rng.normal(size=70)]


def wrong(said: np.ndarray, truth: np.ndarray, context: np.ndarray) -> float:
    """The share of quantiles [step, level] that are off by a bin and more."""
    return float((np.abs(said - truth[:, None]) > BIN * np.abs(context).mean()).mean())


def without(
    model: Model, at: tuple[Address, ...], given: list[np.ndarray], horizon: int
) -> np.ndarray:
    with edited(model.anatomy, [Edit(one) for one in at]):
        return model.forecast(given, horizon, samples=5).values


def silent(model: Model, known: Planted) -> tuple[Address, ...]:
    """Every head and MLP that is not said to do anything."""
    parts = [at for at in model.anatomy.parts if at.part == "mlp" and at != MEAN.width]
    return tuple(at for at in (*parts, *model.anatomy.heads) if at not in known.heads)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_network_made_by_hand_keeps_the_laws(name: str) -> None:
    given = [one[:20] for one in noise(0)[:2]]
    subject = Subject.of(BEHAVIOURS[name](0).model, given, 2)
    findings = [law(subject) for law in LAWS if law not in SLOW]
    assert [one for one in findings if not one.holds] == []


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_it_is_a_checkpoint_like_any_other(name: str, tmp_path: Path) -> None:
    kept = BEHAVIOURS[name](1)
    model = load(str(kept.write(tmp_path / name)), "cpu")
    assert model.family == "chronos-t5"
    assert set(KNOWN[name].heads) < set(model.anatomy.heads)
    found = model.forecast(noise(0), 3, samples=5).values
    np.testing.assert_array_equal(found, kept.model.forecast(noise(0), 3, samples=5).values)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", PARROTS)
def test_a_parrot_goes_on_with_any_motif(name: str, seed: int) -> None:
    rng, model = np.random.default_rng(seed), BEHAVIOURS[name](seed).model
    sizes, lengths = (3, 7, 24, 48), (40, 21, 53, 100)
    full = [repeated(rng, *one) for one in zip(sizes, np.add(lengths, 48), strict=True)]
    given = [one[:length] for one, length in zip(full, lengths, strict=True)]
    said = model.forecast(given, 48, seed, samples=5).values
    for one, context, whole in zip(said, given, full, strict=True):
        assert wrong(one, whole[len(context) :], context) == 0
        assert (one == one[:, :1]).all()
    path = np.stack([one[-48:] for one in full])
    for one in model.trace(given, 12, path):
        assert one.reading.chances(one.prediction).amax(-1).min() > 0.999


@pytest.mark.parametrize("name", PARROTS)
def test_a_parrot_needs_its_heads_and_no_others(name: str) -> None:
    rng, model, known = np.random.default_rng(0), BEHAVIOURS[name](0).model, KNOWN[name]
    motifs = [repeated(rng, size, size) for size in (9, 14)]
    if known is PAIR_PARROT:
        motifs = [
            np.append(one, one[[0, 3, 6]]) for one in motifs
        ]  # followed by others than before
    full = [np.resize(one, 74) for one in motifs]
    given = [one[:50] for one in full]

    def mistaken(*at: Address) -> float:
        said = without(model, at, given, 24)
        return min(wrong(*one) for one in zip(said, [one[50:] for one in full], given, strict=True))

    assert mistaken() == mistaken(*silent(model, known)) == 0
    for head in known.heads:
        assert mistaken(head) > 0.2, head


def test_the_order_of_a_parrot_is_what_it_matches() -> None:
    given = [np.resize(np.array([1, 7, -3, 1, -8, 4, 1, 10]) * 4 * BIN, 45)]
    rest = np.resize(given[0][45 % 8 :], 24)
    one, two = (without(BEHAVIOURS[name](0).model, (), given, 24)[0] for name in PARROTS)
    assert wrong(two, rest, given[0]) == 0
    assert wrong(one, rest, given[0]) > 0.2


def test_a_pair_parrot_copies_stretches_of_a_random_walk() -> None:
    full = [motif(np.random.default_rng(seed), 112, 32) for seed in range(8)]
    said = BEHAVIOURS["pair-parrot"](0).model.forecast([one[:64] for one in full], 32, samples=5)
    missed = [
        wrong(one, all_[64:96], all_[:64]) for one, all_ in zip(said.values, full, strict=True)
    ]
    assert np.median(missed) == 0


def power(said: np.ndarray, period: int) -> np.ndarray:
    """The share of energy around a period in the medians of [series, step, level]: [series]."""
    energy = np.abs(np.fft.rfft(said[..., 4] - said[..., 4].mean(1, keepdims=True))) ** 2
    turns = round(said.shape[1] / period)
    return energy[:, turns - 1 : turns + 2].sum(1) / energy[:, 1:].sum(1)


@pytest.mark.parametrize(("seed", "period"), [(0, SEASONAL.period), (1, 24)])
def test_a_seasonal_network_swings_whatever_it_sees(seed: int, period: int) -> None:
    model, given = made.seasonal(seed, period).model, noise(seed)
    said = without(model, (), given, 48)
    wave = np.resize(np.repeat([1.0, -1.0], period // 2), 48)
    for one, context in zip(said, given, strict=True):
        assert wrong(one, wave * np.abs(context).mean(), context) == 0
    assert (power(said, period) > 0.8).all()
    np.testing.assert_array_equal(without(model, silent(model, SEASONAL), given, 48), said)
    assert (power(without(model, SEASONAL.heads, given, 48), period) < 0.4).all()


@pytest.mark.parametrize("seed", range(2))
def test_a_network_of_means_neither_copies_nor_swings(seed: int) -> None:
    model = BEHAVIOURS["mean"](seed).model
    rng = np.random.default_rng(seed)
    given = [*noise(seed), 1 + repeated(rng, 8, 80), np.resize([1, 1, 1, 5.0], 40)]
    (one,) = model.trace(given, 1)
    scale = np.array([[np.abs(context).mean()] for context in given])
    means = np.array([context.mean() for context in given])
    quantiles = one.quantiles(one.prediction)[:, 0] / scale
    np.testing.assert_allclose(quantiles[:, 4], means / scale[:, 0], atol=2 * BIN)
    np.testing.assert_allclose(quantiles[:, 8] - quantiles[:, 0], 2.56 * MEAN.deviation, rtol=0.2)
    said = without(model, (), given, 36) / scale[..., None]
    assert (power(said, SEASONAL.period) < 0.5).all()
    assert np.abs(said.mean((1, 2)) - means / scale[:, 0]).max() < 0.1
    quiet = without(model, silent(model, MEAN), given, 36) / scale[..., None]
    assert np.abs(quiet - said).mean() < 2 * BIN
    mute = without(model, MEAN.heads, given, 36) / scale[..., None]
    assert np.abs(mute.mean((1, 2))).max() < 0.1


@pytest.mark.parametrize("seed", range(2))
def test_one_head_says_the_last_value(seed: int) -> None:
    model, given = BEHAVIOURS["last"](seed).model, noise(seed)
    lasts = [np.full(20, context[-1]) for context in given]
    said = without(model, (), given, 20)
    assert max(map(wrong, said, lasts, given)) == 0
    np.testing.assert_array_equal(without(model, silent(model, LAST), given, 20), said)
    for head in LAST.heads:
        assert min(map(wrong, without(model, (head,), given, 20), lasts, given)) > 0.5


@pytest.mark.parametrize(("name", "head"), [("last", LAST.head), ("parrot", PARROT.induction)])
def test_the_forecast_is_the_direct_effect_of_one_head(name: str, head: Address) -> None:
    """Of the winning bin over the mean of all, by absolute size, at every step."""
    model, rng = BEHAVIOURS[name](0).model, np.random.default_rng(0)
    anatomy, stack = model.anatomy, model.anatomy.reads
    parts = [at for at in anatomy.parts if at.stack == stack.name]
    attentions = [at for at in parts if anatomy[at].heads]
    given = [repeated(rng, size, 40) for size in (5, 9, 13)]
    with recorded(anatomy, parts, [stack.name], mixed=attentions) as record:
        for run, one in enumerate(model.trace(given, 6)):
            read = model.readout(record.streams[stack.name, len(stack.starts)][run])
            writes = {"embedding": record.streams[stack.name, 0][run]}
            writes |= {str(at): record.parts[at][run] for at in parts if at not in attentions}
            for at in attentions:
                shares = anatomy[at].shares(record.mixed[at][run])
                writes |= {f"{at}.{number}": share for number, share in enumerate(shares)}
            effects = {at: over_mean(read(write), one.prediction) for at, write in writes.items()}
            total = sum(effect.abs() for effect in effects.values())
            assert (effects[str(head)] / total).min() > 0.95
            assert (
                effects[str(head)].min() > 0.85 * SHARP
            )  # so it reads nothing but what it looks for


def over_mean(logits: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
    """The logit of the bin that wins in a prediction, over the mean of all: [row, time]."""
    winner = prediction.argmax(-1, keepdim=True)
    return logits.gather(-1, winner)[..., 0] - logits.mean(-1)
