"""`tsfm-probe bench fev`: a model and its trials on the tasks of a fev benchmark."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from huggingface_hub.utils.logging import set_verbosity_error

from tsfm_probe.commands.origin import made_by, short_hash
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.commands.tested import change, done, identity, interval
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.evaluate.fev_tasks import COLUMNS, read_lines, read_tasks
from tsfm_probe.evaluate.fev_work import (
    Job,
    Worker,
    answer,
    cost,
    leaderboard,
    summaries,
    table,
    units,
)
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.spread import HERE, Workers
from tsfm_probe.evaluate.store import Store
from tsfm_probe.evaluate.trials import trials
from tsfm_probe.models.base import Model

NAIVE = ("normal", "plain")
PLAIN_FOR = {"chronos-ii": "plain"}


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device, dtype: see models.load. tasks, benchmark, patterns: see fev_tasks.read_tasks.
    ablate, prune, plan: the trials. how: how windows are forecast. naive: the baseline, one of
    NAIVE, "" for the one of the benchmark. leaderboard: files of lines that stand beside. out: the
    run folder, None to choose. workers: who forecasts.
    """

    model: str
    device: str
    dtype: str
    tasks: str
    benchmark: str
    patterns: Sequence[str]
    ablate: Sequence[str]
    prune: Sequence[Path]
    plan: Path | None
    how: Forecasting
    naive: str = ""
    leaderboard: Sequence[Path] = ()
    out: Path | None = None
    workers: Workers = HERE

    def __post_init__(self) -> None:
        if self.naive and self.naive not in NAIVE:
            raise UsageError(f"--naive {self.naive!r}", allowed=nearest(self.naive, NAIVE))

    @property
    def normal(self) -> bool:
        """Whether the baseline has normal errors."""
        return (self.naive or PLAIN_FOR.get(self.benchmark, "normal")) == "normal"


def prepare(asked: Request, terminal: Terminal) -> tuple[Worker, Model]:
    """Read the tasks and load the model."""
    logging.getLogger("fev").setLevel(logging.WARNING)
    set_verbosity_error()  # of each of several attempts to reach the hub
    tasks = read_tasks(asked.tasks, asked.benchmark, asked.patterns)
    tried = trials(asked.ablate, asked.prune, asked.plan)
    terminal.say(f"loading {asked.model}")
    names = (asked.model, asked.device, asked.dtype)
    worker = Worker(Job(*names, tasks, tried, asked.how, asked.normal))
    return worker, worker.checked()


def dry_run(asked: Request, terminal: Terminal) -> None:
    """Tell the plan and its cost."""
    worker, model = prepare(asked, terminal)
    job = worker.job
    count, adds = cost(worker)
    names = [trial.name for trial in job.trials]
    if terminal.as_json:
        terminal.print_json(
            {"trials": names, "tasks": list(job.tasks), "forecasts": count, "flops": 2 * adds}
        )
        return
    windows = sum(task.num_windows for task in job.tasks.values())
    terminal.out.print(
        f"{len(job.tasks)} tasks with {windows} windows, {count} forecasts by {model.name} in each "
        f"trial, at most {2 * adds / 1e12:.3g} TFLOP in weight matrices. Nothing was run. "
        f"Trials: {', '.join(names)}",
        markup=False,
    )
    terminal.out.print(", ".join(job.tasks), markup=False)


def execute(asked: Request, terminal: Terminal) -> None:
    """Run or continue, put the results together, and tell where everything is."""
    published = [read_lines(one) for one in asked.leaderboard]
    worker, model = prepare(asked, terminal)
    job = worker.job
    same = identity("bench fev", model, asked.how)
    facts = same | made_by(model) | {"tasks": asked.benchmark or asked.tasks}
    last = model.name.rstrip("/").rsplit("/", 1)[-1]
    place = asked.out or Path("runs") / f"{last}-fev-{short_hash(facts_of(asked) | same)}"
    work = units(job, worker.subjects)  # bad words are told before a folder is made
    store = Store.start(place, same, facts, COLUMNS)
    done(store, work, worker, job, asked.workers, terminal)
    lines = summaries(store, work, job)
    long = table(lines, job)
    short = answer(long, job, asked.how.seed)
    board = leaderboard(lines, published, asked.how.seed)
    tables = {"table": long, "summary": short, "evaluation_summaries": plain(lines)}
    store.finish(tables if board is None else tables | {"leaderboard": board})
    if terminal.as_json:
        told = {"about": facts, "summary": short.to_dict("records")}
        shown = [] if board is None else board.to_dict("records")
        terminal.print_json({**told, "leaderboard": shown, "folder": str(store.path)})
        return
    if not terminal.quiet:
        _print_scores(short, len(job.tasks), terminal)
        if board is not None:
            _print_board(board, terminal)
    terminal.out.print(f"results: {store.path.resolve()}", markup=False)


def facts_of(asked: Request) -> dict[str, str]:
    """What else the name of a run's folder depends on."""
    return {"tasks": asked.tasks, "benchmark": asked.benchmark}


def plain(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines whose lists are text, as fev reads them from CSV."""
    found = lines.drop(columns=["task", "trial"])
    return pd.DataFrame(
        [
            [str(one) if isinstance(one, list | dict) else one for one in row]
            for row in found.to_numpy(dtype=object)
        ],
        columns=found.columns,
    )


def _print_scores(short: pd.DataFrame, count: int, terminal: Terminal) -> None:
    rows = [
        [
            str(row["trial"]),
            str(row["metric"]),
            f"{row['naive']:.4f}",
            interval(row["naive_low"], row["naive_high"], "{:.4f}".format),
            change(row["untouched"]),
            interval(row["untouched_low"], row["untouched_high"], change),
            f"{row['naive_tasks']} of {count}",
        ]
        for row in short.to_dict("records")
        if row["kind"] != "naive"
    ]
    names = ["trial", "metric", "error", "95 % interval", "to untouched", "95 % interval", "tasks"]
    terminal.grid("Error in units of the seasonal naive forecast (geometric mean)", names, rows)


def _print_board(board: pd.DataFrame, terminal: Terminal) -> None:
    rows = [
        [
            str(row["model_name"]),
            f"{row['skill_score']:.3f}",
            interval(row["skill_score_lower"], row["skill_score_upper"], "{:.3f}".format),
            f"{row['win_rate']:.3f}",
            str(row["num_failures"]),
        ]
        for row in board.sort_values("skill_score", ascending=False).to_dict("records")
    ]
    names = ["model", "skill score", "95 % interval", "win rate", "failures"]
    terminal.grid("fev's leaderboard", names, rows)
