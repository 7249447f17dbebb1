"""Lens, likeness and overthinking say of hand-made numbers what can be worked out by hand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import entropy

from tests.families import NETWORKS, contexts
from tests.planted import with_dead
from tsfm_probe.address import Address
from tsfm_probe.attribution.lens import Lens, crystallisation, distribution
from tsfm_probe.attribution.likeness import Likeness, cosines, entropic_rank
from tsfm_probe.attribution.overthinking import (
    critical,
    overthinking,
    resampled,
    stretch_length,
    told,
)
from tsfm_probe.attribution.walk import Cases, Walk
from tsfm_probe.data.synthetic import generated
from tsfm_probe.data.windows import windows
from tsfm_probe.metrics import mase
from tsfm_probe.models.base import Model

Tiny = Callable[[str], Model]
HORIZON = 7
SEED = 3


def lens(model: Model, cases: Cases) -> Lens:
    made = Lens(model, cases.horizon)
    for glimpse in Walk(model, cases).glimpses():
        made.add(glimpse)
    return made


@pytest.mark.parametrize("family", NETWORKS)
def test_the_last_layer_forecasts_as_the_network_does(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    kept, _ = windows(generated(1, 90, seed=1)[:3], HORIZON, context=48, count=2)
    kept[0].target[2] = np.nan
    cases = Cases.of(kept)
    made = lens(model, cases)
    table = made.table().pivot_table("value", "layer", "measure")
    last, first = table.loc[made.layers[-1]], table.loc["embedding"]
    assert last["distance from the last"] < 1e-5 < 1e-3 < first["distance from the last"]
    if "divergence" in table:
        assert abs(last["divergence"]) < 1e-9 < 1e-3 < first["divergence"]
    errors = made.errors().pivot(index="case", columns="layer", values="error")
    for place, (window, context) in enumerate(zip(kept, cases.contexts, strict=True)):
        medians = [one.median()[0] for one in model.trace([context], HORIZON)]
        expected = mase(window.target, np.concatenate(medians), window.history, window.season)
        np.testing.assert_allclose(errors.loc[place, made.layers[-1]], expected, rtol=1e-4)


def test_errors_of_layers_are_means_of_known_steps(tiny: Tiny) -> None:
    truth = np.full((5, HORIZON), np.nan)
    truth[:2, 1] = 3.0
    made = lens(tiny("chronos-bolt"), Cases(contexts(), truth, np.array([1.0, np.nan, 1, 1, 1])))
    errors = made.errors().groupby("case")["error"]
    assert list(errors.count()) == [3, 0, 0, 0, 0]
    table = made.table().set_index("measure")
    assert set(table.loc["error", "step"]) == {1}
    assert set(table.loc["error", "count"]) == {1}
    assert set(table.loc["width", "count"]) == {4}


def hand_made() -> np.ndarray:
    """Chances of 40 bins, [layer, 1, 1, bin]: even, one bin, three peaks, the ends, drawn."""
    even, one, three, ends = np.full(40, 1 / 40), np.zeros(40), np.full(40, 0.01), np.zeros(40)
    one[17] = 1.0
    three[[5, 7, 30]] = 0.21
    ends[[0, 39]] = 0.5
    drawn = np.random.default_rng(0).dirichlet(np.ones(40))
    return np.stack([even, one, three, ends, drawn])[:, None, None]


def test_a_distribution_is_told_as_scipy_has_it() -> None:
    chances = hand_made()
    found = {name: one[:, 0, 0] for name, one in distribution(chances).items()}
    last = chances[-1, 0, 0]
    for place, one in enumerate(chances[:, 0, 0]):
        top = np.sort(one)[-10:]
        np.testing.assert_allclose(found["entropy"][place], entropy(one), atol=1e-12)
        np.testing.assert_allclose(found["top 10 entropy"][place], entropy(top), atol=1e-12)
        assert found["likely bins"][place] == sum(one > 0.01)
        if one.all():
            np.testing.assert_allclose(found["divergence"][place], entropy(last, one), atol=1e-12)
    assert list(found["likely bins"][:4]) == [40, 1, 3, 2]
    assert (found["divergence"][[1, 3]] > 100).all(), "what cannot be is far away, and finite"
    assert list(found["peaks"][1:4]) == [1, 3, 2]


@pytest.mark.parametrize(
    ("errors", "layer"),
    [
        ([3.0, 2.0, 1.05, 1.0], 2),
        ([1.0, 2.0, 1.0, 1.0], 2),
        ([0.5, 0.9, 1.0], 0),
        ([3.0, 1.06, 1.0], 2),
        ([1.0, np.nan, 1.0, 1.0], 2),
        ([0.0, 0.0], 0),
        ([1.0, 1.0, np.nan], 3),
    ],
)
def test_forecasts_crystallise_where_they_stay_as_good(errors: list[float], layer: int) -> None:
    assert crystallisation(errors) == layer


def test_ranks_of_heads_lie_between_alike_and_orthogonal() -> None:
    torch.manual_seed(0)
    one, apart = torch.randn(1, 2, 3, 8), torch.eye(8)[:4, None, None].expand(4, 2, 3, 8)
    for shares, rank in (
        (one.expand(4, 2, 3, 8), 1),
        (torch.tensor([1.0, -2, 3, 0.1])[:, None, None, None] * one, 1),
        (apart, 4),
        (torch.cat([apart[:2], 5 * apart[:2]]), 2),
        (torch.cat([apart[:3], 0 * apart[:1]]), 3),
    ):
        found = entropic_rank(cosines(shares))
        assert found.shape == (6,)
        torch.testing.assert_close(found, torch.full((6,), float(rank)).double())
    shares = apart.clone()
    shares[:, 0, 1] = 0.0
    assert len(cosines(shares)) == 5, "a token at which nothing was written"


@pytest.mark.parametrize("family", NETWORKS)
def test_heads_that_write_nothing_do_not_count(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    at = model.anatomy.attentions[0]
    heads = [Address(at.stack, at.layer, at.part, head) for head in range(4)]
    with_dead(model, heads[2:3])
    made = Likeness(model.anatomy, model.anatomy.attentions)
    cases = Cases(contexts(), np.full((5, HORIZON), np.nan), np.ones(5))
    for glimpse in Walk(model, cases, model.anatomy.attentions).glimpses():
        made.add(glimpse)
    ranks, table = made.ranks().set_index("attention"), made.table()
    assert ((ranks["rank"] >= 1) & (ranks["rank"] <= 4 + 1e-9)).all()
    assert 1 <= ranks.loc[str(at), "rank"] <= 3 + 1e-9
    own = table[table["attention"] == str(at)].pivot(index="head", columns="other", values="cosine")
    assert own[2].isna().all()
    np.testing.assert_allclose(np.diag(own)[[0, 1, 3]], 1.0)


@pytest.mark.parametrize("length", [16, 32, 48, 64, 100, 512, 2048, 4096])
def test_a_context_shows_what_followed_twice_at_least(length: int) -> None:
    size = stretch_length(length)
    true, false = (told(size, length, misleading, SEED, 4) for misleading in (False, True))
    for one, other, truth in zip(true.contexts, false.contexts, true.truth, strict=True):
        assert 5 * size <= len(one) == len(other) <= length
        begins = one[-size:]
        for stop in range(len(one) - size, 0, -2 * size):
            np.testing.assert_array_equal(one[stop - size : stop], truth)
            np.testing.assert_array_equal(one[stop - 2 * size : stop - size], begins)
        swapped = np.zeros(len(one), dtype=bool)
        swapped[-2 * size : -size] = True
        np.testing.assert_array_equal(one == other, ~swapped)
    np.testing.assert_array_equal(true.truth, false.truth)
    np.testing.assert_array_equal(true.scale, np.abs(np.diff(true.truth)).mean(axis=1))
    assert len({len(one) // (2 * size) for one in true.contexts}) == 1


@pytest.mark.parametrize("family", ["chronos-bolt", "timesfm-3", "moirai-1.1"])
def test_overthinking_compares_errors_of_layers(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    table = overthinking(model, SEED, 4).set_index("layer")
    size = stretch_length(model.context_length)
    for name, misleading in (("true", False), ("misleading", True)):
        cases = told(size, model.context_length, misleading, SEED, 4)
        medians = [
            np.concatenate([made.median()[0] for made in model.trace([one], size)])
            for one in cases.contexts
        ]
        errors = np.abs(np.array(medians) - cases.truth).mean(axis=1) / cases.scale
        np.testing.assert_allclose(table[name].iloc[-1], errors.mean(), rtol=1e-4)
    np.testing.assert_allclose(table["difference"], table["misleading"] - table["true"])
    assert ((table["low"] <= table["difference"]) & (table["difference"] <= table["high"])).all()


def test_the_critical_layer_is_where_the_curves_part_for_good() -> None:
    noise = np.random.default_rng(0).normal(size=(32, 1))
    noise -= noise.mean()
    errors = np.array([0.0, 5.0, 0.0, 2.0, 1.0]) + noise * [1, 0.1, 1, 0.1, 0.1]
    low, high = resampled(errors, 0)
    table = pd.DataFrame({"layer": list("01234"), "true": 1.0, "low": low, "high": high})
    assert critical(table) == "3"
    assert critical(table.iloc[:3]) == ""
    assert critical(table.iloc[[1, 3]]) == "1"
    assert critical(table.assign(low=[1, 1, 1, np.nan, 1])) == "4"
    np.testing.assert_allclose(resampled(np.ones((5, 2)), 0), 1.0)
