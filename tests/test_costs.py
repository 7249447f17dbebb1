"""What a network costs is counted from what is there, and time and memory are measured."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.families import BLOCKS, NETWORKS, contexts
from tsfm_probe.address import Address
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune import latency as timing
from tsfm_probe.prune.costs import COLUMNS, Cost, blocks, costs, weight_bytes
from tsfm_probe.prune.latency import Latency, latency
from tsfm_probe.prune.memory import LiveBytes, peak_bytes

Tiny = Callable[[str], Model]
SAMPLES = 3


class Multiplied(TorchDispatchMode):
    """Counts the multiply-adds of products of two matrices: those of attention have more axes."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
            left, right = args[-2:]
            self.count += left.numel() * right.shape[1]
        return func(*args, **(kwargs or {}))


def parts_of(model: Model) -> list[Address]:
    """Two heads, an attention and an MLP of the first layer of each stack, and other layers."""
    asked = list[Address]()
    for stack in model.anatomy.stacks:
        first, second = [parts for name, parts in model.anatomy.layers.items() if stack in name][:2]
        asked += [first[-1], Address(stack, 0, first[0].part, 1), *second[:-1]]
        if len(first) > 2:
            asked.append(first[1])
    return asked


@pytest.mark.parametrize("size", [(40, 5), (20, 37), (64, 50)], ids=str)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "cut"])
@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
def test_multiply_adds_are_those_that_are_done(
    family: str, whole: bool, size: tuple[int, int], tiny: Tiny
) -> None:
    model, (length, horizon) = tiny(family), size
    if not whole:
        model = cut(model, parts_of(model))
    context = contexts(2, length, seed=1)[:1]
    with Multiplied() as found:
        model.forecast(context, horizon, samples=SAMPLES)
    expected = model.multiply_adds(length, horizon, SAMPLES)
    # Toto 1.0 also multiplies sums over its patches, which are no weights.
    assert expected == pytest.approx(found.count, rel=0.02 if family == "toto-1" else 0)


@pytest.mark.parametrize("family", NETWORKS)
def test_weights_are_counted_as_they_are_saved(family: str, tiny: Tiny, tmp_path: Path) -> None:
    model = tiny(family)
    model.save(tmp_path)
    data = (tmp_path / "model.safetensors").read_bytes()
    header = int.from_bytes(data[:8], "little")
    assert weight_bytes(model) == len(data) - 8 - header
    assert len(json.loads(data[8 : 8 + header])) > 1


@pytest.mark.parametrize("family", NETWORKS)
def test_blocks_are_the_layers(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    listed = BLOCKS.get(
        family, lambda net: [*net.encoder.block, *getattr(net, "decoder", net).block]
    )
    if family == "chronos-2":
        listed = lambda net: net.encoder.block  # noqa: E731
    assert [id(one) for one in blocks(model)] == [id(one) for one in listed(model.net)]


def test_memory_follows_each_tensor_until_it_is_freed() -> None:
    """Of float32: 4 bytes for a number."""
    weight = torch.ones(1000)
    with LiveBytes() as live:
        seen = [live.now]

        def note() -> None:
            seen.append(live.now)

        kept = weight[:500].view(5, 100)
        note()
        one = torch.zeros(100)
        note()
        two = one + 1
        note()
        part = two[:10]
        del one, two
        note()
        part += 1.0
        three = torch.zeros(50, dtype=torch.float64)
        note()
        del part
        note()
        four = kept * 2
        note()
        del three, four
        note()
    assert seen == [0, 0, 400, 800, 400, 800, 400, 2400, 0]
    assert live.peak == 2400


def test_memory_of_a_forecast_grows_with_the_batch_and_not_with_its_number(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    one, four = (peak_bytes(model, contexts(count, 48), 20) for count in (2, 8))
    assert 3.5 * one < four < 4.5 * one
    twice = LiveBytes()
    with twice:
        for _ in range(2):
            model.forecast(contexts(2, 48), 20)
    assert twice.peak == one
    assert twice.now == 0


def noted(model: Model, name: str, into: list[str]) -> Model:
    """The model, which writes its name down whenever it forecasts."""
    forecast = model.forecast

    def noting(*given: Any, **named: Any) -> Any:
        into.append(name)
        return forecast(*given, **named)

    model.forecast = noting  # type: ignore[method-assign]
    return model


def test_both_are_timed_in_every_round_in_random_order(tiny: Tiny) -> None:
    def order(seed: int) -> str:
        called: list[str] = []
        both = tuple(noted(tiny("chronos-bolt"), name, called) for name in "ab")
        latency(both, contexts(2), 4, repeats=20, seed=seed)  # type: ignore[arg-type]
        return "".join(called)

    called = order(0)
    assert called[:6] == "ababab"
    rounds = [called[place : place + 2] for place in range(6, len(called), 2)]
    assert len(rounds) == 20
    assert set(rounds) == {"ab", "ba"}
    assert order(0) == called != order(1)


def test_a_time_belongs_to_its_network(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock on which the first network takes 4 seconds and the second one 1."""
    first, second = tiny("chronos-bolt"), tiny("chronos-bolt")
    monkeypatch.setattr(timing, "timed", lambda model, *_: 4.0 if model is first else 1.0)
    found = latency((first, second), contexts(2), 4)
    assert found.ratio == 0.25
    assert found.interval() == (0.25, 0.25)


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says() -> None:
    """Rounds of random length, the second network being 0.6 times as slow."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, 1])
        times = np.exp(0.2 * rng.standard_normal((2, 20))) * [[1.0], [0.6]]
        low, high = Latency(1, times[0], times[1], 1).interval(seed)
        held += low < 0.6 < high
    assert 184 <= held <= 198


def test_few_repeats_are_refused(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    with pytest.raises(UsageError, match="19 repeats were asked for; 20 or more"):
        latency((model, model), contexts(2), 4, repeats=19)


def test_half_of_the_layers_cost_half(tiny: Tiny) -> None:
    model, told = tiny("chronos-t5"), list[tuple[int, int, str]]()
    halved = cut(model, [at for at in model.anatomy.parts if at.layer == 1])
    frame = costs(model, halved, 40, 4, SAMPLES, (1, 3), progress=lambda *one: told.append(one))
    assert list(frame.columns) == COLUMNS
    assert frame.attrs["threads"] == torch.get_num_threads()
    assert told[-1] == (20, 20, "latency of 3 series")
    rows = frame.set_index(["quantity", "batch"])
    inside = rows.loc[("parameters in layers", 0)]
    bias = sum(
        one.layer[0].SelfAttention.relative_attention_bias.weight.numel()
        for one in (model.net.encoder.block[0], model.net.decoder.block[0])
    )  # which the first layer has alone
    assert 2 * (inside["pruned"] - bias) == inside["original"] - bias
    assert rows.loc[("parameters", 0), "pruned"] == halved.parameters
    assert rows.loc[("weights in the file", 0), "pruned"] == weight_bytes(halved)
    for batch in (1, 3):
        time = rows.loc[("latency", batch)]
        assert time["low"] <= time["ratio"] <= time["high"]
        assert time["pruned"] / time["original"] == time["ratio"]
        assert rows.loc[("latency, 25 %", batch), "pruned"] <= time["pruned"]
        assert rows.loc[("peak memory", batch), "pruned"] > 0
    cost = Cost.of(halved, 40, 4, SAMPLES)
    assert rows.loc[("multiply-adds of a forecast", 0), "pruned"] == cost.multiply_adds
