"""Neurons of MLPs: the narrowed network is the one in which they are silent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.families import NETWORKS, contexts
from tests.searched import PROOF
from tsfm_probe.address import Address
from tsfm_probe.errors import CheckFailed, UsageError
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut import body as bodies
from tsfm_probe.models.cut.smaller import cut, narrow
from tsfm_probe.prune.units import Choice
from tsfm_probe.prune.width import loudest, without

Tiny = Callable[[str], Model]
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")


def mlps(model: Model) -> list[Address]:
    return [at for at in model.anatomy.parts if not model.anatomy[at].heads]


@pytest.mark.parametrize("family", NETWORKS)
def test_a_narrowed_network_is_the_one_with_silent_neurons(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(family)
    neurons = loudest(model, 0.5)
    assert list(neurons) == mlps(model)
    narrower = narrow(model, neurons)
    expected = PROOF.forecast(without(model, neurons))
    assert relative(PROOF.forecast(model), expected) > 1e-3
    assert PROOF.of_width(model, narrower, neurons) <= 1e-5
    assert narrower.parameters < model.parameters
    narrower.save(tmp_path)
    again = load(str(tmp_path), "cpu")
    assert again.kept.widths == {at: len(left) for at, left in neurons.items()}
    assert PROOF.off(again, expected) <= 1e-5


@pytest.mark.parametrize("family", NETWORKS)
def test_a_network_is_narrowed_twice_and_cut_behind_it(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(family)
    once = narrow(model, loudest(model, 0.5))
    twice = narrow(once, loudest(once, 0.5))
    layer = [at for at in model.anatomy.parts if at.layer == 0 and at.stack == mlps(model)[0].stack]
    smaller = cut(twice, layer)
    smaller.save(tmp_path)
    again = load(str(tmp_path), "cpu")
    assert PROOF.off(again, PROOF.ablated(twice, tuple(layer))) <= 1e-5
    assert len(again.kept.widths) == len(mlps(model)) - 1


@pytest.mark.parametrize("family", ["toto-1", "toto-2", "moirai-2", "chronos-bolt"])
def test_rows_of_other_neurons_are_refused(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    neurons = loudest(model, 0.5)
    monkeypatch.setattr(
        bodies.Hidden, "rows", lambda self, left: bodies.torch.arange(self.blocks * len(left))
    )
    with pytest.raises(CheckFailed, match="nothing was written"):
        PROOF.of_width(model, narrow(model, neurons), neurons)


def test_neurons_without_weight_go_first(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    at = mlps(model)[0]
    out = model.net.encoder.block[0].layer[-1].DenseReluDense.wo
    with bodies.torch.no_grad():
        out.weight[:, 3:9] = 0
    assert set(range(3, 9)).isdisjoint(loudest(model, 0.25)[at])
    assert len(loudest(model, 0.25)[at]) == round(0.75 * out.in_features)
    before = model.forecast(contexts(), 4).values
    assert (model.forecast(contexts(), 4).values == before).all()


def test_heads_are_no_neurons_and_an_mlp_that_is_kept_stays_whole(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    with pytest.raises(UsageError, match="it is an attention"):
        narrow(model, {model.anatomy.attentions[0]: [0]})
    anatomy = model.anatomy
    assert Choice().narrows(anatomy)
    assert Choice("mlps", keep=("encoder.0.self.1",)).narrows(anatomy)
    assert not Choice(keep=("encoder.0.mlp",)).narrows(anatomy)
    assert not Choice("heads").narrows(anatomy)
