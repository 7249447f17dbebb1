"""A Model is a fev.ForecastingModel, and the lines and scores of a run are fev's own."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fev
import numpy as np
import pandas as pd
import pytest
import requests
import torch
from datasets import config
from pandas.testing import assert_frame_equal

from tests import fev_data
from tests.families import NETWORKS
from tests.fev_data import HORIZON, LEVELS, MEASURED, SHORT
from tests.said import Said
from tsfm_probe.errors import DataError, ModelError, UsageError
from tsfm_probe.evaluate.fev import Forecaster, at_levels, observed, predictions
from tsfm_probe.evaluate.fev_naive import SeasonalNaive, seasonal_naive
from tsfm_probe.evaluate.fev_tasks import COLUMNS, fingerprint, read_tasks, rows, summary
from tsfm_probe.evaluate.fev_work import Job, Worker, leaderboard, summaries, units
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.store import Store, Unit, fill
from tsfm_probe.evaluate.trials import trials
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.edit import Edit, edited

Tiny = Callable[[str], Model]
Command = Callable[..., Said]
TIMES = {"training_time_s", "inference_time_s"}


@pytest.fixture(autouse=True)
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cache of datasets is not the user's, and fev says nothing."""
    place, log = config.HF_DATASETS_CACHE, logging.getLogger("fev")
    config.HF_DATASETS_CACHE = tmp_path_factory.getbasetemp() / "datasets"
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    config.HF_DATASETS_CACHE = place
    log.setLevel(level)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds sales.parquet, weather.parquet and tasks.yaml."""
    path = tmp_path_factory.mktemp("fev")
    fev_data.tasks_file(path)
    return path


def sales(folder: Path, **options: Any) -> fev.Task:
    asked: dict[str, Any] = {**SHORT, **MEASURED, **options}
    return fev.Task(dataset_path=str(folder / "sales.parquet"), **asked)


def weather(folder: Path, *targets: str) -> fev.Task:
    place = str(folder / "weather.parquet")
    return fev.Task(dataset_path=place, target=list(targets), **SHORT, **MEASURED)


def first(task: fev.Task) -> fev.EvaluationWindow:
    return task.get_window(0, num_proc=1)


@pytest.mark.parametrize("family", NETWORKS)
def test_what_fev_is_given_is_what_the_model_forecasts(
    family: str, tiny: Tiny, folder: Path
) -> None:
    model, task = tiny(family), weather(folder, "a", "b")
    made = Forecaster(model, samples=4, seed=3).fit_predict(task)
    assert len(made) == 2
    for window, one in zip(task.iter_windows(num_proc=1), made, strict=True):
        found = task.clean_and_validate_predictions(one)
        past, _ = window.get_input_data()
        for target in ("a", "b"):
            for item in range(2):
                seen = past[item][target][-model.context_length :]
                expected = model.forecast([seen], HORIZON, 3, 4).values[0]
                ours = found[target][item]
                for level, key in enumerate(map(str, LEVELS)):
                    np.testing.assert_allclose(ours[key], expected[:, level], rtol=2e-4, atol=2e-4)
                assert ours["predictions"] == ours["0.5"]


def test_edits_are_open_while_it_predicts_and_no_longer(tiny: Tiny, folder: Path) -> None:
    model, task = tiny("chronos-bolt"), sales(folder)
    edits = [Edit(model.anatomy.select("decoder.0.cross")[0].whole)]
    whole = Forecaster(model).values(task, first(task))
    found = Forecaster(model, edits).values(task, first(task))
    contexts = observed(first(task))
    with edited(model.anatomy, edits):
        expected = model.forecast([contexts[0]], HORIZON).values[0]
    np.testing.assert_allclose(found[0, :, :-1], expected, rtol=1e-5)
    assert not np.allclose(found, whole, rtol=1e-3)
    np.testing.assert_array_equal(Forecaster(model).values(task, first(task)), whole)


def test_targets_of_an_item_are_forecast_jointly_where_that_is_asked_for(
    tiny: Tiny, folder: Path
) -> None:
    model, task = tiny("chronos-2"), weather(folder, "a", "b")
    contexts = observed(first(task))
    found = Forecaster(model, joint=True).values(task, first(task))
    expected = model.forecast(contexts, HORIZON, groups=[0, 0, 1, 1]).values
    np.testing.assert_allclose(found[..., :-1], expected, rtol=1e-4, atol=1e-4)
    alone = Forecaster(model).values(task, first(task))
    assert not np.allclose(found, alone, rtol=1e-3)
    with pytest.raises(UsageError, match="reads each series on its own"):
        Forecaster(tiny("chronos-bolt"), joint=True).values(task, first(task))


def test_a_target_without_any_value_is_forecast_as_zero(tiny: Tiny, folder: Path) -> None:
    task = weather(folder, "a", "empty")
    found = Forecaster(tiny("chronos-bolt")).values(task, first(task))
    assert (found[1::2] == 0).all()
    assert (found[::2] != 0).all()
    assert np.isfinite(SeasonalNaive().values(task, first(task))).all()


def test_levels_between_are_interpolated_and_others_refused(tiny: Tiny, folder: Path) -> None:
    values = np.arange(9.0)[None, None] ** 2
    found = at_levels(values, [0.1, 0.15, 0.3, 0.875, 0.9])[0, 0]
    np.testing.assert_allclose(found, [0, 0.5, 4, 49 + 0.75 * 15, 64])
    task = sales(folder, quantile_levels=[0.25, 0.5])
    made = Forecaster(tiny("chronos-bolt")).fit_predict(task)
    assert set(task.clean_and_validate_predictions(made[0])["target"].features) == {
        "predictions",
        "0.25",
        "0.5",
    }
    task = sales(folder, quantile_levels=[0.05, 0.5])
    with pytest.raises(UsageError, match=r"level 0\.05; .* 0\.1 to 0\.9"):
        Forecaster(tiny("chronos-bolt")).fit_predict(task)


def test_what_is_not_finite_is_told(folder: Path, tmp_path: Path) -> None:
    task = weather(folder, "a", "b")
    values = np.ones((4, HORIZON, 10))
    values[3, 2, 0] = np.inf
    with pytest.raises(ModelError, match=r"item 1, target 'b'.*not finite at step 2"):
        predictions(task, values)
    found = rows(task, 0, values, "weather", "x")
    assert np.isnan(found["value"].to_numpy()).all()
    frame = pd.read_parquet(folder / "sales.parquet")
    frame.loc[70, "target"] = -np.inf
    frame.to_parquet(tmp_path / "sales.parquet", index=False)
    with pytest.raises(DataError, match="the target 'target' of the item 's1'; it is infinite"):
        observed(first(sales(tmp_path)))


@pytest.mark.parametrize("targets", [[], ["a", "b"]])
def test_a_line_is_the_one_that_fev_itself_makes(
    targets: list[str], tiny: Tiny, folder: Path
) -> None:
    task = weather(folder, *targets) if targets else sales(folder)
    made = Forecaster(tiny("chronos-bolt"))
    expected = task.evaluation_summary(made.fit_predict(task), "x")
    windows = enumerate(task.iter_windows(num_proc=1))
    found = [rows(task, place, made.values(task, one), "t", "u") for place, one in windows]
    line = summary(task, "x", pd.concat(found))
    assert list(line) == list(expected)
    assert {name for name in line if line[name] != expected[name]} <= TIMES
    assert line["WQL"] > 0
    found[0].loc[found[0]["metric"] == "WQL", "value"] = np.nan
    broken = summary(task, "x", pd.concat(found))
    assert np.isnan([broken["WQL"], broken["test_error"]]).all(), "one broken window is seen"
    assert broken["MASE"] == line["MASE"]


def test_seasonal_naive_by_hand() -> None:
    context = np.array([np.nan, 1.0, 5.0, 2.0, np.nan, 4.0])  # 0 1 5 2 2 4
    found = seasonal_naive(context, 5, 2, [0.5, 0.8413447460685429])
    np.testing.assert_allclose(found[:, 0], [2, 4, 2, 4, 2])
    deviation = np.sqrt((5**2 + 1**2 + 3**2 + 2**2) / 4)
    np.testing.assert_allclose(
        found[:, 1] - found[:, 0], deviation * np.sqrt([1, 1, 2, 2, 3]), rtol=1e-9
    )
    np.testing.assert_array_equal(seasonal_naive(np.array([3.0]), 3, 2, [0.9]), [[0], [3], [0]])
    long = np.arange(1200.0)
    np.testing.assert_allclose(seasonal_naive(long, 2, 1001, [0.5])[:, 0], 1199)


@pytest.mark.parametrize(
    ("name", "season", "mase", "wql"),
    [("tourism_quarterly", 4, 1.698989, 0.119375), ("exchange_rate", 5, 1.740182, 0.012984)],
)
def test_the_plain_baseline_has_the_published_numbers(
    name: str, season: int, mase: float, wql: float, real_data: Path
) -> None:
    """Of Chronos benchmark II, in fev's repository: benchmarks/chronos_zeroshot/results."""
    horizon = {4: 8, 5: 30}[season]
    asked = {"extra_metrics": ["WQL"], "quantile_levels": LEVELS, "id_column": "item_id"}
    place = str(real_data / f"{name}.parquet")
    task = fev.Task(dataset_path=place, horizon=horizon, seasonality=season, **asked)
    made = SeasonalNaive(normal=False)
    found = task.evaluation_summary(made.fit_predict(task), "naive")
    assert found["MASE"] == pytest.approx(mase, abs=2e-6)
    assert found["WQL"] == pytest.approx(wql, abs=1e-6)


def job(model: str, folder: Path, *ablate: str) -> Job:
    tasks = read_tasks(str(folder / "tasks.yaml"))
    return Job(model, "cpu", "auto", tasks, trials(ablate), Forecasting())


def started(path: Path) -> Store:
    return Store.start(path, {"model": "x"}, {}, COLUMNS)


def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    checkpoints: Callable[[str], Path], folder: Path, tmp_path: Path
) -> None:
    asked = job(str(checkpoints("chronos-bolt")), folder, "decoder.0")
    worker = Worker(asked)
    work = units(asked, worker.subjects)
    assert len(work) == 2 * 2 * 3
    whole, parts, made = started(tmp_path / "whole"), started(tmp_path / "parts"), []
    fill(whole, work, worker)

    def stopped(unit: Unit) -> pd.DataFrame:
        made.append(unit)
        if len(made) == 5:
            raise KeyboardInterrupt
        return worker(unit)

    with pytest.raises(KeyboardInterrupt):
        fill(parts, work, stopped)
    fill(parts, work, stopped)
    assert [made.count(unit) for unit in work] == [2 if one == work[4] else 1 for one in work]
    assert_frame_equal(
        summaries(parts, work, asked), summaries(whole, work, asked), check_exact=True
    )


def test_units_are_known_by_data_and_by_what_is_done(
    checkpoints: Callable[[str], Path], folder: Path, tmp_path: Path
) -> None:
    model = str(checkpoints("chronos-bolt"))
    fev_data.tasks_file(tmp_path)
    one, moved = job(model, folder, "decoder.0"), job(model, tmp_path, "decoder.0")
    subjects = Worker(one).subjects
    before = units(one, subjects)
    assert units(moved, subjects) == before
    assert set(before) < set(units(job(model, folder, "decoder.0", "encoder.1"), subjects))
    frame = pd.read_parquet(tmp_path / "sales.parquet")
    frame.loc[3, "target"] += 1e-6
    frame.to_parquet(tmp_path / "sales.parquet", index=False)
    changed = set(units(moved, subjects)) - set(before)
    assert {unit.task for unit in changed} == {"sales"}
    assert fingerprint(moved.tasks["weather"]) == fingerprint(one.tasks["weather"])


def test_a_broken_trial_is_a_failure_on_the_leaderboard(
    checkpoints: Callable[[str], Path], folder: Path, tmp_path: Path
) -> None:
    asked = job(str(checkpoints("chronos-bolt")), folder, "decoder.0")
    worker, store = Worker(asked), started(tmp_path / "run")
    work = units(asked, worker.subjects)
    net = worker.subjects.model(asked.trials[1]).net

    def breaking(unit: Unit) -> pd.DataFrame:
        if unit.task == "sales" and unit.trial == "decoder.0":
            with torch.no_grad():
                net.shared.weight.mul_(torch.nan)
        return worker(unit)

    order = sorted(work, key=lambda unit: (unit.trial == "decoder.0", unit.task == "sales"))
    fill(store, order, breaking)
    board = leaderboard(summaries(store, work, asked), [], 0)
    assert board is not None
    failures = board.set_index("model_name")["num_failures"]
    assert failures["chronos-bolt decoder.0"] == 1
    assert failures["chronos-bolt"] == failures["seasonal_naive"] == 0


def test_the_command_ends_with_files_that_fev_reads(
    checkpoints: Callable[[str], Path], folder: Path, tmp_path: Path, command: Command
) -> None:
    model, out = checkpoints("chronos-bolt"), tmp_path / "run"
    words = ["bench", "fev", model, "--tasks", folder / "tasks.yaml", "--ablate", "decoder.0"]
    words += ["--device", "cpu", "--out", out]
    said = command(*words)
    assert said.code == 0
    assert "Error in units of the seasonal naive forecast" in said.out
    lines = out / "evaluation_summaries.csv"
    board = fev.leaderboard(str(lines)).sort_index()
    ours = pd.read_csv(out / "leaderboard.csv").set_index("model_name").sort_index()
    assert list(ours.index) == [model.name, f"{model.name} decoder.0", "seasonal_naive"]
    np.testing.assert_allclose(ours["skill_score"], board["skill_score"], rtol=1e-12)

    table = pd.read_csv(out / "table.csv").query("metric == 'WQL'")
    answer = pd.read_csv(out / "summary.csv").query("metric == 'WQL'").set_index("trial")
    own = table[table["trial"] == "decoder.0"]
    ratio = np.exp(np.log(own["value"] / own["base"]).mean())
    assert answer.loc["decoder.0", "untouched"] == pytest.approx(ratio, rel=1e-12)
    naive = np.exp(np.log(own["value"] / own["naive"]).mean())
    assert answer.loc["decoder.0", "naive"] == pytest.approx(naive, rel=1e-12)
    assert 1 - board.loc[f"{model.name} decoder.0", "skill_score"] == pytest.approx(naive, rel=1e-9)
    assert answer.loc["untouched", "untouched"] == 1
    assert answer["naive_tasks"].tolist() == [2, 2, 2]

    before = {path: path.stat().st_mtime_ns for path in (out / "shards").rglob("*.parquet")}
    again = command(*words, "--leaderboard", lines, "--json")
    assert (again.code, '"leaderboard"' in again.out) == (0, True)
    assert before == {path: path.stat().st_mtime_ns for path in before}, "nothing was done twice"


def test_published_lines_stand_beside(
    checkpoints: Callable[[str], Path], folder: Path, tmp_path: Path, command: Command
) -> None:
    model = checkpoints("chronos-bolt")
    words = ["bench", "fev", model, "--tasks", folder / "tasks.yaml", "--device", "cpu", "-q"]
    assert command(*words, "--out", tmp_path / "a").code == 0
    lines = pd.read_csv(tmp_path / "a" / "evaluation_summaries.csv")
    theirs = lines[lines["model_name"] != "seasonal_naive"].assign(model_name="theirs")
    other = theirs.assign(task_name="of no interest", horizon=99)
    theirs = pd.concat([theirs, other, lines[lines["model_name"] == "seasonal_naive"]])
    theirs.to_csv(tmp_path / "theirs.csv", index=False)
    asked = ["--leaderboard", tmp_path / "theirs.csv", "--out", tmp_path / "a"]
    assert command(*words, *asked).code == 0
    found = pd.read_csv(tmp_path / "a" / "leaderboard.csv").set_index("model_name")
    assert set(found.index) == {model.name, "seasonal_naive", "theirs"}
    theirs, ours = (found.loc[one, "skill_score"] for one in ("theirs", model.name))
    assert theirs == pytest.approx(ours, rel=1e-9)


def test_a_dry_run_tells_what_would_be_done(
    checkpoints: Callable[[str], Path], folder: Path, command: Command
) -> None:
    words = [checkpoints("chronos-bolt"), "--tasks", folder / "tasks.yaml", "--dry-run"]
    said = command("bench", "fev", *words, "--device", "cpu")
    assert "2 tasks with 4 windows, 18 forecasts" in said.out
    assert said.out.endswith("sales, weather\n")


BAD = [
    ("tasks: [{dataset_path: x.parquet, colour: red}]", 2, "colour Unexpected keyword"),
    ("tasks: [{dataset_path: nowhere.parquet}]", 1, "the task 'nowhere' (nowhere.parquet)"),
    ("tasks: [{dataset_path: x.csv}]", 1, "path must end in one of"),
    ("tasks: [3]", 2, "must be a mapping"),
    ("tasks: []", 2, "there are none"),
    ("jobs: []", 2, "a list named tasks"),
    ("a: [", 2, "while parsing"),
    ("tasks: [{dataset_path: SALES, target: cost}]", 1, "columns are missing"),
    ("tasks: [{dataset_path: SALES, horizon: 90}]", 1, "too short"),
    ("tasks: [{dataset_path: SALES, quantile_levels: [0.99]}]", 2, "quantile level 0.99"),
]


@pytest.mark.parametrize(("text", "code", "words"), BAD)
def test_bad_tasks_are_told_in_a_line(
    text: str,
    code: int,
    words: str,
    checkpoints: Callable[[str], Path],
    folder: Path,
    tmp_path: Path,
    command: Command,
) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_text(text.replace("SALES", str(folder / "sales.parquet")))
    asked = ["--tasks", path, "--device", "cpu", "--out", tmp_path / "run"]
    said = command("bench", "fev", checkpoints("chronos-bolt"), *asked)
    assert words in said.complaint
    assert said.code == code


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ([], 2, "neither of --tasks and --benchmark"),
        (["--benchmark", "fev-bench-min"], 2, "did you mean fev-bench-mini"),
        (["--tasks", "nowhere.yaml"], 2, "there is no such file"),
        (["--tasks", "TASKS", "--configs", "sale"], 2, "did you mean sales"),
        (["--tasks", "TASKS", "--naive", "flat"], 2, "'flat'"),
        (["--tasks", "TASKS", "--context", "49"], 2, "reads 48 values at most"),
        (["--tasks", "TASKS", "--joint"], 2, "reads each series on its own"),
        (["--tasks", "TASKS", "--leaderboard", "TASKS"], 1, "it has no column model_name"),
    ],
)
def test_bad_options_are_told_in_a_line(
    asked: list[str],
    code: int,
    words: str,
    checkpoints: Callable[[str], Path],
    folder: Path,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(folder / "tasks.yaml") if one == "TASKS" else one for one in asked]
    said = command("bench", "fev", checkpoints("chronos-bolt"), *given, "--device", "cpu")
    assert words in said.complaint
    assert said.code == code
    assert not list(tmp_path.iterdir()), "no run folder is left"


@pytest.mark.parametrize("name", ["fev-bench", "fev-bench-mini", "chronos-ii"])
def test_a_published_benchmark_needs_a_network(
    name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(address: str) -> None:
        raise requests.exceptions.ConnectionError(address)

    monkeypatch.setattr(requests, "get", away)
    said = command("bench", "fev", "--benchmark", name)
    assert said.code == 1
    assert "this needs a network" in said.complaint


def test_tasks_are_named_and_chosen(folder: Path, tmp_path: Path) -> None:
    place = folder / "sales.parquet"
    path = tmp_path / "tasks.yaml"
    path.write_text(
        f"tasks: [{{dataset_path: {place}}}, {{dataset_path: {place}, horizon: 2}},"
        " {dataset_path: x/y, dataset_config: m4_hourly}, {dataset_path: x/y, task_name: other}]"
    )
    found = read_tasks(str(path))
    assert list(found) == ["sales:1", "sales:2", "m4_hourly", "other"]
    assert found["sales:2"].horizon == 2
    assert list(read_tasks(str(path), only=["m4_*", "sales:1"])) == ["sales:1", "m4_hourly"]
