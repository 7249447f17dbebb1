"""Scores find what was planted in the weights."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.assembled import ranks
from tests.planted import with_dead, with_twin
from tsfm_probe.address import Address
from tsfm_probe.models.base import Model
from tsfm_probe.scores.circuits import skew_fraction
from tsfm_probe.scores.spectrum import (
    effective_rank,
    energy,
    participation_ratio,
    spectra,
    stable_rank,
)
from tsfm_probe.scores.weights import METHODS, head_order, scored

Tiny = Callable[[str], Model]


def _planted(values: list[float], width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Query and key rows [1, head_dim, width] whose product has these singular values."""
    generator = torch.Generator().manual_seed(seed)
    left, right, both = (
        torch.linalg.qr(torch.randn(size, len(values), generator=generator, dtype=torch.float64))[0]
        for size in (width, width, len(values))
    )
    # The scale and the mixing within a head are free: the product does not show them.
    mixed = both @ torch.diag(torch.arange(1.0, len(values) + 1).double())
    query = mixed @ torch.diag(torch.tensor(values).double()) @ left.T
    return query[None], (torch.linalg.inv(mixed).T @ right.T)[None]


@pytest.mark.parametrize(
    "values",
    [
        [4.0, 2.0, 1.0, 0.5],
        [1.0, 1.0, 1.0, 1.0],
        [1.0, 1e-3, 1e-6, 1e-9],  # lost in Gram matrices
        [3.0, 1.0, 0.0, 0.0],
    ],
)
def test_planted_singular_values_are_found_and_scored(values: list[float]) -> None:
    found = spectra(*_planted(values, 20))
    np.testing.assert_allclose(found[0], values, rtol=1e-6, atol=1e-13)
    expected = ranks(np.array(values))
    scores = [float(one(found)) for one in (stable_rank, effective_rank, participation_ratio)]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    np.testing.assert_allclose(
        energy(found)[0], np.cumsum(np.square(values)) / np.square(values).sum(), rtol=1e-6
    )


def test_heads_wider_than_the_stream_have_zeros_behind_its_width() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 3, 6, 4, generator=generator, dtype=torch.float64)
    expected = torch.linalg.svdvals(query.mT @ key)
    torch.testing.assert_close(spectra(query, key)[:, :4], expected)
    assert float(spectra(query, key)[:, 4:].max()) < 1e-12


def test_a_head_of_rank_one_and_a_head_without_queries_come_first(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    one, none = Address.parse("encoder.1.self.2"), Address.parse("decoder.0.cross.3")
    with torch.no_grad():
        rows = model.anatomy[one].rows("q", 2)
        rows[1:] = rows[0]
        model.anatomy[none].rows("q", 3).zero_()
    table = scored(model, METHODS).pivot(index="address", columns="method", values="value")
    assert head_order(model)[:2] == [none, one]
    ranked = ["stable-rank", "effective-rank", "participation-ratio"]
    np.testing.assert_allclose(table.loc[str(one), ranked], 1.0, rtol=1e-9)
    assert (table.loc[str(none), ranked] == 0).all()


def test_equal_heads_have_equal_scores_and_stand_as_in_the_network(tiny: Tiny) -> None:
    first, twin = Address.parse("encoder.0.self.1"), Address.parse("encoder.0.self.3")
    model = with_twin(tiny("chronos-bolt"), first, twin)
    table = scored(model, METHODS).pivot(index="method", columns="address", values="value")
    np.testing.assert_allclose(table[str(first)], table[str(twin)], rtol=1e-9)
    order = head_order(model)
    assert sorted(order) == sorted(model.anatomy.heads)
    values = table.loc["stable-rank"]
    assert [values[str(at)] for at in order] == sorted(values)
    assert order.index(first) + 1 == order.index(twin)


def test_skew_is_none_of_a_symmetric_and_all_of_an_antisymmetric_head() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 4, 12, generator=generator, dtype=torch.float64)
    turn = torch.tensor([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1], [0, 0, -1, 0]]).double()
    assert float(skew_fraction(rows, rows)) < 1e-12
    np.testing.assert_allclose(float(skew_fraction(rows, turn @ rows)), 1.0)


def test_a_head_that_writes_the_token_it_reads_copies(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    assert model.vocabulary is not None
    copies, negates = Address.parse("decoder.0.self.0"), Address.parse("decoder.1.cross.2")
    between = model.vocabulary.embedding.T @ model.vocabulary.unembedding
    with torch.no_grad():
        for at, sign in ((copies, 1.0), (negates, -1.0)):
            component = model.anatomy[at]
            assert component.mix is not None
            values = component.rows("v", at.head or 0)
            component.mix.weight[:, component.columns(at.head or 0)] = sign * (
                torch.linalg.inv(between) @ values.T
            )
    table = scored(model, ("ov-copying",)).set_index("address")
    assert set(table["basis"]) == {"vocabulary"}
    np.testing.assert_allclose(table["value"][str(copies)], 1.0, rtol=1e-3)
    np.testing.assert_allclose(table["value"][str(negates)], -1.0, rtol=1e-3)
    assert set(scored(tiny("moirai-2"), ("ov-copying",))["basis"]) == {"head"}


def test_a_head_that_reads_what_one_earlier_head_writes_composes_with_it(tiny: Tiny) -> None:
    model = tiny("chronos-2")
    writer, reader = Address.parse("encoder.0.group.1"), Address.parse("encoder.1.time.2")
    component = model.anatomy[writer]
    assert component.mix is not None
    with torch.no_grad():
        model.anatomy[reader].rows("k", 2).copy_(component.mix.weight[:, component.columns(1)].T)
    table = scored(model, ("composition-k",)).set_index("address")["value"]
    assert table.idxmax() == str(reader)


def test_composition_of_random_matrices_has_the_root_mean_square_that_is_subtracted() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 4000, 6, 6, generator=generator, dtype=torch.float64)
    low, high = a[:, :, :3] @ a[:, :3], b[:, :, :2] @ b[:, :2]
    size = (low @ high).pow(2).sum((-2, -1)) / low.pow(2).sum((-2, -1)) / high.pow(2).sum((-2, -1))
    np.testing.assert_allclose(float(size.mean()), 1 / 6, rtol=0.03)


def test_dead_outputs_leave_what_a_head_compares_and_undo_what_it_moves(tiny: Tiny) -> None:
    dead = Address.parse("decoder.0.self.1")
    model = tiny("chronos-t5")
    before = scored(model, METHODS).set_index(["address", "method"])["value"]
    after = scored(with_dead(model, [dead]), METHODS).set_index(["address", "method"])["value"]
    assert after[str(dead), "stable-rank"] == before[str(dead), "stable-rank"]
    assert (after[str(dead), "ov-copying"], after[str(dead), "stable-rank-o"]) == (0.0, 0.0)
