"""The units of work of a fev benchmark, how one is done, and how results are put together."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import fev
import numpy as np
import pandas as pd
from fev.metrics import get_metric

from tsfm_probe.evaluate.fev import Forecaster, Rows, refuse_levels
from tsfm_probe.evaluate.fev_naive import SeasonalNaive
from tsfm_probe.evaluate.fev_tasks import fingerprint, opened, rows, summary
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.marks import mark, what
from tsfm_probe.evaluate.paired import beside, paired
from tsfm_probe.evaluate.store import Store, Unit
from tsfm_probe.evaluate.trials import NAIVE, UNTOUCHED, Subjects, Trial
from tsfm_probe.models.base import Model

log = logging.getLogger(__name__)
ERROR = "test_error"


@dataclass(frozen=True, eq=False)
class Job:
    """All that a worker must be told.

    model, device, dtype: see models.load. tasks: by name. how: see Forecasting. normal: which
    seasonal naive forecast is the baseline, see SeasonalNaive.
    """

    model: str
    device: str
    dtype: str
    tasks: Mapping[str, fev.Task]
    trials: tuple[Trial, ...]
    how: Forecasting
    normal: bool = True


class Worker:
    """Does units of a job; keeps the model and the data set that it used last."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.subjects = Subjects(job.model, job.device, job.dtype)
        self._trials = {trial.name: trial for trial in job.trials}
        self._kept: tuple[str, fev.Task] | None = None

    def task(self, name: str) -> fev.Task:
        """A task with its data."""
        if self._kept is None or self._kept[0] != name:
            self._kept = None  # the memory of the one before is free before the next is loaded
            self._kept = (name, opened(name, self.job.tasks[name]))
        return self._kept[1]

    def __call__(self, unit: Unit) -> pd.DataFrame:
        """The rows of one window: columns fev_tasks.COLUMNS."""
        task = self.task(unit.task)
        window = task.get_window(unit.block, num_proc=1)
        values = self.forecaster(unit.trial).values(task, window)
        return rows(task, unit.block, values, unit.task, unit.trial)

    def checked(self) -> Model:
        """The untouched model; UsageError if a model, or a level, does not do what is asked for."""
        for task in self.job.tasks.values():
            refuse_levels(task)
        return self.job.how.checked(self.subjects, self.job.trials)

    def forecaster(self, name: str) -> Rows:
        """What forecasts under a trial."""
        trial, how = self._trials[name], self.job.how
        if trial.naive:
            return SeasonalNaive(self.job.normal)
        return Forecaster(
            self.subjects.model(trial),
            self.subjects.edits(trial),
            joint=how.joint,
            seed=how.seed,
            samples=how.samples,
            context=how.context,
            batch_size=how.batch_size,
        )


def units(job: Job, subjects: Subjects) -> tuple[Unit, ...]:
    """One for each window and trial: those of one model together, and of these those of a task."""
    marks = {trial: what(trial, subjects) for trial in job.trials}
    marks[NAIVE].append(f"normal {job.normal}")
    prints = {name: fingerprint(task) for name, task in job.tasks.items()}
    return tuple(
        Unit(name, window, trial.name, mark(prints[name], marks[trial]))
        for _, same in groupby(job.trials, key=lambda trial: trial.folder)
        for together in [list(same)]
        for name, task in job.tasks.items()
        for window in range(task.num_windows)
        for trial in together
    )


def cost(worker: Worker) -> tuple[int, float]:
    """Forecasts of one trial, and multiply-adds in weight matrices of all of them."""
    model, how, count, adds = worker.subjects.model(UNTOUCHED), worker.job.how, 0, 0.0
    longest = min(how.context or model.context_length, model.context_length)
    samples = how.samples or model.default_samples
    for name, defined in worker.job.tasks.items():
        task = worker.task(name)
        column = task.load_full_dataset(num_proc=1).data.table[task.target_columns[0]]
        sizes = np.clip([len(one) - task.horizon for one in column], 1, longest)
        for size, times in zip(*np.unique(sizes, return_counts=True), strict=True):
            number = int(times) * len(task.target_columns) * defined.num_windows
            adds += number * model.multiply_adds(int(size), task.horizon, samples)
            count += number
    return count, adds * sum(not trial.naive for trial in worker.job.trials)


def summaries(store: Store, done: Iterable[Unit], job: Job) -> pd.DataFrame:
    """The lines of fev.Task.evaluation_summary: one for each task and trial, in that order."""
    names = model_names(job.model, job.trials)
    found: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for unit in done:
        found.setdefault((unit.task, unit.trial), []).append(store.rows(unit))
    made: list[dict[str, Any]] = [
        {
            **summary(task, names[trial.name], pd.concat(found[name, trial.name])),
            "task": name,
            "trial": trial.name,
        }
        for name, task in job.tasks.items()
        for trial in job.trials
    ]
    return pd.DataFrame(made)


def metrics_of(job: Job) -> tuple[str, ...]:
    """What trials are compared by: the metrics that all tasks have, theirs for evaluation first.

    That is fev's test error where tasks are evaluated by several.
    """
    tasks = list(job.tasks.values())
    main = [get_metric(task.eval_metric).name for task in tasks]
    lists = [[get_metric(one).name for one in task.extra_metrics] for task in tasks]
    first = main[0] if len(set(main)) == 1 else ERROR
    shared = [one for one in lists[0] if all(one in other for other in lists)]
    return (first, *shared)


def table(found: pd.DataFrame, job: Job) -> pd.DataFrame:
    """One row for each trial, task and metric.

    value: of the trial. base: of the untouched model. naive: of the seasonal naive forecast.
    """
    metrics = list(metrics_of(job))
    long = found[["task", "trial", *metrics]].melt(["task", "trial"], var_name="metric")
    for name, trial in (("base", UNTOUCHED), ("naive", NAIVE)):
        long = beside(long, trial.name, ["task", "metric"], name)
    kinds = {one.name: one.kind for one in job.trials}
    long = long.assign(model=job.model, kind=[kinds[one] for one in long["trial"]])
    names = ["model", "kind", "trial", "task", "metric", "value", "base", "naive"]
    return long.reindex(columns=names)


def answer(long: pd.DataFrame, job: Job, seed: int) -> pd.DataFrame:
    """One row for each trial and metric: geometric means over tasks of ratios of errors.

    naive, untouched: of the trial over the seasonal naive forecast and over the untouched model,
    each with the ends of a 95 % interval from resampled tasks.
    """
    made = []
    for metric in metrics_of(job):
        own = long.loc[long["metric"] == metric, ["trial", "task", "value"]]
        values = own.rename(columns={"task": "group"}).assign(window=0)
        naive, untouched = (
            paired(values, one.name, seed=seed).set_index("trial") for one in (NAIVE, UNTOUCHED)
        )
        for trial in job.trials:
            row: dict[str, Any] = {"trial": trial.name, "kind": trial.kind, "metric": metric}
            for name, found in (("naive", naive), ("untouched", untouched)):
                one = found.loc[trial.name]
                row |= {name: one["estimate"], f"{name}_low": one["low"]}
                row |= {f"{name}_high": one["high"], f"{name}_tasks": int(one["groups"])}
            made.append(row)
    return pd.DataFrame(made)


def leaderboard(
    lines: pd.DataFrame, published: Sequence[pd.DataFrame], seed: int
) -> pd.DataFrame | None:
    """fev's own leaderboard of the lines, with intervals; None where the baseline has no number.

    published: lines of other models; those of our tasks stand beside. Who has no number on a task
    counts there as the baseline does, as fev-bench does it.
    """
    own = lines.drop(columns=["task", "trial"])
    others = [
        one[one["task_name"].isin(own["task_name"]) & ~one["model_name"].isin(own["model_name"])]
        for one in published
    ]
    boards = [own, *(one for one in others if len(one))]
    try:
        found = fev.leaderboard(boards, missing_strategy="impute", n_resamples=1000, seed=seed)
    except ValueError as error:
        log.warning("no leaderboard: %s", error)
        return None
    return found.reset_index()


def model_names(model: str, trials: Sequence[Trial]) -> dict[str, str]:
    """What a leaderboard calls each trial; no folder of this machine is told."""
    model = model.rstrip("/").rpartition("/")[2]
    return {
        trial.name: model
        if trial == UNTOUCHED
        else trial.name
        if trial.naive
        else f"{model} {trial.name}"
        for trial in trials
    }
