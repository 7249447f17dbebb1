"""`tsfm-probe bench dysts`: a model and its trials on chaotic systems."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from tsfm_probe.commands.origin import made_by, short_hash
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.commands.tested import change, done, identity, interval
from tsfm_probe.evaluate.chaos import systems
from tsfm_probe.evaluate.dysts import COLUMNS, METRICS, Protocol
from tsfm_probe.evaluate.dysts_work import PARROT, RATIOS, Job, Worker, answer, cost, table, units
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.spread import HERE, Workers
from tsfm_probe.evaluate.store import Store
from tsfm_probe.evaluate.trials import trials
from tsfm_probe.models.base import Model


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device, dtype: see models.load. names, source: see chaos.systems. protocol: what is
    forecast. ablate, prune, plan: the trials. how: how it is forecast; its context is not used.
    out: the run folder, None to choose. workers: who forecasts.
    """

    model: str
    device: str
    dtype: str
    names: Sequence[str]
    source: str
    protocol: Protocol
    ablate: Sequence[str]
    prune: Sequence[Path]
    plan: Path | None
    how: Forecasting
    out: Path | None = None
    workers: Workers = HERE


def prepare(asked: Request, terminal: Terminal) -> tuple[Worker, Model]:
    """Find the systems and load the model."""
    found = systems(asked.names, asked.source)
    tried = (PARROT, *trials(asked.ablate, asked.prune, asked.plan)[1:])
    terminal.say(f"loading {asked.model}")
    how = replace(asked.how, context=asked.protocol.context)
    worker = Worker(Job(asked.model, asked.device, asked.dtype, found, tried, asked.protocol, how))
    return worker, worker.checked()


def dry_run(asked: Request, terminal: Terminal) -> None:
    """Tell the plan and its cost."""
    worker, model = prepare(asked, terminal)
    job = worker.job
    count, adds = cost(worker)
    names, called = [trial.name for trial in job.trials], [one.name for one in job.systems]
    if terminal.as_json:
        terminal.print_json(
            {"trials": names, "systems": called, "forecasts": count, "flops": 2 * adds}
        )
        return
    terminal.out.print(
        f"{len(called)} systems ({job.systems[0].source}) from {job.protocol.conditions} initial "
        f"conditions each, {count} forecasts of {job.protocol.horizon} steps by {model.name} in "
        f"each trial, at most {2 * adds / 1e12:.3g} TFLOP in weight matrices. Nothing was run. "
        f"Trials: {', '.join(names)}",
        markup=False,
    )
    terminal.out.print(", ".join(called), markup=False)


def execute(asked: Request, terminal: Terminal) -> None:
    """Run or continue, put the results together, and tell where everything is."""
    worker, model = prepare(asked, terminal)
    job = worker.job
    same = identity("bench dysts", model, job.how) | asked.protocol.words()
    facts = same | made_by(model) | {"systems": job.systems[0].source}
    last = model.name.rstrip("/").rsplit("/", 1)[-1]
    place = asked.out or Path("runs") / f"{last}-dysts-{short_hash(same)}"
    work = units(job, worker.subjects)  # bad words are told before a folder is made
    store = Store.start(place, same, facts, COLUMNS)
    done(store, work, worker, job, asked.workers, terminal)
    long = table(store, work, job)
    short = answer(long, job, asked.how.seed)
    store.finish({"table": long, "summary": short})
    if terminal.as_json:
        told = {"about": facts, "summary": short.to_dict("records")}
        terminal.print_json({**told, "folder": str(store.path)})
        return
    if not terminal.quiet:
        for metric in METRICS:
            _print(short.loc[short["metric"] == metric], metric, terminal)
    terminal.out.print(f"results: {store.path.resolve()}", markup=False)


TITLES = {
    "sMAPE": "sMAPE (0 to 2)",
    "spearman": "Rank correlation with the truth",
    "valid_periods": "Valid prediction time in periods",
    "valid_lyapunov": "Valid prediction time in Lyapunov times",
}


def _print(rows: pd.DataFrame, metric: str, terminal: Terminal) -> None:
    """What every trial reaches of one metric."""
    said = change if metric in RATIOS else "{:+.3f}".format
    terminal.grid(
        TITLES[metric],
        ["trial", "mean", "to untouched", "95 % interval", "systems", "forecasts"],
        [
            [
                str(row["trial"]),
                f"{row['mean']:.3f}",
                said(row["change"]),
                interval(row["low"], row["high"], said),
                str(row["systems"]),
                f"{row['forecasts']} of {row['of']}",
            ]
            for row in rows.to_dict("records")
        ],
    )
