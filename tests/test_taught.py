"""What is learned from along a path is what the forecast along it predicts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.families import NETWORKS, contexts, write_checkpoint
from tsfm_probe.models import load
from tsfm_probe.models.base import Model

Tiny = Callable[[str], Model]
OWN = ("chronos-t5", "timesfm-2.5")


def path(steps: int) -> np.ndarray:
    """What follows the contexts: [series, step]."""
    last = np.array([one[-1] for one in contexts()])[:, None]
    return last + np.random.default_rng(1).normal(size=(len(last), steps))


@pytest.mark.parametrize("family", [one for one in NETWORKS if one not in OWN])
@pytest.mark.parametrize("steps", [3, 21])
def test_one_pass_teaches_what_it_predicts(family: str, steps: int, tiny: Tiny) -> None:
    model = tiny(family)
    assert torch.equal(model.taught(contexts(), path(steps)), model.predict(contexts(), steps))


@pytest.mark.parametrize("family", NETWORKS)
def test_every_weight_that_a_forecast_needs_can_learn(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    model.net.requires_grad_(True)
    model.taught(contexts(), path(9)).square().sum().backward()
    for at in model.anatomy.parts:
        component = model.anatomy[at]
        writer = component.mix or component.write
        for one in writer.parameters():
            assert one.grad is not None, at
            assert one.grad.abs().max() > 0 or one.grad.shape[0] == 1, at


@pytest.mark.parametrize("steps", [6, 15], ids=["within the native length", "beyond"])
def test_each_step_of_chronos_t5_is_that_of_its_trace(steps: int, tiny: Tiny) -> None:
    model, along = tiny("chronos-t5"), path(steps)
    along[0, 2], along[3, 7:9] = np.nan, np.nan
    found = model.taught(contexts(), along).detach()
    expected = torch.cat([one.prediction for one in model.trace(contexts(), steps, along)], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[:, :1], model.predict(contexts()), rtol=1e-5, atol=1e-5)
    along[:, 0] += 5.0
    other = model.taught(contexts(), along)
    assert torch.equal(other[:, 0], found[:, 0])
    assert not torch.allclose(other[:, 1], found[:, 1], atol=1e-3)


def test_both_heads_of_timesfm_2_5_teach(tiny: Tiny) -> None:
    model = tiny("timesfm-2.5")
    point = model.predict(contexts())
    found = model.taught(contexts(), path(4))
    assert torch.equal(found[..., : point.shape[-1]], point)
    model.net.requires_grad_(True)
    model.taught(contexts(), path(4))[..., point.shape[-1] :].sum().backward()
    grads = [one.grad for one in model.net.output_projection_quantiles.parameters()]
    assert all(one is not None and one.abs().max() > 0 for one in grads)


def test_timesfm_2_5_without_its_quantile_head_teaches_one(tmp_path: Path) -> None:
    folder = write_checkpoint("timesfm-2.5", tmp_path, use_continuous_quantile_head=False)
    model = load(str(folder), "cpu")
    assert torch.equal(model.taught(contexts(), path(4)), model.predict(contexts()))
