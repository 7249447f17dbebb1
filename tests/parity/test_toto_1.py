"""The forecasts of Toto 1.0 equal those of toto-ts, where it is installed.

`make` writes the fixture with which the ordinary suite checks the same.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.case import Case
from tests.families import enliven
from tests.test_toto_1 import CASES, EXPECTED, FIXTURE, SAMPLES, SEED, mean_path, seeded_paths
from tests.tiny_toto_1 import toto_1
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.base import left_padded
from tsfm_probe.models.toto_1.adapter import Toto1

toto = pytest.importorskip("toto.model.toto")
forecaster = pytest.importorskip("toto.inference.forecaster")
MADE: dict[str, Any] = {  # two time layers, and a spread that the context bounds
    "embed_dim": 16,
    "num_layers": 3,
    "spacewise_every_n_layers": 3,
    "scale_factor_exponent": 0.05,
}
SHAPES: dict[str, dict[str, Any]] = {
    "as in the fixture": MADE,
    "the variate layer first": {"num_layers": 4, "spacewise_first": True},
    "time layers alone": {"spacewise_every_n_layers": -1},
    "unbounded": {"stabilize_with_global": False, "num_heads": 2, "embed_dim": 40},
}


def upstream(folder: Path, case: Case, samples: int | None) -> Tensor:
    """What toto-ts forecasts: means [series, horizon] or samples [series, horizon, sample]."""
    given = left_padded(case.contexts, 4096)
    ids = torch.tensor(case.groups)[:, None].expand_as(given)
    time = torch.zeros_like(given, dtype=torch.int)
    inputs = forecaster.MaskedTimeseries(
        given.nan_to_num(0.0), ~given.isnan(), ids, time, time[:, 0]
    )
    model = toto.Toto.load_from_checkpoint(folder, strict=True).model
    torch.manual_seed(SEED)
    made = forecaster.TotoForecaster(model).forecast(inputs, case.horizon, samples, samples or 1)
    return (made.mean if samples is None else made.samples)[0]


def write(folder: Path, shape: dict[str, Any]) -> Path:
    net = toto_1(**shape)
    enliven(net)
    net.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_forecasts_equal_upstream(shape: str, name: str, tmp_path: Path) -> None:
    folder, case = write(tmp_path, SHAPES[shape]), CASES[name]
    model = load(str(folder), "cpu")
    assert isinstance(model, Toto1)
    assert relative(mean_path(model, case), upstream(folder, case, None)) < 1e-5
    assert relative(seeded_paths(model, case), upstream(folder, case, SAMPLES)) < 1e-5


def make() -> None:
    """Write the fixture: a tiny random checkpoint and what toto-ts forecasts with it."""
    write(FIXTURE, MADE)
    expected = {}
    for name, case in CASES.items():
        expected[f"{name}: mean"] = upstream(FIXTURE, case, None).contiguous()
        expected[f"{name}: samples"] = upstream(FIXTURE, case, SAMPLES).contiguous()
    EXPECTED.parent.mkdir(exist_ok=True)
    save_file(expected, EXPECTED)


if __name__ == "__main__":
    make()
