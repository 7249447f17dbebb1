"""The units of work of a run on chaotic systems, how one is done, and what comes of all."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby

import numpy as np
import pandas as pd

from tsfm_probe.evaluate.chaos import System
from tsfm_probe.evaluate.dysts import (
    METRICS,
    Episode,
    Protocol,
    forecasts,
    parroted,
    rows,
)
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.evaluate.marks import mark, what
from tsfm_probe.evaluate.paired import beside, paired
from tsfm_probe.evaluate.store import Store, Unit
from tsfm_probe.evaluate.trials import UNTOUCHED, Subjects, Trial
from tsfm_probe.models.base import Model

PARROT = Trial("parrot", naive=True)
"""A forecaster that only copies, which is hard to beat on chaos; it needs no model."""
TEXT = ("system", "trial", "metric")
RATIOS = ("sMAPE",)
"""Metrics by whose ratio trials are compared; the others are compared by their difference."""


@dataclass(frozen=True, eq=False)
class Job:
    """All that a worker must be told.

    model, device, dtype: see models.load. how: see Forecasting; its context is the protocol's.
    """

    model: str
    device: str
    dtype: str
    systems: tuple[System, ...]
    trials: tuple[Trial, ...]
    protocol: Protocol
    how: Forecasting


class Worker:
    """Does units of a job; keeps the model and the trajectories that it used last."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.subjects = Subjects(job.model, job.device, job.dtype)
        self._trials = {trial.name: trial for trial in job.trials}
        self._systems = {system.name: system for system in job.systems}
        self._kept: tuple[tuple[str, int], list[Episode]] | None = None

    def episodes(self, system: System, block: int) -> list[Episode]:
        """The trajectories of one stretch of initial conditions."""
        if self._kept is None or self._kept[0] != (system.name, block):
            asked = self.job.protocol
            made = [Episode.of(system, one, asked) for one in asked.blocks[block]]
            self._kept = ((system.name, block), made)
        return self._kept[1]

    def __call__(self, unit: Unit) -> pd.DataFrame:
        """The rows of a unit: columns dysts.COLUMNS."""
        system, trial = self._systems[unit.task], self._trials[unit.trial]
        episodes = self.episodes(system, unit.block)
        if trial.naive:
            points = parroted(episodes, self.job.protocol.horizon)
        else:
            points = forecasts(self.predictor(trial), episodes)
        return rows(system, episodes, points, self.job.protocol, unit.trial)

    def checked(self) -> Model:
        """The untouched model; UsageError if one of the models does not read what is asked for."""
        return self.job.how.checked(self.subjects, self.job.trials)

    def predictor(self, trial: Trial) -> Predictor:
        """What forecasts under a trial."""
        subject, edits = self.subjects.model(trial), self.subjects.edits(trial)
        return self.job.how.predictor(subject, self.job.protocol.horizon, edits)


def units(job: Job, subjects: Subjects) -> tuple[Unit, ...]:
    """All units: those of one model together, and of these those of one system.

    Another version of what integrates gives other trajectories, because of the chaos in them.
    """
    marks = {trial: [version("scipy"), *what(trial, subjects)] for trial in job.trials}
    return tuple(
        Unit(system.name, block, trial.name, mark(system.source, len(conditions), marks[trial]))
        for _, same in groupby(job.trials, key=lambda trial: trial.folder)
        for together in [list(same)]
        for system in job.systems
        for block, conditions in enumerate(job.protocol.blocks)
        for trial in together
    )


def cost(worker: Worker) -> tuple[int, float]:
    """Forecasts of one trial, and multiply-adds in weight matrices of all of them."""
    job, model = worker.job, worker.subjects.model(UNTOUCHED)
    asked = job.protocol
    samples = job.how.samples or model.default_samples
    count = asked.conditions * sum(len(system.start) for system in job.systems)
    one = model.multiply_adds(asked.context, asked.horizon, samples)
    return count, one * count * sum(not trial.naive for trial in job.trials)


def table(store: Store, done: Iterable[Unit], job: Job) -> pd.DataFrame:
    """One row for each system, initial condition, trial and metric.

    value: of the trial. base: of the untouched model.
    """
    long = pd.concat([store.rows(unit).astype(dict.fromkeys(TEXT, object)) for unit in done])
    long = beside(long, UNTOUCHED.name, ["system", "condition", "metric"], "base")
    kinds = {one.name: one.kind for one in job.trials}
    long = long.assign(model=job.model, kind=[kinds[one] for one in long["trial"]])
    names = ["model", "kind", "trial", "system", "condition", "metric", "value", "base"]
    return long.reindex(columns=names)


def answer(long: pd.DataFrame, job: Job, seed: int) -> pd.DataFrame:
    """One row for each trial and metric.

    mean: over systems, of the mean over initial conditions. change: against the untouched model, a
    ratio of geometric means for sMAPE and a difference of means for the others, with the ends of a
    95 % interval from resampled systems. systems, forecasts: how many count, of so many forecasts:
    one that is not finite does not, nor one whose metric is unknown.
    """
    kinds = {trial.name: trial.kind for trial in job.trials}
    made = []
    for metric in METRICS:
        own = long.loc[long["metric"] == metric, ["trial", "system", "condition", "value"]]
        values = own.rename(columns={"system": "group", "condition": "window"})
        means = values.pivot_table("value", "group", "trial").mean()
        found = paired(values, UNTOUCHED.name, metric in RATIOS, seed)
        for row in found.to_dict("records"):
            name = str(row["trial"])
            made.append(
                {
                    "trial": name,
                    "kind": kinds[name],
                    "metric": metric,
                    "mean": means.get(name, np.nan),
                    "change": row["estimate"],
                    "low": row["low"],
                    "high": row["high"],
                    "systems": row["groups"],
                    "forecasts": row["windows"],
                    "of": len(values) // len(found),
                }
            )
    return pd.DataFrame(made)
