"""The tasks of a fev benchmark: read, named, loaded, and scored window by window."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

import fev
import numpy as np
import pandas as pd
from fev.metrics import get_metric
from fev.utils import generate_fingerprint

from tsfm_probe.errors import DataError, UsageError, nearest
from tsfm_probe.evaluate.fev import predictions

PUBLISHED = "https://raw.githubusercontent.com/autogluon/fev/refs/heads/main/benchmarks"
BENCHMARKS = MappingProxyType(
    {
        "fev-bench": f"{PUBLISHED}/fev_bench/tasks.yaml",
        "fev-bench-mini": f"{PUBLISHED}/fev_bench/tasks_mini.yaml",
        "chronos-ii": f"{PUBLISHED}/chronos_zeroshot/tasks.yaml",
    }
)
"""fev-bench (100 tasks; Shchur et al. 2025), its mini version (20 tasks), and benchmark II of
Chronos (27 tasks; Ansari et al. 2024)."""
COLUMNS = MappingProxyType(
    {
        "task": str,
        "window": int,
        "trial": str,
        "metric": str,
        "value": float,
        "forecasts": int,
        "data": str,
    }
)
"""Of the rows of a window: one for each metric. forecasts: how many series were forecast. data:
fev's own fingerprint of the data set."""
MISTAKES = (ValueError, TypeError, KeyError, AttributeError, AssertionError)
"""What fev raises for a file or a data set that is not as it has to be."""


def read_tasks(
    tasks: str = "", benchmark: str = "", only: Sequence[str] = ()
) -> dict[str, fev.Task]:
    """The tasks of a benchmark by their names, in its order.

    tasks: a tasks.yaml in fev's form, or its address. benchmark: a name in BENCHMARKS. One of them
    is given. only: names of tasks, or patterns of them (`m4_*`).

    A name is fev's own, or that of a local data file, with a number behind it where tasks share it.
    UsageError for a name or a file that is not there or is not right; DataError where a published
    benchmark cannot be fetched.
    """
    if bool(tasks) == bool(benchmark):
        raise UsageError(
            f"{'both' if tasks else 'neither'} of --tasks and --benchmark",
            allowed=f"--tasks FILE, or --benchmark {', '.join(BENCHMARKS)}",
        )
    if benchmark and benchmark not in BENCHMARKS:
        raise UsageError(f"the fev benchmark {benchmark!r}", allowed=nearest(benchmark, BENCHMARKS))
    named = _named(_read(tasks or BENCHMARKS[benchmark], benchmark).tasks)
    kept = {
        name: task
        for name, task in named.items()
        if not only or any(fnmatchcase(name, one) for one in only)
    }
    for one in only:
        if not any(fnmatchcase(name, one) for name in named):
            raise UsageError(f"no task of this benchmark matches {one!r}", "", nearest(one, named))
    if not kept:
        raise UsageError(f"the tasks of {tasks or benchmark}", "there are none", "one or more")
    return kept


def _read(place: str, benchmark: str) -> fev.Benchmark:
    remote = place.startswith(("http://", "https://"))
    if not remote and not Path(place).is_file():
        raise UsageError(f"the tasks of {place}", "there is no such file", "a tasks.yaml of fev")
    try:
        return fev.Benchmark.from_yaml(place)
    except MISTAKES as error:
        cause = error.__context__ or error
        if remote:
            raise DataError(
                f"the tasks of {benchmark or place} were to be fetched from {place}",
                type(cause).__name__,
                "this needs a network: without one, save that file and give it with --tasks",
            ) from error
        raise UsageError(
            f"the tasks of {place}", _in_a_line(cause), "a list named tasks, as fev wants it"
        ) from error


def _named(tasks: Sequence[fev.Task]) -> dict[str, fev.Task]:
    names = [_name(task) for task in tasks]
    times = Counter(names)
    return {
        f"{name}:{number}" if times[name] > 1 else name: task
        for number, (name, task) in enumerate(zip(names, tasks, strict=True), 1)
    }


def _name(task: fev.Task) -> str:
    """What fev calls a task; where that is but its folder, the file's name."""
    place = Path(task.dataset_path)
    own = str(task.task_name)
    folder = task.dataset_config is None and own == "/".join(place.parts[-3:-1])
    return place.stem if folder and "*" not in place.stem else own


def read_lines(path: Path) -> pd.DataFrame:
    """Lines of evaluation that others made with fev, from CSV; DataError if it holds none."""
    asked = f"the lines of evaluation in {path}"
    try:
        found = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(asked, _in_a_line(error), "a CSV file") from error
    for name in ("model_name", "task_name", "test_error", "fev_version"):
        if name not in found:
            raise DataError(asked, f"it has no column {name}", "a file such as fev's results")
    return found


def opened(name: str, task: fev.Task) -> fev.Task:
    """A copy of the task with its data loaded; DataError, in one line, if that cannot be done."""
    fresh = fev.Task(**task.to_dict())
    try:
        fresh.load_full_dataset(num_proc=1)
    except (*MISTAKES, RuntimeError, OSError) as error:
        cause = error.__context__ or error
        away = task.dataset_config is not None
        raise DataError(
            f"the data of the task {name!r} ({task.dataset_path}) were to be loaded",
            f"{type(cause).__name__}: {_in_a_line(cause)}",
            "a network, or a mirror named by FEV_DATASETS_PREFIX"
            if away
            else "a Parquet or Arrow file in a form that fev reads",
        ) from error
    return fresh


def fingerprint(task: fev.Task) -> str:
    """What a task's numbers depend on: its definition, the version of fev, the bytes of local data.

    Data that are fetched count by their name alone.
    """
    digest = hashlib.sha256(fev.__version__.encode())
    definition, place = task.to_dict(), Path(task.dataset_path)
    local = sorted(place.parent.glob(place.name)) if task.dataset_config is None else []
    if local:
        del definition["dataset_path"], definition["task_name"]
    digest.update(json.dumps(definition, sort_keys=True).encode())
    for path in local:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def scored(task: fev.Task, window: fev.EvaluationWindow, values: np.ndarray) -> dict[str, float]:
    """The task's metrics of the forecasts of one window (see fev.Rows.quantiles), by fev itself.

    All of them are NaN where a forecast is not finite.
    """
    metrics = [get_metric(one) for one in (task.eval_metric, *task.extra_metrics)]
    if not np.isfinite(values).all():
        return {metric.name: np.nan for metric in metrics}
    made = task.clean_and_validate_predictions(predictions(task, values))
    found = window.compute_metrics(made, metrics, task.seasonality, task.quantile_levels)
    return {name: float(value) for name, value in found.items()}


def rows(task: fev.Task, window: int, values: np.ndarray, name: str, trial: str) -> pd.DataFrame:
    """The rows of one window (columns COLUMNS), from its forecasts (see fev.Rows.quantiles)."""
    found = scored(task, task.get_window(window, num_proc=1), values)
    data = generate_fingerprint(task.load_full_dataset(num_proc=1)) or ""
    made = [(name, window, trial, *one, len(values), data) for one in found.items()]
    return pd.DataFrame(made, columns=pd.Index(COLUMNS))


def summary(task: fev.Task, model: str, found: pd.DataFrame) -> dict[str, Any]:
    """The line that fev.Task.evaluation_summary gives, from the rows of all windows of one trial.

    Times are not told: they are not the same twice.
    """
    metrics = {
        str(name): float(np.mean(values.to_numpy()))  # NaN if one of them is
        for name, values in found.groupby("metric", sort=False, observed=True)["value"]
    }
    return {
        "model_name": model,
        **task.to_dict(),
        "test_error": metrics[get_metric(task.eval_metric).name],
        "training_time_s": None,
        "inference_time_s": None,
        "num_forecasts": int(found.drop_duplicates("window")["forecasts"].sum()),
        "dataset_fingerprint": str(found["data"].iloc[0]) or None,
        "trained_on_this_dataset": False,
        "fev_version": fev.__version__,
        **metrics,
    }


def _in_a_line(error: BaseException) -> str:
    said = str(error).partition("For further information")[0]  # an address that pydantic adds
    return " ".join(said.split())[:200] or type(error).__name__
