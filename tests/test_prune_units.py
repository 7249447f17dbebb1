"""What may be cut, in which order it is tried, and on which windows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.families import write_checkpoint
from tests.searched import path_of, study, walks
from tsfm_probe.data.windows import windows
from tsfm_probe.errors import DataError, UsageError
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune.budget import Budget
from tsfm_probe.prune.split import split
from tsfm_probe.prune.study import Study
from tsfm_probe.prune.units import Choice, ordered
from tsfm_probe.scores.weights import head_order

Tiny = Callable[[str], Model]
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")


def names(model: Model, what: str = "all", *keep: str) -> list[str]:
    return [one.name for one in Choice(what, keep=keep).units(model.anatomy)]


def test_units_are_what_is_asked_for_the_larger_ones_first(tiny: Tiny) -> None:
    """A Chronos-T5 of 2 + 2 layers with 4 heads in each of its 6 attentions."""
    model = tiny("chronos-t5")
    layers, parts, heads = (names(model, what) for what in ("layers", "parts", "heads"))
    assert layers == ["encoder.0", "encoder.1", "decoder.0", "decoder.1"]
    assert (len(parts), len(heads)) == (10, 24)
    assert names(model, "mlps") == [f"{layer}.mlp" for layer in layers]
    assert names(model) == [*layers, *parts, *heads]


def test_what_is_kept_is_in_no_unit(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    every = set(names(model))
    gone = {"decoder.0", "decoder.0.cross", "decoder.0.cross.1"}
    assert set(names(model, "all", "decoder.0.cross.1")) == every - gone
    gone = {"encoder.1", "encoder.1.mlp"}
    assert set(names(model, "all", "encoder.1.mlp")) == every - gone
    left = names(model, "all", "encoder", "decoder.{0,1}.cross")
    assert left[:4] == ["decoder.0.self", "decoder.0.mlp", "decoder.1.self", "decoder.1.mlp"]
    assert len(left) == 4 + 8


def test_a_unit_that_would_take_the_last_layer_is_none(tmp_path: Path) -> None:
    folder = write_checkpoint("chronos-bolt", tmp_path / "thin", num_layers=2, num_decoder_layers=1)
    model = load(str(folder), "cpu")
    assert names(model, "layers") == ["encoder.0", "encoder.1"]
    assert path_of(study(model, tmp_path / "run", budget=Budget(1e5, curve=False))).found[-1].at
    cut(model, model.anatomy.attentions).save(tmp_path / "headless")
    left = names(load(str(tmp_path / "headless"), "cpu"))
    assert left == ["encoder.0", "encoder.1", "encoder.0.mlp", "encoder.1.mlp"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"what": "layer"}, "--what 'layer'; did you mean layers"),
        ({"order": "mesured"}, "the order 'mesured' .*did you mean measured"),
        ({"keep": ("encoder", "decoder")}, "--what all --keep encoder --keep decoder; nothing is"),
        ({"keep": ("enkoder",)}, "no part of this network matches 'enkoder'.*encoder"),
    ],
)
def test_what_is_no_choice_is_refused(choice: dict, words: str, tiny: Tiny) -> None:
    with pytest.raises(UsageError, match=words):
        Choice(**choice).units(tiny("chronos-t5").anatomy)


def order_of(asked: Study, order: str, what: str = "all", seed: int = 0) -> list[str]:
    """The order in which units are tried that were measured in the order of the network."""
    units = Choice(what).units(asked.model.anatomy)
    job = study(asked.model, asked.folder.path, seed=seed).searching
    return [one.name for one in ordered(job, Choice(what, order), units)]


def test_each_kind_has_its_own_order(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("chronos-t5")
    asked = study(model, tmp_path)
    every, layers, parts = names(model), names(model, "layers"), names(model, "parts")
    ranked = [str(at) for at in head_order(model, "stable-rank", "plain")]
    assert order_of(asked, "measured") == every
    assert order_of(asked, "stable-rank", "heads") == ranked
    found = order_of(asked, "stable-rank-desc")
    assert found[14:] == ranked[::-1]
    assert found[4:14] == parts
    assert set(found[:4]) == set(layers)
    drawn = order_of(asked, "random")
    assert drawn != every
    assert sorted(drawn) == sorted(every)
    assert drawn == order_of(asked, "random") != order_of(asked, "random", seed=1)
    assert sorted(order_of(asked, "gradient", "heads")) == sorted(ranked)


def test_a_file_orders_heads_parts_and_layers_alike(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("chronos-bolt")
    listed = ["encoder.1.self.2", "decoder.0", "encoder.0.mlp"]
    (tmp_path / "order.txt").write_text("\n".join(listed))
    asked = study(model, tmp_path / "run")
    assert order_of(asked, str(tmp_path / "order.txt")) == listed
    with pytest.raises(UsageError, match=r"line 2, 'decoder\.0', is nothing that this run can cut"):
        order_of(asked, str(tmp_path / "order.txt"), "heads")


def test_a_layer_without_heads_has_a_place_in_every_order(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("chronos-bolt")
    cut(model, [at for at in model.anatomy.attentions if at.layer == 0]).save(tmp_path / "cut")
    asked = study(load(str(tmp_path / "cut"), "cpu"), tmp_path / "run")
    found = order_of(asked, "stable-rank", "layers")
    assert set(found[:2]) == {"encoder.1", "decoder.1"}
    assert set(found[2:]) == {"encoder.0", "decoder.0"}


def test_the_search_never_sees_what_confirms() -> None:
    """Series of 5, 1, 4, 1 and 1 windows."""
    found, _ = windows(walks(30, 10, 26, 10, 10), 5, context=20, count=5)
    first, second = split(found)
    assert sorted(map(id, (*first, *second))) == sorted(map(id, found))
    halves = [[one.index for one in part if one.series == "s0"] for part in (first, second)]
    assert halves == [[0, 1], [2, 3, 4]]
    for window in first:
        ends = len(window.history) + len(window.target)
        later = [len(one.history) for one in second if one.series == window.series]
        assert all(ends <= start for start in later)
    lone = [one for one in found if [two.series for two in found].count(one.series) == 1]
    assert [one in second for one in lone] == [True, False, True]


def test_one_window_is_too_few() -> None:
    found, _ = windows(walks(30), 5, context=20)
    with pytest.raises(DataError, match=r"windows to search on .*there are 1; two at least"):
        split(found)
