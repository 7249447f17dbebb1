"""Toto 2.0: our network forecasts as upstream's does, without its mistakes."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.case import Case
from tests.families import contexts, write_checkpoint
from tests.tiny_toto_2 import SHAPE
from tsfm_probe.errors import ModelError
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.names import KNOWN
from tsfm_probe.models.toto_2.attention import Sight
from tsfm_probe.models.toto_2.network import Toto2Network
from tsfm_probe.models.toto_2.past import Past, Scale
from tsfm_probe.models.toto_2.shape import Shape

FIXTURE = Path(__file__).parent / "fixtures" / "toto_2"
PUBLISHED = {
    "patch_size": 32,
    "d_model": 256,
    "num_heads": 4,
    "num_layers": 4,
    "layer_group_size": 4,
    "num_variate_layers_per_group": 1,
    "variate_layer_first": False,
    "d_ff": 688,
    "attn_bias": True,
    "qk_norm": False,
    "per_dim_scale": True,
    "use_xpos": True,
    "residual_mult": 0.75,
    "residual_attn_ratio": 5.1362,
}
Tiny = Callable[[str], Model]


def silent() -> list[np.ndarray]:
    """One value all the time, nothing at all, and almost nothing."""
    late = np.full(48, np.nan)
    late[[3, 40, 46]] = 5.0, 7.0, 6.0
    return [np.full(48, 3.0), np.full(48, np.nan), late]


CASES = {
    "each alone, within a patch": Case(contexts(), 3),
    "each alone, further than it was trained": Case(contexts(), 60),
    "jointly": Case(contexts(), 11, (0, 1, 0, 1, 1)),
    "silent": Case(silent(), 11),
    "silent, jointly with others": Case([*silent(), *contexts(2)], 11, (0, 0, 0, 0, 1)),
}


def forecast(model: Model, case: Case) -> np.ndarray:
    return model.forecast(case.contexts, case.horizon, groups=case.groups).values


def off(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the spread of the quantiles, which is less than their size."""
    spread = (expected[..., -1] - expected[..., 0]).max(axis=-1)
    return float((np.abs(found - expected).max(axis=(-2, -1)) / spread).max())


@pytest.mark.parametrize("name", CASES)
def test_forecasts_are_those_that_upstream_made(name: str) -> None:
    expected = load_file(FIXTURE / "expected" / "forecasts.st")[name]
    assert off(forecast(load(str(FIXTURE), "cpu"), CASES[name]), expected.numpy()) < 1e-5


def test_toto_2s_gradients_are_the_derivative_of_its_forward_pass(tiny: Tiny) -> None:
    """Unlike upstream's, which unit scaling rescales on their way back."""
    model, generator = tiny("toto-2"), torch.Generator().manual_seed(0)
    net = model.net.double()
    net.transformer.measure()
    weights = torch.randn(model.predict(contexts()).shape, generator=generator)

    def summed() -> Tensor:
        return (model.predict(contexts()) * weights).sum()

    for name, weight in net.named_parameters():
        (gradient,) = torch.autograd.grad(summed(), weight)
        direction = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        ends = []
        for step in (1e-5, -2e-5):
            with torch.no_grad():
                weight.add_(step * direction)
                ends.append(float(summed()))
        expected = pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)
        assert float((gradient * direction).sum()) == expected, name


def test_toto_2s_stream_is_upstreams_without_the_shrinking(tiny: Tiny) -> None:
    """Upstream's rule, written out, gives the same predictions."""
    model, given = tiny("toto-2"), contexts()
    net, expected = model.net, model.predict(given)

    def ruled(x: Tensor, made: Tensor, tau: Tensor) -> Tensor:
        return (tau * made + x) / (1 + tau**2).sqrt()

    past = model.encode(given)
    empty = ~past.observed.unflatten(-1, (-1, SHAPE["patch_size"])).any(-1)
    x = net.patch_proj(Scale.of(past, SHAPE["patch_size"]).patches(past, 0))
    for layer in net.transformer.layers:
        layer.norm1.eps = layer.norm2.eps = SHAPE["norm_eps"]
        x = ruled(x, layer.attn(layer.norm1(x), Sight.of(empty, past.ids)), layer.attn_tau)
        x = ruled(x, layer.ffn(layer.norm2(x)), layer.mlp_tau)
    net.transformer.out_norm.eps = SHAPE["norm_eps"]
    found = net.readout(net.transformer.out_norm(x)[..., -1:, :])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 5, 8, 9, 30, 47])
def test_toto_2s_context_length_need_not_be_a_multiple_of_the_patch(
    length: int, tiny: Tiny
) -> None:
    """Nor reach one patch: padding is never read as zeros, so a level only moves the forecast.

    Upstream raises, and reads zeros before a context that begins within its last patch.
    """
    given = contexts()[0][-length:]
    here, there = (tiny("toto-2").forecast([given + level], 9).values for level in (0.0, 64.0))
    np.testing.assert_allclose(there - 64, here, atol=1e-3 * np.abs(here).max())


@pytest.mark.parametrize(
    ("ratio", "patch", "length"),
    [(5.1362, 32, 4096), (SHAPE["residual_attn_ratio"], 8, 48), (1.0, 8, 4096), (4.3, 24, 4080)],
)
def test_toto_2s_context_length_is_told_by_its_residual_attn_ratio(
    ratio: float, patch: int, length: int
) -> None:
    config = SHAPE | {"residual_attn_ratio": ratio, "patch_size": patch}
    assert Shape.read(config).context_length == length


def test_toto_2s_context_length_is_never_exceeded(tiny: Tiny) -> None:
    """Upstream reads contexts far longer than those of its training, and fails beyond a table."""
    model, long = tiny("toto-2"), np.sin(np.arange(400.0))
    found = model.forecast([long], 9).values
    np.testing.assert_array_equal(found, model.forecast([long[-model.context_length :]], 9).values)


def test_toto_2s_scale_rests_on_at_least_8_observations() -> None:
    """The deviation of a first patch with one observation would be nothing."""
    past = Past.read([np.array([100.0, *range(16)])], None, 64, 8)
    first = np.array([100.0, *range(7)])
    sizes = Scale.of(past, 8).size.flatten().tolist()
    assert sizes[0] == pytest.approx(first.std(ddof=1))
    assert sizes[2] == pytest.approx(np.array([100.0, *range(16)]).std(ddof=1))


def test_quantiles_are_cut_off_10000_scales_beyond_what_was_seen() -> None:
    past = Past.read([np.arange(16.0)], None, 64, 8)
    scaled = torch.tensor([-100.0, 0.0, 100.0]).expand(1, 1, 1, 3)
    found = Scale.of(past, 8).restored(past, scaled).flatten().tolist()
    reach = 1e4 * np.arange(16.0).std(ddof=1)
    assert found == pytest.approx([-reach, 7.5, 15 + reach])


def test_unrelated_series_change_nothing_and_related_ones_do(tiny: Tiny) -> None:
    model, given = tiny("toto-2"), contexts()
    alone = model.forecast(given[:1], 9).values[0]
    beside = model.forecast(given, 9, groups=[7, 1, 2, 1, 2]).values[0]
    within = model.forecast(given, 9, groups=[1, 1, 2, 7, 2]).values[0]
    np.testing.assert_allclose(beside, alone, rtol=1e-5)
    assert np.abs(within - alone).max() > 0.01 * np.abs(alone).max()


def test_the_near_future_does_not_see_the_far_one(tiny: Tiny) -> None:
    model = tiny("toto-2")
    near, far = (model.forecast(contexts(), horizon).values for horizon in (8, 40))
    np.testing.assert_allclose(far[:, :8], near, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"num_output_patches": 2}, "num_output_patches must be 1"),
        ({"num_heads": 5}, "5 heads in 2 groups"),
        *(({name: 0}, f"{name} 0 cannot") for name in ("patch_size", "layer_group_size", "v_dim")),
        *(({"norm_eps": one}, "norm_eps") for one in (0, -1e-4, "small", True, None, math.nan)),
        *(({"num_variate_layers_per_group": one}, "per_group") for one in (-1, 3, 0.5)),
        *(({name: 1}, f"{name} 1 cannot") for name in ("attn_bias", "variate_layer_first")),
        ({"residual_attn_ratio": 1e9}, "too large"),
        ({"residual_attn_ratio": None}, "config.json"),
        ({"d_ff": 40}, "of another shape"),
        ({"mlp_bias": True}, "missing"),
        ({"per_dim_scale": False}, "unexpected"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    folder = write_checkpoint("toto-2", tmp_path / "one")
    (folder / "config.json").write_text(json.dumps(SHAPE | change))
    with pytest.raises(ModelError, match=told):
        load(str(folder), "cpu")


def test_a_missing_tau_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("toto-2", tmp_path / "one")
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.layers.1.mlp_tau"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match="mlp_tau"):
        load(str(folder), "cpu")


def test_taus_follow_the_rule_of_u_mup() -> None:
    """All attentions weigh the same in the final stream, and all MLPs; both fall as it grows."""
    taus = [Shape.read(PUBLISHED).taus(layer) for layer in range(4)]
    unit, weights = 1.0, []
    for attention, mlp in taus:
        weights.append((unit * attention, unit * math.hypot(1, attention) * mlp))
        unit *= math.hypot(1, attention) * math.hypot(1, mlp)
    assert np.ptp(weights, axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert weights[0][0] / weights[0][1] == pytest.approx(5.1362)
    assert unit**2 - 1 == pytest.approx(2 * 0.75**2)


def test_the_published_size_is_that_of_the_known_line() -> None:
    known = KNOWN["toto-2-4m"]
    with torch.device("meta"):
        net = Toto2Network(PUBLISHED)
    assert sum(one.numel() for one in net.parameters()) / 1e6 == pytest.approx(
        known.parameters, abs=5e-4
    )
    assert (len(net.transformer.layers), net.shape.num_heads) == (int(known.layers), known.heads)
