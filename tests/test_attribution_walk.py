"""An attribution holds one batch at a time, watches what was asked for, and leaves no hook."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.families import NETWORKS
from tests.planted_behaviour import BEHAVIOURS, LAST, SEASONAL
from tsfm_probe.address import Address
from tsfm_probe.attribution.probe import WHAT, Request, attribute, stage, watched
from tsfm_probe.attribution.target import Target
from tsfm_probe.data.synthetic import generated
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting

Tiny = Callable[[str], Model]
SERIES = generated(1, 90, seed=1)[:3]
HORIZON = 8
WALK = ("effects", "encoder", "lens", "heads")


def job(model: Model, windows: int = 3, horizon: int = HORIZON, context: int = 0) -> Job:
    series = generated(windows, 48 + HORIZON, seed=1, kinds=["trend"])
    return Job.of(model, series, Setting(horizon=horizon, windows=1, context=context))


def hooks(model: Model) -> int:
    found = [(one._forward_hooks, one._forward_pre_hooks) for one in model.net.modules()]
    return sum(len(one) + len(other) for one, other in found)


def live() -> int:
    """Bytes of all tensors that are alive, those of one memory once."""
    sizes = {}
    for one in gc.get_objects():
        if type(one) is torch.Tensor:
            storage = one.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
    return sum(sizes.values())


def peaks(model: Model, windows: int) -> tuple[int, int]:
    """Most bytes of tensors at the end of a batch, and of Python objects and arrays at any time."""
    asked, made = Request(Target(), WALK), job(model, windows, 2, 16)
    before, tensors = live(), list[int]()
    stage("walk", made, asked, lambda *_: tensors.append(live() - before))
    tracemalloc.start()
    stage("walk", made, asked)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(tensors), most


def test_memory_does_not_grow_with_the_windows(tiny: Tiny) -> None:
    """Ten windows are one batch, a hundred are seven of up to 16."""
    model = tiny("chronos-t5")
    stage("walk", job(model, 1, 2, 16), Request(Target(), WALK))
    few, many = peaks(model, 10), peaks(model, 100)
    assert all(other < 2 * one for one, other in zip(few, many, strict=True)), (few, many)


EXPECTED = {  # of a chronos-t5 with 2 + 2 layers, whose streams have 3 + 3 places
    ("lens",): 3,
    ("heads",): 3 + 6,
    ("effects",): 3 + 4 + 2,
    ("effects", "lens", "heads"): 3 + 6 + 2,
    ("encoder",): 6 + 6 + 4,
}


@pytest.mark.parametrize("what", EXPECTED, ids=", ".join)
def test_only_what_was_asked_for_is_watched(what: tuple[str, ...], tiny: Tiny) -> None:
    model, seen = tiny("chronos-t5"), list[int]()
    whole = model.trace

    def trace(*given: Any) -> Iterator[Any]:
        for one in whole(*given):
            seen.append(hooks(model))
            yield one

    model.trace = trace  # type: ignore[method-assign]
    stage("walk", job(model), Request(Target(), what))
    assert seen[-1] == EXPECTED[what]
    assert hooks(model) == 0


class Stop(Exception):
    """What a caller raises in the middle."""


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("name", ["walk", "totals"])
def test_no_hook_outlives_a_stage_that_is_stopped(name: str, family: str, tiny: Tiny) -> None:
    model = tiny(family)

    def stop(done: int, *_: Any) -> None:
        raise Stop

    with pytest.raises(Stop) as kept:
        stage(name, job(model), Request(Target(), WHAT), stop)
    assert kept.value.__traceback__ is not None  # and with it all frames
    assert hooks(model) == 0


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("name", ["walk", "totals", "overthinking"])
def test_no_hook_outlives_a_pass_that_fails(name: str, family: str, tiny: Tiny) -> None:
    model, traces = tiny(family), 0
    whole = model.trace

    def trace(*given: Any) -> Iterator[Any]:
        nonlocal traces
        traces += 1
        for one in whole(*given):
            if name != "totals" or traces == 2:  # with a head ablated
                raise Stop
            yield one

    model.trace = trace  # type: ignore[method-assign]
    with pytest.raises(Stop):
        stage(name, job(model), Request(Target(), ("effects", "lens", "totals")))
    assert hooks(model) == 0


@pytest.mark.parametrize("family", NETWORKS)
def test_no_hook_is_there_while_a_glimpse_is_looked_at(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    glimpses = watched(job(model), False).glimpses()
    glimpse = next(glimpses)
    assert hooks(model) == 0
    kept = {name: len(one) for name, one in glimpse.record.streams.items()}
    with torch.no_grad():
        model.readout(glimpse.streams[-1])(glimpse.streams[-1])
    assert kept == {name: len(one) for name, one in glimpse.record.streams.items()}


@pytest.mark.parametrize("family", NETWORKS)
def test_the_tables_are_those_that_were_asked_for(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    lens = ["lens", "errors", "forecasts", "bins", "series"]
    for what, names in (
        (("lens",), lens),
        (("heads",), ["ranks", "cosines"]),
        (("totals", "effects"), ["effects", "totals"]),
    ):
        assert list(attribute(model, SERIES, horizon=3, windows=1, what=what)) == names


def test_another_table_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'lense'.*lens"):
        Request(Target(), ("lense",))


@pytest.mark.parametrize(("name", "head"), [("last", LAST.head), ("seasonal", SEASONAL.head)])
def test_the_head_that_makes_the_forecast_has_its_effect(name: str, head: Address) -> None:
    model = BEHAVIOURS[name](0).model
    found = attribute(
        model,
        SERIES[:2],
        horizon=4,
        windows=1,
        what=("effects", "encoder", "totals"),
        only="decoder",
    )
    table = found["effects"]
    parts = table[table["kind"].isin(["embedding", "head", "mlp", "bias", "(remainder)"])]
    for path, own in (("direct", head), ("through cross-attention", LAST.previous)):
        if name == "last" or path == "direct":
            sizes = parts[parts["path"] == path].groupby("address")["size"].sum()
            assert sizes[str(own)] / sizes.sum() > 0.95
    totals = found["totals"].set_index("address")
    assert totals["total_size"].idxmax() == str(head)
    assert totals.loc[str(head), "total_size"] / totals["total_size"].sum() > 0.95
    row = totals.loc[str(head)]
    np.testing.assert_allclose(row["direct"], row["total"], rtol=0.05)
