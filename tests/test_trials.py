"""What a benchmark is run on: the models of its trials, and what their rows depend on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.families import write_checkpoint
from tsfm_probe.errors import DataError, UsageError
from tsfm_probe.evaluate import dysts_work
from tsfm_probe.evaluate.chaos import systems
from tsfm_probe.evaluate.dysts import Protocol
from tsfm_probe.evaluate.dysts_work import Job, units
from tsfm_probe.evaluate.fev_tasks import read_lines
from tsfm_probe.evaluate.fev_work import model_names
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.gift_eval_sets import official
from tsfm_probe.evaluate.leaderboard import read
from tsfm_probe.evaluate.marks import what
from tsfm_probe.evaluate.submission import submit
from tsfm_probe.evaluate.sums import METRICS
from tsfm_probe.evaluate.trials import UNTOUCHED, Subjects, Trial, trials

Checkpoints = Callable[[str], Path]


def subjects(folder: Path, dtype: str = "auto") -> Subjects:
    return Subjects(str(folder), "cpu", dtype)


def test_what_auto_came_to_holds_for_all_models(checkpoints: Checkpoints) -> None:
    own = subjects(checkpoints("chronos-bolt"))
    own.model(UNTOUCHED)
    assert own.dtype == "float32"


def test_the_config_of_a_pruned_model_is_part_of_its_mark(tmp_path: Path) -> None:
    """The same weights forecast otherwise with another config."""
    folder = write_checkpoint("chronos-bolt", tmp_path / "other", seed=1)
    trial = Trial("pruned", folder=str(folder))
    before = what(trial, subjects(folder))
    assert what(trial, subjects(folder)) == before
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"context_length": 48', '"context_length": 32'))
    assert what(trial, subjects(folder)) != before


def test_trajectories_of_another_integrator_are_other_units(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = systems(["lorenz"], "built-in")
    name = str(checkpoints("chronos-bolt"))
    job = Job(name, "cpu", "auto", found, (UNTOUCHED,), Protocol(), Forecasting())
    own = subjects(checkpoints("chronos-bolt"))
    before = units(job, own)
    assert units(job, own) == before
    monkeypatch.setattr(dysts_work, "version", lambda name: f"{name} 99")
    assert not set(units(job, own)) & set(before)


def test_a_model_that_cannot_forecast_so_is_told_before_the_others_do(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    short = shutil.copytree(checkpoints("chronos-bolt"), tmp_path / "short")
    path = short / "config.json"
    path.write_text(path.read_text().replace('"context_length": 48', '"context_length": 32'))
    tried = trials(prune=[short])
    own = subjects(checkpoints("chronos-bolt"))
    assert Forecasting(context=32).checked(own, tried).context_length == 48
    with pytest.raises(UsageError, match="short reads 32 values at most"):
        Forecasting(context=40).checked(own, tried)
    alone = subjects(checkpoints("chronos-2"))
    assert Forecasting(joint=True).checked(alone, trials())
    with pytest.raises(UsageError, match="reads each series on its own"):
        Forecasting(joint=True).checked(alone, tried)


def test_a_trial_is_named_after_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert trials(prune=[Path()])[-1].name == f"pruned {tmp_path.name}"


def test_no_folder_of_this_machine_is_told_to_a_leaderboard() -> None:
    names = model_names("/some/where/mine/", trials(["decoder.0"]))
    assert list(names.values()) == ["seasonal_naive", "mine", "mine decoder.0"]


def test_the_naive_forecast_is_submitted_as_no_pretrained_model(tmp_path: Path) -> None:
    one = official()[0]
    row = {"configuration": one.key, "trial": "seasonal_naive"} | dict.fromkeys(METRICS, 1.0)
    for name, dtype, kind in (("naive", "", "statistical"), ("own", "float32", "pretrained")):
        submit(tmp_path / name, name, dtype, pd.DataFrame([row]), [one])
        about = json.loads((tmp_path / name / "config.json").read_text())
        assert (about["model_type"], about["model_dtype"]) == (kind, dtype)


def test_a_leaderboard_of_other_columns_is_told_which_there_must_be(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column model; the columns model, MASE and CRPS"):
        read(path)
    path.write_text("model_name,task_name,test_error\na,b,1\n")
    with pytest.raises(DataError, match="no column fev_version; a file such as fev's results"):
        read_lines(path)
