"""TimesFM 3.0 forecasts what its package does for each series alone, whoever its neighbours are."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.case import Case
from tests.families import contexts, write_checkpoint
from tests.tiny_timesfm_3 import timesfm_3
from tsfm_probe.address import Address
from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.laws import check
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.names import KNOWN
from tsfm_probe.models.timesfm_3.adapter import TimesFM3, stitched
from tsfm_probe.models.timesfm_3.given import trends, without_gaps
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.record import recorded

FIXTURE = Path(__file__).parent / "fixtures" / "timesfm_3"
FAMILY = "timesfm-3"
NAN = np.nan
Tiny = Callable[[str], Any]


def odd() -> list[np.ndarray]:
    """Nothing known, missing at the ends, a constant, one value, a line, a late start."""
    ends = contexts(2, 30, seed=3)[0]
    ends[:7] = ends[-2:] = NAN
    late = np.r_[np.zeros(30), np.arange(10.0) ** 2]
    return [np.full(20, NAN), ends, np.full(30, 3.7), np.array([2.0]), np.arange(40.0) * 3, late]


CASES = {
    "within the native horizon": Case(contexts(), 5),
    "beyond the native horizon": Case(contexts(3, 19), 37),
    "odd contexts": Case(odd(), 17),
    "groups of different size and length": Case(contexts(6, 30), 17, [0, 1, 0, 2, 1, 0]),
    "odd contexts in groups": Case(odd(), 5, [0, 0, 1, 2, 1, 2]),
}


def tiny_with(folder: Path, **fields: Any) -> Model:
    """A tiny model with these fields of its config changed."""
    return load(str(write_checkpoint(FAMILY, folder, **fields)), "cpu")


@pytest.mark.parametrize("name", CASES)
def test_forecasts_are_those_that_the_package_made(name: str) -> None:
    case = CASES[name]
    found = load(str(FIXTURE), "cpu").forecast(case.contexts, case.horizon, groups=case.groups)
    expected = load_file(FIXTURE / "expected" / "forecasts.st")[name]
    assert relative(found.values, expected) < 1e-5


FIELDS: dict[str, dict[str, Any]] = {
    "biases": {"use_bias": True},
    "a softmax that is not sharpened": {"use_memory_efficient_attention": False},
    "no attention over variates": {"use_variate_attention": False},
    "nothing stitched": {"use_stitching": False, "output_patch_len": 8},
    "far reaching patches": {"output_patch_len": 32},
}


@pytest.mark.parametrize("kind", ["biases", "no attention over variates"])
def test_every_law_holds_with(kind: str, tmp_path: Path) -> None:
    model = tiny_with(tmp_path, **FIELDS[kind])
    given = [one[-24:] for one in contexts(2)]
    assert [one for one in check(model, given, 9) if not one.holds] == []


def test_a_forecast_does_not_depend_on_the_length_of_its_neighbours_as_upstream_does(
    tiny: Tiny,
) -> None:
    model, (short, *others) = tiny(FAMILY), [odd()[-1], *contexts(2, 200)]
    alone = model.forecast([short], 20).values
    assert relative(model.forecast([short, *others], 20).values[:1], alone) < 1e-5
    assert relative(model.forecast([short, *others], 20, groups=[0, 1, 1]).values[:1], alone) < 1e-5


def test_the_trend_is_not_chosen_by_rounding_as_upstream_does(tiny: Tiny) -> None:
    """Whole numbers far from zero, exact in single precision, whose squares are not."""
    model = tiny(FAMILY)
    noise = np.random.default_rng(0).integers(-30, 30, size=(2, 64))
    series = [noise[0].astype(float), noise[1] + 4.0 * np.arange(64)]
    assert (trends(np.stack(series), 0.5).any(axis=1) == [False, True]).all()
    near = model.forecast(series, 9).values
    far = model.forecast([one + 2.0**18 for one in series], 9).values - 2.0**18
    np.testing.assert_allclose(far, near, atol=0.3)


def test_series_of_a_group_are_variates_of_one_row_and_only_they_are_read(tmp_path: Path) -> None:
    model = tiny_with(tmp_path, use_rope_var=True)
    given = contexts(5, 40)
    part = Address("decoder", 0, "variate")
    for groups, rows in ((None, 5), ([0, 1, 0, 1, 0], 6)):
        with recorded(model.anatomy, [part]) as record:
            together = model.forecast(given, 9, groups=groups).values
        assert record.parts[part][0].shape[0] == rows
        if groups:
            swapped = model.forecast([given[one] for one in (2, 0, 4)], 9, groups=[0] * 3).values
            assert relative(swapped, together[[2, 0, 4]]) > 1e-4  # their order is embedded
            kept = model.forecast([given[one] for one in (0, 2, 4)], 9, groups=[0] * 3).values
            assert relative(kept, together[[0, 2, 4]]) < 1e-5


def test_a_prediction_is_the_first_of_a_forecast_with_its_gradient(tiny: Tiny) -> None:
    model = tiny(FAMILY)
    with recorded(model.anatomy, output=True) as record:
        model.forecast(odd(), 1)
    found = model.predict(odd())
    torch.testing.assert_close(found[:, 0], record.output[0], rtol=0, atol=0)
    found.sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in model.net.parameters())


@pytest.mark.parametrize("kind", ["plain", "biases"])
def test_a_network_without_a_layer_forecasts_as_the_one_whose_layer_is_ablated(
    kind: str, tmp_path: Path
) -> None:
    model = tiny_with(tmp_path, **FIELDS.get(kind, {}))
    for name, parts in model.anatomy.layers.items():
        with edited(model.anatomy, [Edit(at) for at in parts]):
            ablated = model.forecast(contexts(), 9).values
        cut = load(str(tmp_path), "cpu")
        del cut.net.transformer_stack.layers[int(name.split(".")[1])]
        np.testing.assert_allclose(cut.forecast(contexts(), 9).values, ablated, rtol=1e-5)


def test_gaps_are_filled_within_a_group() -> None:
    given = [np.array([NAN, NAN, 1, NAN, 3]), np.array([NAN, 5, NAN]), np.full(2, NAN)]
    assert without_gaps(given).tolist() == [[1, 2, 3], [5, 5, 5], [0, 0, 0]]
    assert without_gaps([given[2]]).tolist() == [[0, 0]]


def test_predictions_are_stitched_where_they_overlap() -> None:
    made = torch.tensor([[0.0, 0, 0, 0, 0, 0], [9.0, 9, 9, 9, 9, 9]])[None, None, :, :, None]
    assert stitched(made, 3).flatten().tolist() == [0, 0, 0, 0, 4.5, 9, 9, 9, 9]
    assert stitched(made, 6).flatten().tolist() == [0] * 6 + [9] * 6


def rewritten(folder: Path, **fields: Any) -> None:
    """Change fields of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def without(folder: Path, name: str) -> None:
    """Leave a weight out of a checkpoint."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights[name]
    save_file(weights, path, metadata={"format": "pt"})


SCALE = "transformer_stack.layers.1.var_attn.per_dim_scale.per_dim_scale"
DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing weight": (lambda at: without(at, SCALE), f"1 weights missing \\({SCALE}\\)"),
    "misshapen weight": (lambda at: rewritten(at, output_patch_len=24), "of another shape"),
    "unknown transform": (
        lambda at: rewritten(at, input_transform="signed_log"),
        "config.json is damaged or does not fit \\(input_transform 'signed_log'",
    ),
    "attention to the future": (
        lambda at: rewritten(at, transformer_config=layered(causal_attention=False)),
        "causal_attention false",
    ),
    "heads that do not fit": (
        lambda at: rewritten(at, transformer_config=layered(num_heads=5)),
        "model_dims 32 for num_heads 5",
    ),
    "unknown field of a layer": (
        lambda at: rewritten(at, transformer_config={"num_layers": 2, "transformer": {"w": 1}}),
        "config.json is damaged or does not fit .*unexpected keyword argument 'w'",
    ),
}


def layered(**fields: Any) -> dict[str, Any]:
    """The part of a config.json that describes the layers, with these fields changed."""
    return timesfm_3(**fields).to_dict()["transformer_config"]


UNUSABLE = [
    *(("input_patch_len", one) for one in (0, -8, 8.0, None)),
    *(("linear_detrending_threshold", one) for one in ("half", None, True, NAN)),
    *(("use_stitching", 1), ("quantiles", []), ("quantiles", [0.5, 0.1])),
]
DAMAGE |= {
    f"{one}": (partial(rewritten, **dict([one])), "config.json is damaged") for one in UNUSABLE
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_bad_checkpoint_is_refused(how: str, tmp_path: Path) -> None:
    damage, words = DAMAGE[how]
    damage(write_checkpoint(FAMILY, tmp_path))
    with pytest.raises(ModelError, match=words):
        load(str(tmp_path), "cpu")


def test_unknown_fields_that_the_package_ignores_are_ignored(tmp_path: Path) -> None:
    rewritten(write_checkpoint(FAMILY, tmp_path), license="other")
    assert load(str(tmp_path), "cpu").family == FAMILY


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(FAMILY, tmp_path)
    monkeypatch.setitem(sys.modules, "timesfm3", None)
    words = r"timesfm, 3.0.2 or later, is not installed; pip install 'tsfm-probe\[timesfm3\]'$"
    with pytest.raises(ModelError, match=words):
        load(str(tmp_path), "cpu")


def test_another_dtype_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'bfloat16'.*computes in float32.*auto, float32"):
        load(str(write_checkpoint(FAMILY, tmp_path)), "cpu", "bfloat16")


def test_the_licence_of_the_weights_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_with(tmp_path)
    assert "non-commercial" in TimesFM3.notice
    assert TimesFM3.notice in caplog.text


def test_the_published_size() -> None:
    with torch.device("meta"):
        size = sum(one.numel() for one in published().parameters())
    assert round(size / 1e6, 2) == KNOWN[FAMILY].parameters == 330.71


def published() -> torch.nn.Module:
    """A network of the published size: 20 layers of 16 heads, 1280 wide."""
    block = {"hidden_dims": 1280, "output_dims": 1280, "use_bias": False, "activation": "relu"}
    return timesfm_3(
        20, 16, 1280, hidden_dims=1280, residual_block_config=block,
        input_patch_len=32, output_patch_len=64,
    )  # fmt: skip
