"""Every cut of a run is healed by itself, and goes on where it stopped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.searched import study
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune import making
from tsfm_probe.prune.confirm import CONFIRMED, SEARCHED, Looked, Looks
from tsfm_probe.prune.judge import Rise
from tsfm_probe.prune.making import Healing, _healed, _taught
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


def errors(searched: float, unseen: float) -> Looks:
    """Both errors of a network by these percents, on both parts of the windows."""
    return tuple(
        Looked(0.0, part, metric, 1 + rise / 100, 0.9, 1.1, "uncertain", 3, 6)
        for part, rise in ((SEARCHED, searched), (CONFIRMED, unseen))
        for metric in ("MASE", "WQL")
    )


@pytest.mark.parametrize(
    ("searched", "unseen", "taken"), [(-3.0, 1.0, True), (-3.0, 2.5, False), (-1.0, 0.0, False)]
)
def test_a_healed_network_is_taken_if_it_errs_less_and_within_the_budget(
    searched: float,
    unseen: float,
    taken: bool,
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The budget is 2 %, and the network that was only cut errs 2 % less where it was searched."""
    model = tiny("chronos-bolt")
    asked = study(model, tmp_path / "run")
    at = model.anatomy.layers["encoder.0"]
    found, smaller = Found(0.0, ("encoder.0",), at, Rise(-2.0, -2.0)), cut(model, at)
    monkeypatch.setattr(making, "of_network", lambda *_: errors(searched, unseen))
    healing = Healing(0.002, on_data=True)
    made = _taught(asked, smaller, errors(-2.0, 0.0), found, healing, lambda *_: None)
    assert (made[0] is not smaller) == taken
    assert made[1] is not None
