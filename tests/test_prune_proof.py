"""A network that was cut is the ablated one, or it is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.searched import PROOF, some
from tsfm_probe.errors import CheckFailed
from tsfm_probe.laws.subject import ROUNDING
from tsfm_probe.models import load
from tsfm_probe.models.base import ACROSS, Model
from tsfm_probe.models.cut.smaller import cut

Tiny = Callable[[str], Model]
FILES = ["README.md", "config.json", "model.safetensors", "prune.json"]
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")


@pytest.mark.parametrize("family", ["chronos-t5", "chronos-bolt", "toto-1"])
def test_a_cut_with_one_wrong_weight_is_no_proof(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    smaller = cut(model, some(model))
    assert PROOF.of_cut(model, smaller, some(model)) <= ROUNDING
    component = smaller.anatomy[smaller.anatomy.attentions[-1]]
    assert component.mix is not None
    with torch.no_grad():
        component.mix.weight[:, 1] += 3.0
    with pytest.raises(CheckFailed, match="at most 1e-05: nothing was written") as failed:
        PROOF.of_cut(model, smaller, some(model))
    assert failed.value.exit_code == 3


def test_a_checkpoint_in_several_files_is_cut_as_that_in_one(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("chronos-bolt")
    model.net.save_pretrained(tmp_path / "shards", max_shard_size="50KB")
    sharded = load(str(tmp_path / "shards"), "cpu")
    assert len(sharded.source.weight_files) > 2
    cut(sharded, some(sharded)).save(tmp_path / "cut")
    again = load(str(tmp_path / "cut"), "cpu")
    assert [one.name for one in again.source.weight_files] == ["model.safetensors"]
    assert PROOF.off(again, PROOF.ablated(model, some(model))) <= ROUNDING


@pytest.mark.parametrize("family", ["chronos-2", "toto-1", "toto-2", "timesfm-3", "moirai-1.1"])
def test_a_network_that_no_longer_reads_across_series_is_proven(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(family)
    across = [at for at in model.anatomy.attentions if at.part in ACROSS]
    smaller = cut(model, across)
    assert (model.joint, smaller.joint) == (True, False)
    assert PROOF.of_cut(model, smaller, tuple(across)) <= ROUNDING
    smaller.save(tmp_path)
    assert PROOF.off(load(str(tmp_path), "cpu"), PROOF.ablated(model, tuple(across))) <= ROUNDING
