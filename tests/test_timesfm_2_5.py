"""TimesFM 2.5 forecasts what its package and transformers do, without their mistakes."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

from tests.case import Case
from tests.families import contexts, write_checkpoint
from tsfm_probe.errors import ModelError
from tsfm_probe.laws import check
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.names import KNOWN
from tsfm_probe.models.timesfm_2_5 import filled, uncrossed
from tsfm_probe.surgery.record import recorded

FIXTURE = Path(__file__).parent / "fixtures" / "timesfm_2_5"
FAMILY = "timesfm-2.5"
NAN = np.nan
Tiny = Callable[[str], Any]


def odd() -> list[np.ndarray]:
    """Missing values at both ends, a constant, one value, a large level, negative values."""
    ends, large, negative = contexts(3, 30, seed=3)
    ends[:7] = ends[-2:] = NAN
    return [ends, np.full(9, 7.1), np.array([4.0]), 1e3 + large[3:], -negative]


CASES = {
    "within the native horizon": Case(contexts(), 3),
    "beyond the native horizon": Case(contexts(), 7),
    "beyond the quantile head": Case(contexts(), 14),
    "clamped at zero": Case([one - np.nanmin(one) for one in contexts()], 7),
    "odd contexts": Case(odd(), 7),
}


def changed(folder: Path, **fields: Any) -> Any:
    """A tiny model with these fields of its config changed."""
    return load(str(write_checkpoint(FAMILY, folder, **fields)), "cpu")


@pytest.mark.parametrize("name", CASES)
def test_forecasts_are_those_that_the_package_made(name: str, tmp_path: Path) -> None:
    """Of its own checkpoint, and of the same saved in the format of transformers."""
    case = CASES[name]
    expected = load_file(FIXTURE / "expected" / "forecasts.st")[name]
    model = load(str(FIXTURE), "cpu")
    assert relative(model.forecast(case.contexts, case.horizon).values, expected) < 1e-5
    model.save(tmp_path)
    again = load(str(tmp_path), "cpu").forecast(case.contexts, case.horizon)
    assert relative(again.values, expected) < 1e-5


def test_the_fixture_is_clamped_where_its_name_says() -> None:
    made = load_file(FIXTURE / "expected" / "forecasts.st")
    assert (made["clamped at zero"] == 0).any()


FIELDS = {
    "shared keys and values": {"num_key_value_heads": 2},
    "biases": {"attention_bias": True, "use_bias": True},
}


@pytest.mark.parametrize("kind", FIELDS)
def test_every_law_holds_on(kind: str, tmp_path: Path) -> None:
    model = changed(tmp_path, **FIELDS[kind])
    assert [one for one in check(model, contexts(3), 9) if not one.holds] == []


@pytest.mark.parametrize(
    "off", ["use_continuous_quantile_head", "force_flip_invariance", "infer_is_positive"]
)
def test_each_flag_of_the_config_does_what_transformers_does(off: str, tmp_path: Path) -> None:
    given = CASES["clamped at zero"].contexts
    plain, model = changed(tmp_path / "plain"), changed(tmp_path / "off", **{off: False})
    assert model.deviation_from_upstream([*given, *odd()], 16) < 1e-5
    found = [one.forecast(given, 16).values for one in (plain, model)]
    assert relative(*found) > 1e-3


def test_the_clamp_at_zero_is_per_series_and_not_by_the_minimum_of_the_batch(tiny: Tiny) -> None:
    model, positive = tiny(FAMILY), CASES["clamped at zero"].contexts[0]
    alone = model.forecast([positive], 16).values
    assert alone.min() == 0, "so that the clamp is seen"
    beside = model.forecast([positive, positive - 1], 16).values
    np.testing.assert_allclose(beside[0], alone[0], atol=1e-5)
    assert beside[1].min() < 0


@pytest.mark.parametrize(("lengths", "patches"), [((48, 3), 6), ((9, 3), 2), ((100,), 6)])
def test_contexts_are_padded_to_whole_patches_of_the_longest(
    lengths: Sequence[int], patches: int, tiny: Tiny
) -> None:
    """Not to the 16384 values that upstream pads every batch to; each part runs twice."""
    model = tiny(FAMILY)
    with recorded(model.anatomy, model.anatomy.parts) as record:
        model.forecast([np.arange(float(length)) for length in lengths], 40)
    more = [patches, patches + 2, patches + 4]
    for runs in record.parts.values():
        assert [one.shape[1] for one in runs] == 2 * more


def test_past_the_native_length_the_median_is_read_again(tmp_path: Path) -> None:
    model = changed(tmp_path, force_flip_invariance=False, context_length=64)
    given = contexts()[0]
    whole = model.forecast([given], 32).values[0, :, 4]
    again = model.forecast([np.concatenate([given, whole[:16]])], 16).values[0, :, 4]
    np.testing.assert_allclose(whole[16:], again, rtol=1e-5)


@pytest.mark.parametrize("horizon", [3, 16, 17, 33])
def test_a_forecast_is_the_start_of_a_longer_one(horizon: int, tiny: Tiny) -> None:
    model = tiny(FAMILY)
    longer = model.forecast(contexts(), 60).values[:, :horizon]
    assert relative(model.forecast(contexts(), horizon).values, longer) < 1e-6


def test_a_negated_series_has_the_negated_forecast(tiny: Tiny) -> None:
    model, given = tiny(FAMILY), [one - 10 for one in contexts()]
    negated = model.forecast([-one for one in given], 40).values[..., ::-1]
    assert relative(-negated.copy(), model.forecast(given, 40).values) < 1e-5


def test_a_large_level_costs_no_precision(tiny: Tiny) -> None:
    """Upstream normalises in single precision and over the padding: 0.06 is lost at a million."""
    model, given = tiny(FAMILY), [one - 100 for one in contexts(2)]
    moved = model.forecast([one - 1e6 for one in given], 40).values + 1e6
    np.testing.assert_allclose(moved, model.forecast(given, 40).values, atol=1e-4)


@pytest.mark.parametrize(("factor", "until"), [(1e-8, 48), (3e-7, 20)])
def test_values_of_hardly_any_deviation_are_not_scaled(
    factor: float, until: int, tiny: Tiny
) -> None:
    given = contexts()[0] - 8
    given[:until] *= factor
    assert tiny(FAMILY).deviation_from_upstream([given], 16) < 1e-5


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ([NAN, NAN, 1, NAN, NAN, 4, NAN], [1, 2, 3, 4, 4]),
        ([3, 1], [3, 1]),
        ([NAN, NAN, NAN], [0, 0, 0]),
    ],
)
def test_missing_values_are_filled_as_in_the_package(
    context: list[float], expected: list[float]
) -> None:
    given = np.array(context, dtype=float)
    np.testing.assert_allclose(filled(given), expected)
    np.testing.assert_array_equal(given, context)


def test_a_series_without_any_value_is_forecast_as_zeros(tiny: Tiny) -> None:
    found = tiny(FAMILY).forecast([np.full(20, NAN), contexts()[0]], 40).values
    assert np.isfinite(found).all()
    assert (found[0] == 0).all()


def test_quantiles_never_cross_and_the_median_stays() -> None:
    crossed = torch.tensor([5.0, 2, 3, 1, 4])
    assert uncrossed(crossed, 2).tolist() == [2, 2, 3, 3, 4]


def test_fused_rows_of_the_package_belong_to_their_head() -> None:
    fused = load_file(FIXTURE / "model.safetensors")["stacked_xf.1.attn.qkv_proj.weight"]
    anatomy = load(str(FIXTURE), "cpu").anatomy
    weights = anatomy.head_weights(anatomy.select("decoder.1.time.2")[0])
    for place, name in enumerate("qkv"):
        rows = fused[16 * place + 8 : 16 * place + 12]
        assert torch.equal(getattr(weights, name), rows)


def test_parameters_are_those_of_the_published_shape() -> None:
    known = KNOWN["timesfm-2.5"]
    with torch.device("meta"):
        net = TimesFm2_5ModelForPrediction(TimesFm2_5Config())
    count = sum(weight.numel() for weight in net.parameters())
    assert count / 1e6 == pytest.approx(known.parameters, abs=0.006)
    assert (str(net.config.num_hidden_layers), net.config.num_attention_heads) == (
        known.layers,
        known.heads,
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"quantiles": [0.1, 0.5, 0.8], "decode_index": 2}, r"levels that mirror.*0\.8"),
        ({"decode_index": 0}, "levels that mirror.*decode_index 0"),
        ({"horizon_length": 12}, "horizon_length of whole patches.*12, patch_length 8"),
        ({"context_length": 44}, "context_length of whole patches.*44, patch_length 8"),
        ({"context_length": 0}, "positive sizes .*context_length 0"),
        ({"context_length": -8}, "positive sizes .*context_length -8"),
        ({"num_attention_heads": 0}, "config.json"),
        ({"num_key_value_heads": 0}, "config.json is damaged or does not fit"),
        ({"num_hidden_layers": "two"}, "config.json is damaged or does not fit"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(
    fields: dict[str, Any], told: str, tmp_path: Path, checkpoints: Callable[[str], Path]
) -> None:
    folder = shutil.copytree(checkpoints(FAMILY), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | fields
    if fields.keys() & {"quantiles", "decode_index", "horizon_length"}:
        write_checkpoint(FAMILY, folder, **fields)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=told):
        load(str(folder), "cpu")


@pytest.mark.parametrize(
    ("name", "weight", "told"),
    [
        ("stacked_xf.1.ff0.weight", None, "1 weights missing .*layers.1.mlp.fc1.weight"),
        ("stacked_xf.0.attn.gate", torch.ones(3), "1 weights unexpected .*self_attn.gate"),
        ("stacked_xf.1.ff1.weight", torch.ones(3, 4), "1 weights of another shape"),
        ("stacked_xf.0.attn.qkv_proj.weight", torch.ones(16, 16), "damaged or does not fit"),
        ("tokenizer.hidden_layer.weight", None, "damaged or does not fit"),
    ],
)
def test_weights_of_the_package_are_read_strictly(
    name: str, weight: torch.Tensor | None, told: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(FIXTURE, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights.pop(name, None)
    save_file(weights | ({} if weight is None else {name: weight}), folder / "model.safetensors")
    with pytest.raises(ModelError, match=told):
        load(str(folder), "cpu")
