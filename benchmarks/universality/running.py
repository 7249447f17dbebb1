"""Running the trials of one model by GIFT-Eval's protocol, with what that costs told before."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsfm_probe.commands.bench_gift_eval import Job, Request, prepare
from tsfm_probe.commands.origin import made_by
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.commands.tested import done, identity
from tsfm_probe.durable import write_atomically
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.gift_eval_work import (
    COLUMNS,
    multiply_adds,
    results,
    rows_of,
    table,
)
from tsfm_probe.evaluate.leaderboard import summary
from tsfm_probe.evaluate.spread import Workers
from tsfm_probe.evaluate.store import Store, Unit
from tsfm_probe.evaluate.sums import SUMS, metrics
from tsfm_probe.evaluate.trials import NAIVE, UNTOUCHED
from tsfm_probe.models import load

from .cuts import cuts, write
from .frames import records
from .study import Scale, Study

RUN = "gift-eval"
NOISE = "another-seed"
MEASURED = {"MASE": "MASE[0.5]", "CRPS": "mean_weighted_sum_quantile_loss"}
"""What is judged, and GIFT-Eval's name of it."""


@dataclass(frozen=True)
class Way:
    """Where and by whom a study is run.

    data: GIFT-Eval's folder. device, dtype: see models.load. workers: who forecasts. command: what
    run.json says of how to repeat it.
    """

    data: Path
    device: str
    dtype: str
    workers: Workers
    command: str


def folder_of(out: Path, model: str) -> Path:
    """The folder of a model below that of the study."""
    return out / model.rstrip("/").rsplit("/", 1)[-1]


def run(out: Path, model: str, study: Study, scale: Scale, way: Way, terminal: Terminal) -> None:
    """Run or continue all trials of a model; its tables are in folder_of(out, model) then."""
    folder = folder_of(out, model)
    job = planned(folder, model, study, scale, way, terminal)
    store = _filled(folder / RUN, job, way, terminal)
    found = results(store, job.units)
    long = table(found, job.model.name, job.task.trials)
    store.finish({"table": long, "summary": summary(long, job.task.trials)})
    _written(folder / "series.csv", by_series(store, job.units))
    if job.model.draws_samples:
        again = _reseeded(job)
        other = results(_filled(folder / NOISE, again, way, terminal), again.units)
        _written(folder / "noise.csv", _noise(found, other))


def planned(
    folder: Path, model: str, study: Study, scale: Scale, way: Way, terminal: Terminal
) -> Job:
    """Write the plan of a model, load the model and list the units of work."""
    terminal.say(f"planning {model}")
    plan = write(folder, cuts(load(model, "cpu"), study))
    how = Forecasting(scale.samples_of(model), context=scale.context)
    asked = Request(
        *(model, way.device, way.dtype, way.data, scale.configurations, scale.term),
        *((), (), plan, how),
    )
    return prepare(asked, terminal)


def estimate(job: Job, left: Sequence[Unit]) -> str:
    """What is left to do, in words: one unit of middling cost is timed, its rows are dropped."""
    tests = {one.configuration.key: one for one in job.tests}
    cost = {key: multiply_adds(one, job.model, job.task.how) for key, one in tests.items()}
    each = {key: cost[key] / one.blocks for key, one in tests.items()}
    work = [unit for unit in left if unit.trial != NAIVE.name]
    if not work:
        return f"{job.model.name}: nothing is left to do"
    middling = sorted(each, key=lambda key: each[key])[len(each) // 2]
    unit = next(u for u in job.units if (u.task, u.trial) == (middling, UNTOUCHED.name))
    start = time.perf_counter()
    share = len(job.worker(unit)) / (tests[middling].series * tests[middling].windows)
    speed = share * cost[middling] / (time.perf_counter() - start)
    total = sum(each[unit.task] for unit in work)
    windows = sum(one.series * one.windows for one in job.tests)
    return (
        f"{job.model.name}: {len(job.task.trials)} trials on {windows} windows of "
        f"{len(job.tests)} configurations; {len(work)} units of work are left, "
        f"{total / 1e12:.3g} T multiply-adds in weight matrices, about "
        f"{total / speed / 60:.1f} minutes by one worker (a unit of {middling} was timed)"
    )


def by_series(store: Store, units: Sequence[Unit]) -> pd.DataFrame:
    """MASE and CRPS of each series: columns configuration, trial, series, metric, value.

    Not finite where one of its windows has a forecast that is not.
    """
    keys = ["configuration", "trial", "series"]
    parts: list[Any] = [
        rows.astype(dict.fromkeys(keys, str)).fillna(np.inf).groupby(keys)[list(SUMS)].sum()
        for unit, rows in rows_of(store, units)
        if unit.trial != NAIVE.name
    ]
    whole = pd.concat(parts).groupby(level=keys).sum().reset_index()
    made = []
    for total in records(whole):
        found = metrics({name: total[name] for name in SUMS})
        key = [total[name] for name in keys]
        made += [(*key, name, found[metric]) for name, metric in MEASURED.items()]
    return pd.DataFrame(made, columns=pd.Index([*keys, "metric", "value"]))


def _filled(place: Path, job: Job, way: Way, terminal: Terminal) -> Store:
    same = identity("bench gift-eval", job.model, job.task.how)
    more = {
        "command": way.command,
        "data": job.task.data.name,
        "configurations": ", ".join(one.key for one in job.task.configurations),
        "trials": ", ".join(one.name for one in job.task.trials),
    }
    store = Store.start(place, same, same | made_by(job.model) | more, COLUMNS)
    sound = store.done(job.units)
    terminal.say(estimate(job, [unit for unit in job.units if unit not in sound]))
    done(store, job.units, job.worker, job.task, way.workers, terminal)
    return store


def _reseeded(job: Job) -> Job:
    """The same without trials, under another seed."""
    task = replace(job.task, how=replace(job.task.how, seed=job.task.how.seed + 1))
    units = tuple(unit for unit in job.units if unit.trial == UNTOUCHED.name)
    return replace(
        job,
        task=replace(task, trials=(UNTOUCHED,)),
        units=units,
        worker=type(job.worker)(replace(task, trials=(UNTOUCHED,))),
    )


def _noise(found: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """MASE and CRPS under two seeds: configuration, metric, value, base."""
    base = found.loc[found["trial"] == UNTOUCHED.name].set_index("configuration")
    again = other.set_index("configuration")
    made = [
        (key, name, again.loc[key, metric], base.loc[key, metric])
        for key in base.index
        for name, metric in MEASURED.items()
    ]
    return pd.DataFrame(made, columns=pd.Index(["configuration", "metric", "value", "base"]))


def _written(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, frame.to_csv(index=False).encode())
