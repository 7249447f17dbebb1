"""Attention that is read off a network is the one it computed, and reading it changes nothing."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from tests.families import NETWORKS, contexts, write_checkpoint
from tests.planted import with_dead
from tsfm_probe.address import Address
from tsfm_probe.errors import UsageError
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cached_decoder import CachedDecoder, start_tokens
from tsfm_probe.surgery.attention import attention
from tsfm_probe.surgery.edit import Edit, edited

Tiny = Callable[[str], Model]
Maps = dict[Address, list[Tensor]]
GROUPS = [0, 1, 0, 2, 1]
FAR = {"chronos-t5": 7}  # past the native horizon: the network runs again, with caches or without
NARROW: dict[str, dict[str, Any]] = {
    "chronos-t5": {"d_kv": 3},
    "chronos-bolt": {"d_kv": 3},
    "chronos-2": {"d_kv": 4},
    "timesfm-2.5": {"head_dim": 2},
    "timesfm-3": {"model_dims": 8},
    "toto-2": {"v_dim": 3},
    "toto-1": {"embed_dim": 8},
    "moirai-1.1": {"max_seq_len": 140},
    "moirai-2": {"max_seq_len": 140},
}


def forecast(model: Model, given: Sequence[np.ndarray]) -> np.ndarray:
    horizon, groups = FAR.get(model.family, 20), GROUPS if model.joint else None
    return model.forecast(given, horizon, samples=1, groups=groups).values


def maps_of(model: Model, run: Callable[[], object]) -> Maps:
    return attention(model.anatomy, model.anatomy.attentions, run)


class Watched:
    """The values and mixed values of one attention, laid out [row, key or query, d], run by run."""

    def __init__(self, model: Model, at: Address) -> None:
        self.at, self.component = at, model.anatomy[at]
        self.values: list[Tensor] = []
        self.mixed: list[tuple[int, Tensor]] = []  # with the number of values made before

    def hooks(self) -> list[Any]:
        def made(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.values.append(self._rows(output[..., self.component.projections["v"].span]))

        def mixed(module: nn.Module, inputs: Any) -> None:
            self.mixed.append((len(self.values), self._rows(inputs[0])))

        assert self.component.mix is not None
        values = self.component.projections["v"].linear
        return [
            values.register_forward_hook(made),
            self.component.mix.register_forward_pre_hook(mixed),
        ]

    def _rows(self, value: Tensor) -> Tensor:
        if value.ndim == 3:  # rows, then the axis of the keys, then columns
            return value.clone()
        across = "(batch time) variate d" if self.at.part == "variate" else "(batch variate) time d"
        return rearrange(value, f"batch variate time d -> {across}").clone()

    def expected(self, head: int, run: int, shares: Tensor) -> tuple[Tensor, Tensor]:
        """The mixed values of a head, as they were and as these shares of the last values."""
        before, mixed = self.mixed[run]
        count, blocks = 0, []
        while count < shares.shape[-1]:
            before -= 1
            blocks.insert(0, self.values[before])
            count += blocks[0].shape[1]
        values = torch.cat(blocks, dim=1)
        assert values.shape[:2] == (shares.shape[0], shares.shape[2])
        projection = self.component.projections["v"]
        words = f"series key ({projection.order}) -> head series key row"
        apart = rearrange(values, words, head=projection.groups)
        found = shares @ apart[self.component.group("v", head)]
        return found, mixed[..., self.component.columns(head)]


@pytest.mark.parametrize("narrow", [False, True], ids=["usual heads", "more keys than dimensions"])
@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
def test_attention_is_shares_that_mix_the_values(
    family: str, narrow: bool, tiny: Tiny, tmp_path: Path
) -> None:
    model, given = tiny(family), contexts()
    if narrow:
        model = load(str(write_checkpoint(family, tmp_path / family, **NARROW[family])), "cpu")
        given = contexts(length=560) if family.startswith("moirai") else given
    runs: list[np.ndarray] = []
    maps = maps_of(model, lambda: runs.append(forecast(model, given)))
    watched = {at: Watched(model, at) for at in model.anatomy.attentions}
    with ExitStack() as hooks:
        for one in watched.values():
            for handle in one.hooks():
                hooks.callback(handle.remove)
        forecast(model, given)
    assert set(maps) == set(model.anatomy.heads)
    for head, found in maps.items():
        one = watched[head.whole]
        assert len(found) == len(one.mixed)
        for run, shares in enumerate(found):
            assert shares.min() >= -1e-6
            sums, mixed = shares.sum(-1), one.mixed[run][1]
            sees = (mixed != 0).any(-1)
            torch.testing.assert_close(sums, sees.float(), rtol=1e-5, atol=1e-5)
            assert relative(*one.expected(head.head or 0, run, shares)) < 1e-5
    size = model.anatomy[model.anatomy.attentions[0]].head_dim
    keys = max(one.shape[-1] for found in maps.values() for one in found)
    if narrow:
        assert keys > 2 * size
    made = max(len(one.values) for one in watched.values())
    assert len(runs) == 1 + (made > 1) * -(-made // size) + -(-keys // size)


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
def test_a_causal_network_attends_to_nothing_later_and_another_one_does(
    family: str, tiny: Tiny
) -> None:
    model, given = tiny(family), contexts()[:4]  # as long as each other: nothing is padded
    maps = maps_of(model, lambda: model.forecast(given, FAR.get(family, 20), samples=1))
    for head, found in maps.items():
        if head.part in ("cross", "group", "variate"):
            continue
        for shares in found:
            queries, keys = shares.shape[1:]
            later = shares.triu(1 + keys - queries)
            assert later.max() == 0 if head.stack == "decoder" else later.max() > 0.01
            assert queries in (1, keys)


def hooks_of(net: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in net.modules())


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
def test_reading_attention_changes_no_forecast_and_leaves_no_hook(family: str, tiny: Tiny) -> None:
    model, given = tiny(family), contexts()
    untouched, seen = forecast(model, given), list[np.ndarray]()
    before = hooks_of(model.net)
    maps_of(model, lambda: seen.append(forecast(model, given)))
    assert len(seen) > 1
    for one in seen:
        np.testing.assert_array_equal(one, untouched)
    assert hooks_of(model.net) == before
    for fails in (0, 1, len(seen) - 1):
        left = iter(range(fails))

        def run(left: Any = left) -> None:
            forecast(model, given)
            if next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            maps_of(model, run)
        assert hooks_of(model.net) == before


def test_attention_can_be_read_while_something_is_edited(tiny: Tiny) -> None:
    model, dead = tiny("chronos-bolt"), Address("encoder", 0, "self", 1)
    untouched = maps_of(model, lambda: model.predict(contexts()))
    with edited(model.anatomy, [Edit(dead)]):
        found = maps_of(model, lambda: model.predict(contexts()))
    without = with_dead(tiny("chronos-bolt"), [dead])
    expected = maps_of(without, lambda: without.predict(contexts()))
    for head in expected:
        torch.testing.assert_close(found[head], expected[head], rtol=1e-5, atol=1e-6)
        moved = not torch.equal(found[head][0], untouched[head][0])
        several = found[head][0].shape[-1] > 1  # to one key alone it attends whatever comes
        assert moved == (several and head.layer_name != "encoder.0")


def test_keys_are_the_tokens_of_a_pass_and_of_its_cache(tiny: Tiny) -> None:
    for family, part, keys in (
        ("chronos-t5", "decoder.1.self.0", [1, 2, 3, 4, 5, 6, 1]),
        ("chronos-t5", "decoder.1.cross.0", 7 * [49]),
        ("timesfm-2.5", "decoder.1.time.0", [6, 8, 6, 8]),
        ("toto-1", "decoder.0.time.0", [6, 7, 8]),
    ):
        model, head = tiny(family), Address.parse(part)
        maps = attention(model.anatomy, [head], lambda model=model: forecast(model, contexts()))
        assert [one.shape[-1] for one in maps[head]] == keys


def test_a_key_that_no_head_attends_to_yet_is_still_a_key(tiny: Tiny) -> None:
    model: Any = tiny("chronos-t5")
    bias = model.net.decoder.block[0].layer[0].SelfAttention.relative_attention_bias
    with torch.no_grad():
        bias.weight[1] = -1e4  # of the token before: the second token sees itself alone
    head = Address("decoder", 0, "self", 0)
    maps = attention(model.anatomy, [head], lambda: forecast(model, contexts()))[head]
    assert [one.shape[-1] for one in maps] == [1, 2, 3, 4, 5, 6, 1]
    assert torch.equal(maps[1][:, 0], torch.tensor([0.0, 1.0]).expand(5, 2))
    assert maps[2][:, 0, 0].min() > 0


def test_only_what_is_asked_for_is_read(tiny: Tiny) -> None:
    model, head = tiny("toto-1"), Address("decoder", 0, "time", 2)
    every = maps_of(model, lambda: forecast(model, contexts()))
    for asked in ([head], [head, head]):
        found = attention(model.anatomy, asked, lambda: forecast(model, contexts()))
        assert list(found) == [head]
        assert all(map(torch.equal, found[head], every[head]))
    part = attention(model.anatomy, [head.whole], lambda: forecast(model, contexts()))
    assert list(part) == [one for one in model.anatomy.heads if one.whole == head.whole]


def test_what_cannot_be_read_is_refused(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    lengths = iter(range(20, 40))

    def ever_longer() -> None:
        model.predict(contexts(length=next(lengths)))

    state = model.encode(contexts())
    decoder = CachedDecoder(model.net, state.hidden, state.mask, 1, 4)
    for part, run, told in (
        ("encoder.0.mlp", ever_longer, "an MLP has none"),
        ("encoder.0.self", ever_longer, "not run as it did the first time"),
        ("encoder.0.self", lambda: None, "it did not run"),
        (
            "decoder.0.cross",
            lambda: decoder.step(start_tokens(model.net, 5, 1)),
            "its values were made before the run",
        ),
    ):
        with pytest.raises(UsageError, match=told):
            attention(model.anatomy, [Address.parse(part)], run)


def test_a_norm_of_the_values_is_not_taken_for_attention(tiny: Tiny) -> None:
    model, at = tiny("timesfm-3"), Address("decoder", 0, "time")
    size = model.anatomy[at].head_dim
    model.net.transformer_stack.layers[0].seq_attn.value_ln = nn.RMSNorm(size)
    with pytest.raises(UsageError, match=r"attends to its keys 2\.83 times"):
        attention(model.anatomy, [at], lambda: model.predict(contexts()))
