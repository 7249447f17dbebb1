"""The units of work of a GIFT-Eval run, how one is done, and how results are put together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.gift_eval import Evaluation
from tsfm_probe.evaluate.gift_eval_sets import Configuration
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.evaluate.marks import mark, what
from tsfm_probe.evaluate.seasonal_naive import SeasonalNaive
from tsfm_probe.evaluate.store import Store, Unit
from tsfm_probe.evaluate.sums import METRICS, SUMS, metrics, sums
from tsfm_probe.evaluate.trials import NAIVE, UNTOUCHED, Subjects, Trial
from tsfm_probe.models.base import Model

COLUMNS: Mapping[str, type] = {
    "configuration": str,
    "trial": str,
    "series": str,
    "window": int,
    **dict.fromkeys(SUMS, float),
}
"""One row for each window: what its configuration's official metrics are put together from."""

LONG = ("model", "kind", "trial", "configuration", "metric", "value", "base", "naive")


@dataclass(frozen=True)
class Task:
    """All that a worker must be told, in this process or in another one.

    model, device, dtype: see models.load. data: the folder of the benchmark.
    """

    model: str
    device: str
    dtype: str
    data: Path
    configurations: tuple[Configuration, ...]
    trials: tuple[Trial, ...]
    how: Forecasting


class Worker:
    """Does units of a task; keeps the models, the data set and the windows that it used last."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.subjects = Subjects(task.model, task.device, task.dtype)
        self._trials = {trial.name: trial for trial in task.trials}
        self._configurations = {one.key: one for one in task.configurations}
        self._kept: Evaluation | None = None
        self._read: tuple[str, int, tuple[Any, ...], tuple[Any, ...]] | None = None

    def test(self, key: str) -> Evaluation:
        """The data of a configuration."""
        if self._kept is None or self._kept.configuration.key != key:
            self._kept = Evaluation.open(
                self.task.data, self._configurations[key], self.task.how.joint
            )
        return self._kept

    def __call__(self, unit: Unit) -> pd.DataFrame:
        """The rows of a unit, with the columns COLUMNS."""
        test = self.test(unit.task)
        inputs, labels = self._windows(unit)
        forecasts = list(self.predictor(unit).predict(inputs))
        found = sums(inputs, labels, forecasts, test.seasonality)
        names = pd.DataFrame(
            {
                "configuration": unit.task,
                "trial": unit.trial,
                "series": [str(one["item_id"]) for one in inputs],
                "window": np.arange(len(inputs)) % test.windows,
            }
        )
        return pd.concat([names, found], axis=1)

    def _windows(self, unit: Unit) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The inputs and labels of a block, which its trials ask for one after the other."""
        if self._read is None or self._read[:2] != (unit.task, unit.block):
            inputs, labels = zip(*self.test(unit.task).block(unit.block), strict=True)
            self._read = (unit.task, unit.block, inputs, labels)
        return self._read[2:]

    def predictor(self, unit: Unit) -> Predictor | SeasonalNaive:
        """What forecasts the windows of a unit."""
        trial, test = self._trials[unit.trial], self.test(unit.task)
        if trial.naive:
            return SeasonalNaive(test.horizon, test.seasonality)
        subject, edits = self.subjects.model(trial), self.subjects.edits(trial)
        return self.task.how.predictor(subject, test.horizon, edits)


def units(
    tests: Sequence[Evaluation], trials: Sequence[Trial], subjects: Subjects
) -> tuple[Unit, ...]:
    """All units, those of one model together, and of these those of one stretch of windows."""
    hashes = {test: test.hash() for test in tests}
    found = []
    for folder in dict.fromkeys(trial.folder for trial in trials):
        marks = {one: what(one, subjects) for one in trials if one.folder == folder}
        found += [
            Unit(test.configuration.key, block, trial.name, mark(hashes[test], done))
            for test in tests
            for block in range(test.blocks)
            for trial, done in marks.items()
        ]
    return tuple(found)


def multiply_adds(test: Evaluation, model: Model, how: Forecasting) -> float:
    """Multiply-adds in weight matrices of one model's forecasts of all windows of a test."""
    longest = min(how.context or model.context_length, model.context_length)
    lengths, counts = np.unique(np.minimum(test.lengths(), longest), return_counts=True)
    samples = how.samples or model.default_samples
    one = [model.multiply_adds(max(1, int(size)), test.horizon, samples) for size in lengths]
    return float(np.dot(one, counts)) * test.windows * test.variates


def results(store: Store, done: Sequence[Unit]) -> pd.DataFrame:
    """One row for each configuration and trial: METRICS, and how many windows are broken.

    Sums are added in the order of the units, so that the same units give the very same numbers.
    """
    totals: dict[tuple[str, str], np.ndarray] = {}
    broken: dict[tuple[str, str], int] = {}
    for unit, rows in rows_of(store, done):
        key, found = (unit.task, unit.trial), rows[list(SUMS)].to_numpy()
        total = found.sum(axis=0)
        totals[key] = totals[key] + total if key in totals else total
        broken[key] = broken.get(key, 0) + int(np.isnan(found).any(axis=1).sum())
    made = [
        {"configuration": key[0], "trial": key[1], "broken": broken[key]}
        | metrics(dict(zip(SUMS, total, strict=True)))
        for key, total in totals.items()
    ]
    return pd.DataFrame(made, columns=pd.Index(["configuration", "trial", "broken", *METRICS]))


def rows_of(store: Store, done: Sequence[Unit]) -> Iterator[tuple[Unit, pd.DataFrame]]:
    """The rows of one unit after the other, so that they are never all in memory."""
    for unit in done:
        yield unit, store.rows(unit)


def table(found: pd.DataFrame, model: str, trials: Sequence[Trial]) -> pd.DataFrame:
    """The long table of results: one row for each trial, configuration and metric.

    value: of the trial. base: of the untouched model. naive: of the seasonal naive forecast.
    """
    long = found.drop(columns="broken").melt(["configuration", "trial"], var_name="metric")
    wide = long.set_index(["configuration", "metric"])
    for name, trial in (("base", UNTOUCHED), ("naive", NAIVE)):
        other = wide.loc[wide["trial"] == trial.name, "value"].rename(name)
        long = long.join(other, on=["configuration", "metric"])
    kinds = {one.name: one.kind for one in trials}
    named = long.assign(model=model, kind=[kinds[name] for name in long["trial"]])
    return named.loc[:, list(LONG)]
