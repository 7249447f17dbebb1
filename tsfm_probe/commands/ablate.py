"""`tsfm-probe ablate`: from a model and a file to a table, a page and an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tsfm_probe.commands.origin import identity, origin, short_name
from tsfm_probe.commands.predictors import compared
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.data.dataset import Dataset, counted
from tsfm_probe.data.read import read
from tsfm_probe.data.synthetic import generated
from tsfm_probe.durable import write_atomically
from tsfm_probe.errors import UsageError
from tsfm_probe.models import load
from tsfm_probe.probes.ablation import Job, Setting, run
from tsfm_probe.probes.examples import examples
from tsfm_probe.report.agreement import section
from tsfm_probe.report.page import write as write_page
from tsfm_probe.report.section import Section
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.verdict import answer, summary

GENERATED = "generated"


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a data file, and the spacing if it is not to be inferred."""

    item: str
    time: str
    target: str
    freq: str | None


def series_of(paths: list[Path], columns: Columns, seed: int) -> Dataset:
    """The user's series, or generated ones if no file is given."""
    if not paths:
        return Dataset.of(generated(4, 600, seed), GENERATED)
    return read(
        paths, item=columns.item, time=columns.time, target=columns.target, freq=columns.freq
    )


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device, dtype: see models.load. setting: what to do. paths, columns: the data.
    threshold_pp: of the verdicts. batch_size: 0 to choose. out: the run folder, None to choose.
    predictors: whether cheap guesses are compared with what is measured.
    """

    model: str
    device: str
    dtype: str
    setting: Setting
    paths: list[Path]
    columns: Columns
    threshold_pp: float
    batch_size: int
    out: Path | None
    predictors: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.threshold_pp < float("inf"):
            raise UsageError(f"--threshold-pp {self.threshold_pp}", allowed="allowed is 0 or more")


def prepare(asked: Request, terminal: Terminal) -> tuple[Job, Dataset]:
    """Load the model, read the data, cut windows; says what was left out."""
    data = series_of(asked.paths, asked.columns, asked.setting.seed)
    terminal.say(f"loading {asked.model}")
    model = load(asked.model, asked.device, asked.dtype)
    job = Job.of(model, data.series, asked.setting)
    say_left_out(job, data, terminal)
    return job, data


def started(
    asked: Request, job: Job, data: Dataset, more: Mapping[str, str] | None = None
) -> tuple[RunFolder, dict[str, str]]:
    """The run folder, new or continued, and what the table is to say of itself.

    more: what the numbers depend on besides model, data and setting.
    """
    same = identity(job, data) | dict(more or {})
    place = asked.out or Path("runs") / short_name(job.model, data, job.setting.by, same)
    facts = same | origin(job.model, data) | {"threshold_pp": f"{asked.threshold_pp:g}"}
    return RunFolder.start(place, same, facts), facts


def say_left_out(job: Job, data: Dataset, terminal: Terminal) -> None:
    """One line of log on what was not used, if there is any."""
    if left_out := (*data.skipped, *job.skipped):
        terminal.say(f"left out: {counted(left_out)}")


def note_left_out(job: Job, data: Dataset, folder: Path) -> None:
    """Write skipped.csv: what was not used, and why."""
    left_out = pd.DataFrame((*data.skipped, *job.skipped), columns=pd.Index(["series", "reason"]))
    write_atomically(folder / "skipped.csv", left_out.to_csv(index=False).encode())


def dry_run(asked: Request, terminal: Terminal) -> None:
    """Tell the plan and its cost."""
    job, data = prepare(asked, terminal)
    count, cost = len(job.plan), 2 * job.multiply_adds()
    if terminal.as_json:
        terminal.print_json(
            {"trials": list(job.plan.names), "windows": len(job.windows), "flops": cost}
        )
        return
    series = len({window.series for window in job.windows})
    terminal.out.print(
        f"{count} trials and the untouched model on {len(job.windows)} windows of {series} series "
        f"of {data.name}: {(count + 1) * len(job.windows)} forecasts of {asked.setting.horizon} "
        f"steps, at most {cost / 1e12:.3g} TFLOP in weight matrices. Nothing was run.",
        markup=False,
    )
    terminal.out.print(", ".join(job.plan.names), markup=False)


def execute(asked: Request, terminal: Terminal) -> None:
    """Run or continue, judge, draw, and tell where everything is."""
    job, data = prepare(asked, terminal)
    folder, facts = started(asked, job, data)
    with terminal.progress("ablating") as progress:
        table = run(job, folder, facts, asked.batch_size, progress)
    if folder.damaged:
        terminal.say(f"damaged shards were found and made again: {', '.join(folder.damaged)}")
    verdicts = answer(table, threshold_pp=asked.threshold_pp, seed=asked.setting.seed)
    words = summary(table, verdicts, asked.threshold_pp)
    note_left_out(job, data, folder.path)
    sections: tuple[Section, ...] = ()
    more: dict[str, Any] = {}
    if asked.predictors:
        agreed = compared(job, verdicts, folder.path, asked.batch_size, terminal)
        sections, more = (section(agreed, facts),), {"agreement": agreed.to_dict("records")}
    terminal.say("drawing the page")
    drawn = examples(job, verdicts, asked.batch_size)
    page = write_page(folder.path, table, verdicts, words, drawn, sections)
    folder.finish(table, verdicts)
    if terminal.as_json:
        told = {"about": facts, "summary": words, "answer": verdicts.to_dict("records"), **more}
        terminal.print_json({**told, "folder": str(folder.path), "page": str(page)})
        return
    if not terminal.quiet:
        _print_answer(terminal, verdicts, facts["by"])
        for one in sections:
            terminal.grid(one.title, list(one.columns), [list(row) for row in one.rows])
        terminal.out.print("\n".join(words), markup=False)
    terminal.out.print(f"page: {page.resolve()}", markup=False)


def _print_answer(terminal: Terminal, verdicts: pd.DataFrame, by: str) -> None:
    """The most and least harmful trials and the controls."""
    ours = verdicts[verdicts["metric"] == "MASE"].copy()
    wql = verdicts[verdicts["metric"] == "WQL"].set_index("trial")
    trials = ours.query("kind == @by").sort_values("ratio", ascending=False)
    shown = trials if len(trials) <= 20 else pd.concat([trials.head(12), trials.tail(8)])
    rows = [
        [
            str(row["trial"]),
            _change(row["ratio"]),
            f"{_change(row['low'])} to {_change(row['high'])}",
            _change(float(wql.at[row["trial"], "ratio"])),
            str(row["verdict"]),
        ]
        for row in pd.concat([shown, ours.query("kind != @by")]).to_dict("records")
    ]
    some = "" if len(shown) == len(trials) else f" (12 most, 8 least harmful of {len(trials)})"
    terminal.grid(
        f"What ablation does to the error{some}",
        ["ablated", "MASE", "95 % interval", "WQL", "verdict"],
        rows,
    )


def _change(ratio: float) -> str:
    return "-" if pd.isna(ratio) else f"{100 * (ratio - 1):+.2f} %"
