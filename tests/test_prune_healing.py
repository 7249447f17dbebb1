"""Every cut of a run is healed by itself, and goes on where it stopped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.searched import study
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune.judge import Rise
from tsfm_probe.prune.making import Healing, _healed
from tsfm_probe.prune.search import Found

Tiny = Callable[[str], Model]
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")


def test_cuts_of_one_size_are_healed_each_in_its_own_folder(tiny: Tiny, tmp_path: Path) -> None:
    """Taking out either layer leaves the same number of parameters, and nothing to tell of."""
    model = tiny("chronos-bolt")
    asked = study(model, tmp_path / "run")
    layers = model.anatomy.layers

    def steps(*at: str) -> int:
        there = tuple(one for name in at for one in layers[name])
        found = Found(0.0, at, there, Rise(0.0, 0.0))
        healing = Healing(0.005, on_data=True)
        return _healed(asked, cut(model, there), found, healing, lambda *_: None).steps

    first = steps("encoder.0")
    steps("encoder.1")
    steps("encoder.1", "decoder.0")
    folders = sorted((tmp_path / "run").glob("healing-*"))
    assert len(folders) == 3
    assert steps("encoder.0") == first  # it was done, and is not done again
    steps("decoder.0", "encoder.1")
    assert sorted((tmp_path / "run").glob("healing-*")) == folders
