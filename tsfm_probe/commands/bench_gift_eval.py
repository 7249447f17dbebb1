"""`tsfm-probe bench gift-eval`: a model and its trials by the protocol of GIFT-Eval."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tsfm_probe.commands.origin import made_by, short_hash
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.commands.tested import change, done, identity
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.gift_eval import Evaluation, chosen, folder_of
from tsfm_probe.evaluate.gift_eval_sets import official
from tsfm_probe.evaluate.gift_eval_work import (
    COLUMNS,
    Task,
    Worker,
    multiply_adds,
    results,
    table,
    units,
)
from tsfm_probe.evaluate.leaderboard import PUBLISHED, Line, read, summary
from tsfm_probe.evaluate.spread import HERE, Workers
from tsfm_probe.evaluate.store import Store, Unit
from tsfm_probe.evaluate.submission import submit
from tsfm_probe.evaluate.trials import UNTOUCHED, Trial, trials
from tsfm_probe.models.base import Model

ALL = len(official())
ON_ALL = f"published, on all {ALL} configurations"


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device, dtype: see models.load. data: the benchmark's folder, None for the environment's.
    patterns, term: which configurations. ablate, prune, plan: the trials. how: how windows are
    forecast. leaderboard: a CSV file of published scores. out: the run folder, None to choose.
    workers: who forecasts.
    """

    model: str
    device: str
    dtype: str
    data: Path | None
    patterns: Sequence[str]
    term: str
    ablate: Sequence[str]
    prune: Sequence[Path]
    plan: Path | None
    how: Forecasting
    leaderboard: Path | None = None
    out: Path | None = None
    workers: Workers = HERE


@dataclass(frozen=True, eq=False)
class Job:
    """A benchmark that is ready to run: what there is to do, and who does it."""

    model: Model
    task: Task
    tests: tuple[Evaluation, ...]
    units: tuple[Unit, ...]
    worker: Worker
    published: tuple[Line, ...]


def prepare(asked: Request, terminal: Terminal) -> Job:
    """Find the data, load the models, list the units of work."""
    published = read(asked.leaderboard) if asked.leaderboard else ()
    folder = folder_of(asked.data)
    found = chosen(folder, asked.patterns, asked.term)
    tried = trials(asked.ablate, asked.prune, asked.plan)
    task = Task(asked.model, asked.device, asked.dtype, folder, found, tried, asked.how)
    tests = tuple(Evaluation.open(folder, one, asked.how.joint) for one in found)
    terminal.say(f"loading {asked.model}")
    worker = Worker(task)
    model = asked.how.checked(worker.subjects, tried)
    work = units(tests, tried, worker.subjects)
    return Job(model, task, tests, work, worker, published)


def dry_run(asked: Request, terminal: Terminal) -> None:
    """Tell the plan and its cost."""
    job = prepare(asked, terminal)
    times = sum(not trial.naive for trial in job.task.trials)
    costs = [2.0 * multiply_adds(test, job.model, asked.how) for test in job.tests]
    flops = times * sum(costs)
    rows = [
        {
            "configuration": test.configuration.key,
            "series": test.series,
            "windows": test.series * test.windows,
            "horizon": test.horizon,
            "flops": cost,
        }
        for test, cost in zip(job.tests, costs, strict=True)
    ]
    names = [trial.name for trial in job.task.trials]
    if terminal.as_json:
        terminal.print_json({"trials": names, "configurations": rows, "flops": flops})
        return
    cells = [[*(str(one) for one in list(row.values())[:-1]), _tera(row["flops"])] for row in rows]
    terminal.grid("What would be forecast", [*list(rows[0])[:-1], "TFLOP of one trial"], cells)
    terminal.out.print(
        f"{len(rows)} of {ALL} configurations, {times} trials with a model and the seasonal naive "
        f"forecast: {len(job.units)} units of work, at most {_tera(flops)} TFLOP in weight "
        f"matrices. Nothing was run. Trials: {', '.join(names)}",
        markup=False,
    )


def execute(asked: Request, terminal: Terminal) -> None:
    """Run or continue, put the results together, and tell where everything is."""
    job = prepare(asked, terminal)
    same = identity("bench gift-eval", job.model, job.task.how)
    facts = same | made_by(job.model) | _asked(job)
    last = job.model.name.rstrip("/").rsplit("/", 1)[-1]
    place = asked.out or Path("runs") / f"{last}-gift-eval-{short_hash(same)}"
    store = Store.start(place, same, facts, COLUMNS)
    done(store, job.units, job.worker, job.task, asked.workers, terminal)
    found = results(store, job.units)
    long = table(found, job.model.name, job.task.trials)
    short = summary(long, job.task.trials)
    _submit(job, found, store.path, same["dtype"])
    store.finish({"table": long, "summary": short})
    _tell(job, found, short, facts, store.path, terminal)


def _asked(job: Job) -> dict[str, str]:
    return {
        "data": str(job.task.data),
        "configurations": ", ".join(one.key for one in job.task.configurations),
        "trials": ", ".join(one.name for one in job.task.trials),
    }


def _submit(job: Job, found: pd.DataFrame, folder: Path, dtype: str) -> None:
    last = job.model.name.rstrip("/").rsplit("/", 1)[-1]
    for trial in job.task.trials:
        name = last if trial == UNTOUCHED else trial.name if trial.naive else f"{last} {trial.name}"
        own = found.loc[found["trial"] == trial.name, :]
        place = folder / "submissions" / _readable(trial.name)
        submit(place, name, "" if trial.naive else dtype, own, job.task.configurations)


def _tell(
    job: Job,
    found: pd.DataFrame,
    short: pd.DataFrame,
    facts: Mapping[str, str],
    folder: Path,
    terminal: Terminal,
) -> None:
    lines = [(one, ON_ALL) for one in PUBLISHED] + [(one, "given") for one in job.published]
    if terminal.as_json:
        told: dict[str, Any] = {"about": facts, "summary": short.to_dict("records")}
        told["results"] = found.to_dict("records")
        told["published"] = [
            {"model": one.model, "MASE": one.mase, "CRPS": one.crps, "source": source}
            for one, source in lines
        ]
        terminal.print_json({**told, "folder": str(folder)})
        return
    if not terminal.quiet:
        _print_scores(short, lines, job.task.trials, terminal)
        for word in _warnings(found, len(job.tests)):
            terminal.out.print(word, markup=False)
    terminal.out.print(f"results: {folder.resolve()}", markup=False)


def _print_scores(
    short: pd.DataFrame,
    lines: Sequence[tuple[Line, str]],
    tried: Sequence[Trial],
    terminal: Terminal,
) -> None:
    rows = [
        [
            str(row["trial"]),
            f"{row['MASE']:.4f}",
            f"{row['CRPS']:.4f}",
            change(row["MASE_untouched"]),
            change(row["CRPS_untouched"]),
            f"{row['configurations']} of {row['of']}",
        ]
        for row in short.to_dict("records")
    ]
    rows += [[one.model, f"{one.mase:.3f}", f"{one.crps:.3f}", "", "", how] for one, how in lines]
    columns = ["trial", "MASE", "CRPS", "MASE to untouched", "CRPS to untouched", "configurations"]
    terminal.grid("Error in units of the seasonal naive forecast (geometric mean)", columns, rows)


def _warnings(found: pd.DataFrame, count: int) -> list[str]:
    words = []
    if count < ALL:
        words.append(
            f"{count} of {ALL} configurations: these scores are not comparable with published ones."
        )
    for trial, rows in found.groupby("trial", sort=False):
        if rows["broken"].sum():
            words.append(
                f"{trial}: {rows['broken'].sum()} windows in {(rows['broken'] > 0).sum()} "
                "configurations have a forecast that is not finite."
            )
    return words


def _tera(flops: float) -> str:
    return f"{flops / 1e12:.3g}"


def _readable(name: str) -> str:
    """A folder's name for a trial: its own where that can be one."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:60]
    return plain if plain == name else f"{plain}-{short_hash({'trial': name})}"
