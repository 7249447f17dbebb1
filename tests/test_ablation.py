"""An ablation sweep finds what was planted, and its numbers depend on nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.families import NETWORKS
from tests.planted import with_dead, with_only, with_twin
from tsfm_probe.address import Address, matching
from tsfm_probe.data.series import Series, Window
from tsfm_probe.data.synthetic import generated
from tsfm_probe.errors import UsageError
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import UNTOUCHED, Job, Setting, ablate
from tsfm_probe.probes.batches import Batch, batches
from tsfm_probe.probes.fills import donors
from tsfm_probe.probes.sweep import Sweep
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.plan import Plan, Trial
from tsfm_probe.surgery.record import recorded
from tsfm_probe.verdict import answer

Tiny = Callable[[str], Model]
SERIES = generated(1, 90, seed=1)[:4]
DECODER = "decoder.*.{self,cross}"


def job(model: Model, **options: Any) -> Job:
    asked = Setting(horizon=5, windows=2, samples=4)
    return Job.of(model, SERIES, replace(asked, **options))


def ratios(model: Model, **options: Any) -> dict[str, float]:
    table = ablate(model, SERIES, horizon=5, windows=2, samples=8, **options)
    found = answer(table, draws=200)
    return found[found["metric"] == "MASE"].set_index("trial")["ratio"].to_dict()


@pytest.mark.parametrize("family", NETWORKS)
def test_dead_heads_change_nothing_and_live_ones_do(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    first, second = [at for at in model.anatomy.parts if model.anatomy[at].heads][:2]
    dead = [replace(first, head=1), replace(second, head=3)]
    found = ratios(with_dead(model, dead), only=f"{first},{second}")
    for at in dead:
        assert found.pop(str(at)) == 1.0
    live = [ratio for name, ratio in found.items() if name.startswith(first.stack)]
    assert len(live) == 6
    assert all(ratio != 1.0 for ratio in live)


def test_the_only_head_that_writes_is_the_only_one_that_matters(tiny: Tiny) -> None:
    head = Address("decoder", 1, "cross", 2)
    found = ratios(with_only(tiny("chronos-bolt"), head), only="decoder")
    moved = [name for name, ratio in found.items() if name.startswith("decoder") and ratio != 1.0]
    assert moved == [str(head)]


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("method", ["zero", "mean", "resample"])
def test_forecasts_do_not_depend_on_batches_or_on_the_order_of_trials(
    family: str, method: str, tiny: Tiny
) -> None:
    model = tiny(family)
    asked = job(model, by="layer", method=method, windows=1)
    trials = [asked.plan.trials[0], asked.plan.trials[-1]]
    small, large = asked.sweep(batch_size=1), asked.sweep(batch_size=50)
    forwards = [small.forecasts(trial) for trial in trials]
    backwards = [large.forecasts(trial) for trial in trials[::-1]][::-1]
    for one, two in zip(forwards, backwards, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("family", NETWORKS)
def test_reused_encodings_forecast_as_a_whole_pass_does(family: str, tiny: Tiny) -> None:
    """Edits behind the encoder start from its kept state: the result is that of a full pass."""
    model = tiny(family)
    sweep = job(model).sweep()
    sweep.forecasts(UNTOUCHED)
    for at in (model.anatomy.heads[-1], model.anatomy.parts[0]):
        found = sweep.forecasts(Trial(str(at), "part", (at,)))
        for batch in sweep.batches:
            with edited(model.anatomy, [Edit(at)]):
                whole = model.forecast(batch.contexts, 5, 0, 4).values
            np.testing.assert_array_equal(found[list(batch.places)], whole)


def test_mean_is_the_mean_over_windows_for_each_position_and_run(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    sweep = job(model, method="mean").sweep(batch_size=3)
    whole = batches([one.seen for one in sweep.windows], 100)
    assert len(whole) == 1
    assert len(sweep.batches) > 1
    for at in (Address("encoder", 0, "self", 2), Address("decoder", 1, "mlp")):
        with recorded(model.anatomy, [at]) as record:
            model.forecast(whole[0].contexts, 5, 0, 4)
        edits = sweep.fill.edits([at], sweep.batches[0])
        tape = edits[0].by
        assert isinstance(tape, tuple)
        assert len(tape) == len(record.parts[at])
        for mean, values in zip(tape, record.parts[at], strict=True):
            assert mean.shape == values.shape[1:]
            torch.testing.assert_close(mean, values.mean(0), rtol=1e-4, atol=1e-5)


def test_mean_over_windows_of_several_lengths_is_over_positions_too(tiny: Tiny) -> None:
    model, at = tiny("chronos-bolt"), Address("encoder", 0, "mlp")
    windows = [window(length) for length in (16, 40, 16)]
    sweep = Sweep(model, windows, 5, "mean")
    values = []
    for one in windows:
        with recorded(model.anatomy, [at]) as record:
            model.forecast([one.seen], 5)
        values.append(record.parts[at][0][0])
    (mean,) = sweep.fill.edits([at], sweep.batches[0])[0].by or ()
    torch.testing.assert_close(mean, torch.cat(values).mean(0, keepdim=True), rtol=1e-4, atol=1e-5)


def window(length: int) -> Window:
    values = np.random.default_rng(length).normal(size=length + 5)
    start = SERIES[0].start
    return Window(f"s{length}", 0, values[:length], 48, values[length:], 1, start, "h")


@pytest.mark.parametrize("family", NETWORKS)
def test_resample_writes_what_the_part_writes_on_the_other_window(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    sweep = job(model, method="resample").sweep(batch_size=3)
    chosen = donors([one.series for one in sweep.windows], 0)
    at, batch = model.anatomy.parts[-1], sweep.batches[1]
    given = [sweep.windows[chosen[place]].seen for place in batch.places]
    with recorded(model.anatomy, [at]) as record:
        model.forecast(given, 5, 0, 4)
    tape = sweep.fill.edits([at], batch)[0].by
    assert isinstance(tape, tuple)
    for ours, theirs in zip(tape, record.parts[at], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_resampling_every_part_forecasts_the_other_window(tiny: Tiny) -> None:
    """Everything that is added to the decoder's start token comes from the other window."""
    model = tiny("chronos-bolt")
    sweep = job(model, method="resample").sweep()
    parts = model.anatomy.parts
    found = sweep.forecasts(Trial("all", "part", parts))
    chosen = donors([one.series for one in sweep.windows], 0)
    states = [model.encode([one.seen]) for one in sweep.windows]
    for place, values in enumerate(found):
        own, other = states[place], states[chosen[place]]
        swapped = replace(own, hidden=other.hidden, embedded=other.embedded, mask=other.mask)
        expected = model.decode(swapped, 5).values[0]
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)


def test_batches_are_halved_when_memory_runs_out(tiny: Tiny) -> None:
    class Short(Sweep):
        """Memory for two windows at once."""

        def _batch(self, trial: Trial, batch: Batch) -> np.ndarray:
            if len(batch.places) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super()._batch(trial, batch)

    model = tiny("chronos-bolt")
    plenty = job(model).sweep(8)
    short = Short(model, plenty.windows, 5, batch_size=8)
    found = short.forecasts(UNTOUCHED)
    assert short.batch_size == 2
    np.testing.assert_allclose(found, plenty.forecasts(UNTOUCHED), rtol=1e-5, atol=1e-5)


def test_controls_are_noise_and_as_many_random_heads_as_a_trial_takes(tiny: Tiny) -> None:
    anatomy = tiny("chronos-t5").anatomy
    plan = Plan.each(anatomy, "layer").with_controls(anatomy, noise=2, random=3, seed=0)
    kinds = [trial.kind for trial in plan]
    assert kinds == ["layer"] * 4 + ["noise"] * 2 + ["random"] * 3
    assert [len(trial.at) for trial in plan][4:] == [0, 0, 6, 6, 6]
    assert len({trial.at for trial in plan}) == 8
    assert plan == Plan.each(anatomy, "layer").with_controls(anatomy, 2, 3, 0)


def test_noise_moves_a_sampling_model_and_not_a_direct_one(tiny: Tiny) -> None:
    noisy = ratios(tiny("chronos-t5"), only="decoder.0.mlp", by="part")
    assert noisy["noise-1"] != 1.0
    assert ratios(tiny("chronos-bolt"), only="decoder.0.mlp", by="part")["noise-1"] == 1.0


def test_only_takes_the_whole_part_or_layer_of_what_it_matches(tiny: Tiny) -> None:
    anatomy = tiny("chronos-t5").anatomy
    assert Plan.each(anatomy, "head", DECODER).names == tuple(
        str(at) for at in matching(DECODER, anatomy.heads)
    )
    assert Plan.each(anatomy, "part", "decoder.1.cross.2").names == ("decoder.1.cross",)
    assert Plan.each(anatomy, "layer", "decoder.1.cross.2").names == ("decoder.1",)
    with pytest.raises(UsageError, match="no head"):
        Plan.each(anatomy, "head", "decoder.*.mlp")


def test_series_without_a_future_do_not_stop_the_others(tiny: Tiny) -> None:
    short = Series("short", np.arange(6.0), SERIES[0].start, "h")
    made = Job.of(tiny("chronos-bolt"), [short, *SERIES], Setting(horizon=5, windows=1))
    assert [one.series for one in made.skipped] == ["short"]
    assert len(made.windows) == len(SERIES)


def test_exact_copies_of_a_head_are_worth_the_same(tiny: Tiny) -> None:
    first, second = (Address("decoder", 0, "cross", head) for head in (0, 3))
    found = ratios(with_twin(tiny("chronos-bolt"), first, second), only="decoder.0.cross")
    assert found[str(first)] == pytest.approx(found[str(second)], rel=1e-6)
    assert found[str(first)] != 1.0
    assert abs(found["decoder.0.cross.1"] - found[str(first)]) > 1e-4


def test_mean_counts_rightly_in_half_precision(checkpoints: Callable[[str], Path]) -> None:
    model, at = (
        load(str(checkpoints("chronos-bolt")), "cpu", "bfloat16"),
        Address("decoder", 0, "mlp"),
    )
    windows = [replace(window(16 + one), context=16) for one in range(300)]
    sweep = Sweep(model, windows, 5, "mean", batch_size=300)
    with recorded(model.anatomy, [at]) as record:
        model.forecast([one.seen for one in windows], 5)
    (mean,) = sweep.fill.edits([at], sweep.batches[0])[0].by or ()
    torch.testing.assert_close(mean, record.parts[at][0].float().mean(0), rtol=1e-3, atol=1e-3)
