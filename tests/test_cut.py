"""Cutting: what is taken out, what upstream makes of what is left, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from chronos import BaseChronosPipeline

from tests.families import BLOCKS, NETWORKS, contexts, write_checkpoint
from tsfm_probe.address import Address
from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.laws import cuts
from tsfm_probe.laws.subject import Subject
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut import body as bodies
from tsfm_probe.models.cut import t5
from tsfm_probe.models.cut.kept import KEY, Kept
from tsfm_probe.models.cut.smaller import Cut, cut

Tiny = Callable[[str], Model]
HORIZON = 9
CHRONOS = ("chronos-t5", "chronos-bolt", "chronos-2")
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")


def at(*texts: str) -> tuple[Address, ...]:
    return tuple(map(Address.parse, texts))


def law(model: Model) -> cuts.Finding:
    return cuts.cut_equals_ablated(Subject.of(model, contexts(), HORIZON))


@pytest.mark.parametrize("family", NETWORKS)
def test_law_10_kills_heads_that_are_counted_from_the_end(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = bodies._sets
    monkeypatch.setattr(bodies, "_sets", lambda *given: right(*given)[::-1])
    assert not law(tiny(family)).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_10_kills_a_part_that_writes_what_it_reads(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies.Silent, "forward", lambda self, stream, *_, **__: stream)
    assert not law(tiny(family)).holds


@pytest.mark.parametrize("family", ["chronos-t5", "chronos-bolt"])
def test_law_10_kills_positions_that_go_with_the_first_layer(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def naive(self: t5.T5Body, net: Any, stack: str, left: Any) -> None:
        bodies.Body.keep_layers(self, net, stack, left)
        first = net.get_submodule(stack).block[0].layer[0].SelfAttention
        first.relative_attention_bias = torch.nn.Embedding(32, 4)
        first.has_relative_attention_bias = True

    monkeypatch.setattr(t5.T5Body, "keep_layers", naive)
    assert not law(tiny(family)).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_a_cut_leaves_the_model_as_it_was_and_makes_it_smaller(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    before = model.forecast(contexts(), HORIZON, samples=4).values
    smaller = cut(model, [at for at in model.anatomy.parts if at.layer == 0])
    assert (model.forecast(contexts(), HORIZON, samples=4).values == before).all()
    assert smaller.parameters < model.parameters
    assert {one.stack for one in smaller.anatomy.parts} == set(model.anatomy.stacks)


def blocks(model: Model) -> list[int]:
    if model.family in BLOCKS:
        return [len(BLOCKS[model.family](model.net))]
    return [len(model.net.get_submodule(stack).block) for stack in model.anatomy.stacks]


@pytest.mark.parametrize("family", ["chronos-t5", "chronos-bolt", "chronos-2", "timesfm-2.5"])
def test_a_whole_layer_leaves_a_network_of_the_published_kind(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(family)
    smaller = cut(model, [at for at in model.anatomy.parts if at.layer == 0])
    assert blocks(smaller) == [one - 1 for one in blocks(model)]
    smaller.save(tmp_path)
    assert KEY not in json.loads((tmp_path / "config.json").read_text())
    off = smaller.deviation_from_upstream(contexts(), 6)
    assert off is not None
    assert off < 1e-6


@pytest.mark.parametrize("family", CHRONOS)
@pytest.mark.parametrize("layer", ["encoder.0", "decoder.0"])
def test_upstream_forecasts_with_fewer_layers_as_we_do(
    family: str, layer: str, tmp_path: Path
) -> None:
    stack = layer.split(".")[0]
    deep = {} if family == "chronos-2" else {"num_decoder_layers": 3}
    model = load(str(write_checkpoint(family, tmp_path / "whole", num_layers=3, **deep)), "cpu")
    if stack not in model.anatomy.stacks:
        pytest.skip("it has no decoder")
    smaller = cut(model, model.anatomy.layers[layer])
    smaller.save(tmp_path / "cut")
    given = [torch.arange(30.0) % 7, torch.arange(30.0) % 5]
    found = []
    for pipeline in (smaller.upstream(), BaseChronosPipeline.from_pretrained(tmp_path / "cut")):  # pyright: ignore[reportAttributeAccessIssue]
        torch.manual_seed(0)
        found.append(pipeline.predict_quantiles(given, prediction_length=6)[0])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("family", CHRONOS)
def test_upstream_refuses_what_it_cannot_build(family: str, tiny: Tiny, tmp_path: Path) -> None:
    model = tiny(family)
    cut(model, [model.anatomy.heads[0]]).save(tmp_path)
    with pytest.raises(ValueError, match=f"unknown pipeline class: {KEY}"):
        BaseChronosPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize("family", CHRONOS)
def test_a_layer_that_lost_heads_before_leaves_nothing_behind(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(family)
    layers = {at.stack: model.anatomy.layers[f"{at.stack}.0"] for at in model.anatomy.parts}
    heads = [one for one in model.anatomy.heads if one.layer == 0 and one.head == 0]
    cut(model, heads).save(tmp_path / "once")
    again = load(str(tmp_path / "once"), "cpu")
    assert again.kept.heads
    cut(again, [at for parts in layers.values() for at in parts]).save(tmp_path / "twice")
    BaseChronosPipeline.from_pretrained(tmp_path / "twice")


def test_upstream_decodes_with_a_cache_where_the_first_attention_is_gone(tiny: Tiny) -> None:
    smaller = cut(tiny("chronos-t5"), at("decoder.0.self", "encoder.0.self", "decoder.1.cross"))
    assert smaller.deviation_from_upstream(contexts(), 6) == 0


def test_heads_that_share_keys_go_on_doing_so_where_they_can(tmp_path: Path) -> None:
    folder = write_checkpoint("toto-2", tmp_path / "whole", num_groups=2)
    model = load(str(folder), "cpu")
    subject = Subject.of(model, contexts(), HORIZON)
    layer = model.anatomy.attentions[0]
    assert model.anatomy[layer].projections["k"].groups == 2
    for heads, groups in (((0, 2), 2), ((0,), 3), ((0, 1), 1)):
        asked = tuple(Address(layer.stack, layer.layer, layer.part, head) for head in heads)
        smaller = cut(model, asked)
        assert smaller.anatomy[layer].projections["k"].groups == groups
        assert cuts.deviation(subject, smaller, asked) < 1e-5


def test_what_is_cut_is_told_by_its_largest_parts(tiny: Tiny) -> None:
    anatomy = tiny("chronos-t5").anatomy
    heads = [one for one in anatomy.heads if str(one.whole) == "decoder.0.self"]
    found = Cut.of(anatomy, [*heads, *at("encoder.0.self.1", "encoder.1.self", "encoder.1.mlp")])
    assert found.layers == (("encoder", 1),)
    assert found.parts == at("decoder.0.self")
    assert found.heads == at("encoder.0.self.1")


def test_what_cannot_be_cut_is_told(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    with pytest.raises(UsageError, match="every layer of the encoder"):
        cut(model, [at for at in model.anatomy.parts if at.stack == "encoder"])
    with pytest.raises(UsageError, match=r"no encoder\.9\.mlp"):
        cut(model, at("encoder.9.mlp"))


def test_a_damaged_record_of_a_cut_is_told(tiny: Tiny, tmp_path: Path) -> None:
    cut(tiny("chronos-bolt"), at("encoder.0.self.1")).save(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {KEY: {"family": "chronos-bolt", "heads": 3, "gone": []}}))
    with pytest.raises(ModelError, match=r"tsfm_probe of config\.json"):
        load(str(tmp_path), "cpu")
    other = config[KEY] | {"heads": {"encoder.0.self": [0, 1]}}
    path.write_text(json.dumps(config | {KEY: other}))
    with pytest.raises(ModelError, match="of another shape"):
        load(str(tmp_path), "cpu")


def test_what_is_left_is_the_same_after_it_was_told() -> None:
    kept = Kept("chronos-2", {at("encoder.1.time")[0]: (0, 3)}, frozenset(at("encoder.2.mlp")))
    assert Kept.of({KEY: kept.told()}) == kept
    moved = kept.without_heads(at("encoder.1.time")[0], [1]).without_layers("encoder", [1, 2])
    assert moved.heads == {at("encoder.0.time")[0]: (3,)}
    assert moved.gone == frozenset(at("encoder.1.mlp"))
