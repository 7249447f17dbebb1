"""The forecasts of TimesFM 2.5 equal those of the `timesfm` package, where it is installed.

`make` writes the fixture with which the ordinary suite checks the same.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

from tests.case import Case
from tests.test_timesfm_2_5 import (
    CASES,
    FIXTURE,
)
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load, timesfm_keys

configs = pytest.importorskip("timesfm.configs")
base = pytest.importorskip("timesfm.timesfm_2p5.timesfm_2p5_base")
network = pytest.importorskip("timesfm.timesfm_2p5.timesfm_2p5_torch")
AS_PUBLISHED = (  # on the model's card
    "normalize_inputs",
    "use_continuous_quantile_head",
    "force_flip_invariance",
    "infer_is_positive",
    "fix_quantile_crossing",
)


@dataclass(frozen=True)
class Shape:
    """A network of two layers and four heads, of this width and these lengths in time."""

    width: int
    patch: int
    horizon: int
    quantiles: int


SHAPES = {"fixture": Shape(16, 2, 4, 8), "published lengths": Shape(24, 32, 128, 1024)}


def package(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package's model with live random weights, in a network of this shape."""
    block, width = configs.ResidualBlockConfig, shape.width
    layer = configs.TransformerConfig(
        width, 2 * width, 4, "rms", "rms", "rms", False, True, "swish", True
    )

    class Tiny(network.TimesFM_2p5_200M_torch_module):
        config = base.TimesFM_2p5_200M_Definition(
            input_patch_len=shape.patch,
            output_patch_len=shape.horizon,
            output_quantile_len=shape.quantiles,
            tokenizer=block(2 * shape.patch, width, width, True, "swish"),
            stacked_transformers=configs.StackedTransformersConfig(2, layer),
            output_projection_point=block(width, width, shape.horizon * 10, False, "swish"),
            output_projection_quantiles=block(width, width, shape.quantiles * 10, False, "swish"),
        )

    monkeypatch.setattr(network, "TimesFM_2p5_200M_torch_module", Tiny)
    made = network.TimesFM_2p5_200M_torch(torch_compile=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in made.model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            norm = 1 + 0.3 * noise if "_ln" in name else 0.1 * noise
            weight.copy_(noise * weight.shape[-1] ** -0.5 if weight.ndim > 1 else norm)
    return made


def upstream(model: Any, case: Case, *off: str) -> np.ndarray:
    """The package's forecast [series, horizon, level] with these flags off.

    It refuses horizons that its quantile head does not reach: there, it is the one without it.
    """
    near = min(case.horizon, model.model.os)
    found = [_compiled(model, case, near, off)]
    if case.horizon > near:
        off = (*off, "use_continuous_quantile_head")
        found.append(_compiled(model, case, case.horizon, off)[:, near:])
    return np.concatenate(found, axis=1)


def _compiled(model: Any, case: Case, horizon: int, off: tuple[str, ...]) -> np.ndarray:
    longest = max(len(one) for one in case.contexts)
    flags = {name: name not in off for name in AS_PUBLISHED}
    model.compile(
        configs.ForecastConfig(max_context=longest + 40, max_horizon=horizon, **flags)
    )  # padded further than it must be
    return model.forecast(horizon, [one.copy() for one in case.contexts])[1][..., 1:]


def walks(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [20 + 3 * np.sin(np.arange(one) / 4) + rng.normal(size=one).cumsum() for one in lengths]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_forecasts_equal_the_package(
    shape: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = package(SHAPES[shape], monkeypatch)
    theirs.save_pretrained(tmp_path)
    ours = load(str(tmp_path), "cpu").forecast(CASES[name].contexts, CASES[name].horizon)
    assert relative(ours.values, upstream(theirs, CASES[name])) < 1e-5


@pytest.mark.parametrize("horizon", [9, 128, 200, 1000, 1100])
def test_any_horizon_equals_the_package(
    horizon: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = walks(100, 64, 37, 200)
    given[0][40:70] = np.nan
    given[1][-3:] = np.nan
    given[3][:35] = np.nan
    given[2] -= 30
    theirs = package(SHAPES["published lengths"], monkeypatch)
    theirs.save_pretrained(tmp_path)
    ours = load(str(tmp_path), "cpu").forecast(given, horizon)
    assert relative(ours.values, upstream(theirs, Case(given, horizon))) < 1e-5


@pytest.mark.parametrize("off", AS_PUBLISHED[:4])
def test_each_flag_of_the_config_equals_the_package(
    off: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without normalize_inputs nothing changes, which is why there is no such flag here."""
    case = Case([one - np.nanmin(one) for one in walks(100, 64)], 7)
    theirs = package(SHAPES["fixture"], monkeypatch)
    theirs.save_pretrained(tmp_path / "package")
    load(str(tmp_path / "package"), "cpu").save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {off: False}))
    ours = load(str(tmp_path), "cpu").forecast(case.contexts, case.horizon)
    assert relative(ours.values, upstream(theirs, case, off)) < 1e-5


def test_the_shape_of_the_published_weights_is_that_of_transformers() -> None:
    with torch.device("meta"):
        weights = network.TimesFM_2p5_200M_torch_module().state_dict()
        theirs = TimesFm2_5ModelForPrediction(TimesFm2_5Config())
    assert timesfm_keys.shape(weights).to_dict() == TimesFm2_5Config().to_dict()
    found = {name: one.shape for name, one in timesfm_keys.renamed(weights).items()}
    assert found == {name: one.shape for name, one in theirs.state_dict().items()}


def make() -> None:
    """Write the fixture: a tiny random checkpoint of the package and its forecasts."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        theirs = package(SHAPES["fixture"], monkeypatch)
    theirs.save_pretrained(FIXTURE)
    (FIXTURE / "README.md").unlink()
    made = {name: torch.from_numpy(upstream(theirs, case)) for name, case in CASES.items()}
    (FIXTURE / "expected").mkdir(exist_ok=True)
    save_file(made, FIXTURE / "expected" / "forecasts.st")


if __name__ == "__main__":
    make()
