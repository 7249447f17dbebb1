"""The forecasts of TimesFM 3.0 equal those of the `timesfm` package, where it is installed.

`make` writes the fixture with which the ordinary suite checks the same.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.case import Case
from tests.families import contexts, write_checkpoint
from tests.test_timesfm_3 import (
    CASES,
    FIELDS,
    FIXTURE,
    odd,
)
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.groups import members

timesfm3 = pytest.importorskip("timesfm3")


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package collects garbage after each forecast, which takes longer than the forecast."""
    monkeypatch.setattr("timesfm3.torch.timesfm3_forecaster.try_gc", lambda device: None)


def package(folder: Path) -> Any:
    """The package's forecaster of a checkpoint."""
    return timesfm3.TimesFM3Forecaster.from_pretrained(
        str(folder), device="cpu", local_files_only=True
    )


def upstream(folder: Path, case: Case) -> np.ndarray:
    """The package's quantiles [series, horizon, level], one group after the other."""
    forecaster = package(folder)
    found = np.empty((len(case.contexts), case.horizon, 9), dtype=np.float32)
    for places in members(case.groups, len(case.contexts)):
        those = [case.contexts[place] for place in places]
        longest = max(map(len, those))
        joint = np.stack([np.r_[np.full(longest - len(one), np.nan), one] for one in those])
        made = forecaster.predict(joint, case.horizon, return_quantiles=True)
        found[places] = made.quantiles
    return found


def make(folder: Path = FIXTURE) -> None:
    """Write a checkpoint in the published format and what the package forecasts with it."""
    write_checkpoint("timesfm-3", folder, model_dims=16, use_rope_var=True)
    (folder / "README.md").unlink()
    made = {name: torch.from_numpy(upstream(folder, case)) for name, case in CASES.items()}
    (folder / "expected").mkdir(exist_ok=True)
    save_file(made, folder / "expected" / "forecasts.st")


KINDS = FIELDS | {
    "as published": {},
    "variates in order": {"use_rope_var": True},
    "frozen statistics": {
        "use_frozen_running_stats": True,
        "use_iterative_cpm_revin": False,
        "use_linear_detrending": False,
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_forecasts_equal_the_packages(kind: str, name: str, tmp_path: Path) -> None:
    write_checkpoint("timesfm-3", tmp_path, **KINDS[kind])
    case, model = CASES[name], load(str(tmp_path), "cpu")
    for horizon in (case.horizon, 70):
        asked = Case(case.contexts, horizon, case.groups if model.joint else None)
        found = model.forecast(asked.contexts, horizon, groups=asked.groups).values
        assert relative(found, upstream(tmp_path, asked)) < 1e-5


def test_the_fixture_is_what_the_package_makes(tmp_path: Path) -> None:
    make(tmp_path)
    for file in ("config.json", "model.safetensors", "expected/forecasts.st"):
        assert (tmp_path / file).read_bytes() == (FIXTURE / file).read_bytes()


def test_upstream_forecasts_depend_on_the_length_of_their_neighbours(tmp_path: Path) -> None:
    """What ours do not repeat; if this fails, upstream has mended it."""
    forecaster = package(write_checkpoint("timesfm-3", tmp_path))
    short, long = odd()[-1], contexts(2, 200)[0]
    alone = forecaster.predict(short, 9, return_quantiles=True).quantiles
    beside, _ = forecaster.predict_batch([short, long], 9, return_quantiles=True)
    assert relative(beside.quantiles, alone) > 1e-3


def test_upstream_chooses_a_trend_by_rounding(tmp_path: Path) -> None:
    """What ours do not repeat; if this fails, upstream has mended it."""
    forecaster = package(write_checkpoint("timesfm-3", tmp_path))
    noise = np.random.default_rng(0).integers(-30, 30, size=(2, 64))
    series = np.stack([noise[0], noise[1] + 4.0 * np.arange(64)])
    near, far = (
        np.stack([forecaster.predict(one + level, 9).forecast - level for one in series])
        for level in (0.0, 2.0**18)
    )
    assert np.abs(far - near).max() > 3
