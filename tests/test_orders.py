"""In which order heads and layers are cut, and how many of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.known import job
from tsfm_probe.address import Address
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.probes import orders
from tsfm_probe.probes.cumulative import planned
from tsfm_probe.probes.curves import Curve, Cuts, curves, most

Tiny = Callable[[str], Model]


def test_random_orders_are_drawn_by_the_seed(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")

    def drawn(seed: int, per_layer: bool = False) -> list[Curve]:
        asked = job(model, seed=seed)
        made = curves(asked, orders.units(asked), Cuts("random", per_layer))
        return [curve for curve in made if curve.control]

    assert drawn(0) == drawn(0)
    assert len({curve.units for curve in drawn(0) + drawn(1)}) == 10
    for curve in drawn(0):
        assert sorted(unit.name for unit in curve.units) == sorted(map(str, model.anatomy.heads))
    for curve in drawn(0, per_layer=True):
        assert {str(unit.at[0].whole) for unit in curve.units} == {curve.place}
        assert len(curve.units) == curve.of == 4


def test_what_is_cut_is_the_first_of_the_order_and_all_are_cut_once(tiny: Tiny) -> None:
    asked = job(tiny("chronos-bolt"))
    order = orders.ordered(asked, "stable-rank")
    ours, *others = curves(asked, order, Cuts("stable-rank"))
    trial = ours.trial(5)
    assert (trial.name, trial.kind) == ("stable-rank:5", "order")
    assert trial.at == tuple(at for unit in order[:5] for at in unit.at)
    assert {curve.name(24) for curve in (ours, *others)} == {"all:24"}
    assert ours.grid(16)[-1] == 24
    assert ours.grid(30) == tuple(range(1, 25))
    assert len(ours.grid(16)) <= 16


def test_stable_rank_orders_rise_and_fall_and_rank_layers_by_their_heads(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    asked = job(model)

    def stable_rank(at: Address) -> float:
        weights = model.anatomy.head_weights(at)
        sizes = torch.linalg.svdvals((weights.q.T @ weights.k).double())
        return float((sizes**2).sum() / sizes[0] ** 2)

    rising = [one.at[0] for one in orders.ordered(asked, "stable-rank")]
    assert rising == sorted(model.anatomy.heads, key=stable_rank)
    assert [one.at[0] for one in orders.ordered(asked, "stable-rank-desc")] == rising[::-1]
    layers = orders.ordered(job(model, by="layer"), "stable-rank")
    places = [
        np.mean([rising.index(at) for at in rising if at.layer_name == one.name]) for one in layers
    ]
    assert places == sorted(places)
    assert len(places) == 4


FILES = [
    ("decoder.0.self.9", "line 1, 'decoder.0.self.9', is nothing .*did you mean decoder.0.self"),
    ("decoder.0.self.1\n# a word\ndecoder.0.self.1 # twice", "line 3, .* there twice; each once"),
    ("# nothing\n\n", "it names nothing; one name in each line, such as encoder.0.self.0"),
    ("decoder.0", "line 1, 'decoder.0', is nothing that this run can cut"),
]


@pytest.mark.parametrize(("text", "pattern"), FILES)
def test_a_bad_file_of_an_order(text: str, pattern: str, tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "order").write_text(text)
    asked, cuts = job(tiny("chronos-bolt")), Cuts(str(tmp_path / "order"))
    for refused in (lambda: planned(asked, cuts), lambda: orders.ordered(asked, cuts.order)):
        with pytest.raises(UsageError, match=pattern):
            refused()


def test_a_largest_number_is_a_count_or_a_share() -> None:
    counted = [most(text, 12, 16) for text in ("", "5", "16", "0.5", "50%", "1.0", "0.01", "100%")]
    assert counted == [12, 5, 12, 6, 6, 12, 1, 12]
