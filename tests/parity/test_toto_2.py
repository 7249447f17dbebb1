"""The forecasts of Toto 2.0 equal those of the package toto-2, where it is installed.

`make` writes the fixture with which the ordinary suite checks the same.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.case import Case
from tests.families import contexts, write_checkpoint
from tests.test_toto_2 import CASES, FIXTURE, forecast, off
from tsfm_probe.models import load
from tsfm_probe.models.base import left_padded

toto2 = pytest.importorskip("toto2")
upstream = pytest.importorskip("toto2.model")
SMALL: dict[str, Any] = {
    "d_model": 12,
    "patch_size": 4,
    "qk_dim": 4,
    "v_dim": 4,
    "d_ff": 16,
    "residual_attn_ratio": math.sqrt(12 / math.log(12)),
}
SHAPES: dict[str, dict[str, Any]] = {
    "as in the fixture": SMALL,
    "as published": {
        "num_layers": 4,
        "layer_group_size": 4,
        "num_groups": None,
        "qk_dim": None,
        "v_dim": None,
        "d_model": 32,
        "norm_include_weight": False,
    },
    "everything otherwise": {
        "num_layers": 6,
        "layer_group_size": 3,
        "num_variate_layers_per_group": 2,
        "variate_layer_first": True,
        "attn_bias": False,
        "mlp_bias": True,
        "qk_norm": True,
        "per_dim_scale": False,
        "use_xpos": False,
    },
}
DEFAULTS = {"scaler_fallback_min_obs": 8, "quantile_real_cap_k": 1e4}  # of Toto2GluonTSModel


def theirs(net: Any, case: Case, **settings: Any) -> np.ndarray:
    """What upstream forecasts for contexts that are padded to whole patches."""
    patch = net.config.patch_size
    values = left_padded(case.contexts, 10_000).numpy()
    values = np.pad(values, ((0, 0), (-values.shape[1] % patch, 0)), constant_values=np.nan)
    groups = range(len(values)) if case.groups is None else case.groups
    inputs = {
        "target": torch.from_numpy(upstream.ffill_imputation(values))[None],
        "target_mask": torch.from_numpy(~np.isnan(values))[None],
        "series_ids": torch.tensor(list(groups))[None],
    }
    found = net.forecast(inputs, case.horizon, **settings)
    return found[:, 0].permute(1, 2, 0).numpy()


def network(folder: Path) -> Any:
    return toto2.Toto2Model.from_pretrained(str(folder))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_forecasts_equal_upstream(shape: str, name: str, tmp_path: Path) -> None:
    net = network(write_checkpoint("toto-2", tmp_path / "ours", **SHAPES[shape]))
    net.save_pretrained(tmp_path / "theirs")
    found = forecast(load(str(tmp_path / "theirs"), "cpu"), CASES[name])
    assert off(found, theirs(net, CASES[name], **DEFAULTS)) < 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_settings_matter_only_where_a_first_patch_is_hardly_observed(
    shape: str, tmp_path: Path
) -> None:
    folder = write_checkpoint("toto-2", tmp_path / "ours", **(SHAPES[shape] | {"patch_size": 8}))
    case = Case([*contexts()[:1], *contexts()[2:]], 30, (0, 0, 1, 2))
    assert off(forecast(load(str(folder), "cpu"), case), theirs(network(folder), case)) < 1e-5


def test_upstream_fails_on_a_context_that_is_not_a_multiple_of_the_patch(tmp_path: Path) -> None:
    net = network(write_checkpoint("toto-2", tmp_path / "one"))
    inputs = {
        "target": torch.randn(1, 1, 30),
        "target_mask": torch.ones(1, 1, 30, dtype=torch.bool),
        "series_ids": torch.zeros(1, 1, dtype=torch.long),
    }
    with pytest.raises(Exception, match="can't divide axis"):
        net.forecast(inputs, 8)


def test_upstream_reads_zeros_before_a_context_that_begins_in_its_last_patch(
    tmp_path: Path,
) -> None:
    folder = write_checkpoint("toto-2", tmp_path / "one")
    model, net = load(str(folder), "cpu"), network(folder)
    low, high = (Case([contexts()[0][-5:] + level], 8) for level in (0.0, 64.0))
    moved = theirs(net, high, **DEFAULTS) - 64
    assert off(moved, theirs(net, low, **DEFAULTS)) > 1
    assert off(forecast(model, high) - 64, forecast(model, low)) < 1e-3


def test_upstreams_gradients_are_not_the_derivative_and_ours_are(tmp_path: Path) -> None:
    """The slope of the prediction along the first attention's output bias, in both libraries."""
    folder = write_checkpoint("toto-2", tmp_path / "one")
    model, net = load(str(folder), "cpu"), network(folder)
    context = contexts()[:1]
    given = left_padded(context, 48)[None]
    seen = torch.ones_like(given, dtype=torch.bool)
    ids = torch.zeros(1, 1, dtype=torch.long)
    bias = "transformer.layers.0.attn.out_proj.bias"
    slopes, derivatives = [], []
    for predict, weight in (
        (lambda: model.predict(context)[0, 0, -1].sum(), model.net.get_parameter(bias)),
        (lambda: net(given, seen, seen, ids).quantiles[..., -1, :].sum(), net.get_parameter(bias)),
    ):
        (slope,) = torch.autograd.grad(predict(), weight)
        slopes.append(float(slope.sum()))
        ends = []
        for step in (1e-2, -2e-2):
            with torch.no_grad():
                weight.add_(step)
                ends.append(float(predict()))
        derivatives.append((ends[0] - ends[1]) / 2e-2)
    assert derivatives[0] == pytest.approx(derivatives[1], rel=1e-2)
    assert slopes[0] == pytest.approx(derivatives[0], rel=1e-2)
    assert slopes[1] != pytest.approx(derivatives[1], rel=0.5)


def make() -> None:
    """Write the fixture: a tiny random checkpoint and what toto-2 forecasts with it."""
    write_checkpoint("toto-2", FIXTURE, **SMALL)
    net = network(FIXTURE)
    expected = {
        name: torch.from_numpy(np.ascontiguousarray(theirs(net, case, **DEFAULTS)))
        for name, case in CASES.items()
    }
    (FIXTURE / "expected").mkdir(exist_ok=True)
    save_file(expected, FIXTURE / "expected" / "forecasts.st")


if __name__ == "__main__":
    make()
