"""`tsfm-probe ablate --order` and `--sets`: cutting several heads or layers together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from tsfm_probe.commands.ablate import Request, note_left_out, prepare, started
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.data.dataset import Dataset
from tsfm_probe.durable import write_atomically
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.probes import orders
from tsfm_probe.probes.ablation import Job, run
from tsfm_probe.probes.cumulative import cut_together, planned, shown
from tsfm_probe.probes.curves import Cuts
from tsfm_probe.probes.examples import examples, forecasts
from tsfm_probe.probes.findings import control_words, order_words, set_words
from tsfm_probe.probes.layer_sets import SETS, layer_sets
from tsfm_probe.probes.redundancy import frame, heads_within, index
from tsfm_probe.report.page import write as write_page
from tsfm_probe.report.redundancy import attention_section, sets_section, whole_section
from tsfm_probe.report.section import Section
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.table import Table
from tsfm_probe.verdict import answer, summary


@dataclass(frozen=True, eq=False)
class Result:
    """What a run ends with.

    facts: what it belongs to. said: the answer in sentences. section: its part of the page.
    drawn: forecasts of a few windows. more: what else `--json` tells, by name.
    """

    facts: Mapping[str, str]
    said: list[str]
    table: Table
    verdicts: pd.DataFrame
    section: Section
    drawn: pd.DataFrame
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Together:
    """What is cut together: the first of an order, or sets of layers; UsageError for both.

    order, per_layer, up_to: see probes.curves.Cuts. sets: see probes.layer_sets.
    """

    order: str = ""
    per_layer: bool = False
    up_to: str = ""
    sets: str = "single"

    def __post_init__(self) -> None:
        if self.sets not in SETS:
            raise UsageError(f"--sets {self.sets}", allowed=nearest(self.sets, SETS))
        if self.order and self.sets != "single":
            raise UsageError(
                f"--order {self.order} together with --sets {self.sets}", allowed="one of them"
            )
        if self.per_layer and not self.order:
            raise UsageError("--per-layer without an order", allowed="--order NAME --per-layer")
        if self.up_to and not self.order and self.sets != "blocks":
            allowed = "--order NAME --up-to, or --sets blocks --up-to"
            raise UsageError(f"--up-to {self.up_to} of nothing", allowed=allowed)

    @property
    def asked(self) -> bool:
        """Whether anything is cut together at all."""
        return bool(self.order) or self.sets != "single"


def dry_run(asked: Request, together: Together, terminal: Terminal) -> None:
    """Tell the plan and its cost."""
    job, data = prepare(asked, terminal)
    more = 0
    if together.order:
        plan, more = planned(job, _cuts(asked, together))
    else:
        plan = layer_sets(job, together.sets, together.up_to)
    cost = 2 * replace(job, plan=plan).multiply_adds() * (1 + more / (len(plan) + 1))
    if terminal.as_json:
        told = {"trials": list(plan.names), "further": more, "windows": len(job.windows)}
        terminal.print_json({**told, "flops": cost})
        return
    later = f" and at most {more} more, as the results ask for them," if more else ""
    series = len({window.series for window in job.windows})
    terminal.out.print(
        f"{len(plan)} trials{later} and the untouched model on {len(job.windows)} windows of "
        f"{series} series of {data.name}: at most {(len(plan) + more + 1) * len(job.windows)} "
        f"forecasts of {asked.setting.horizon} steps, {cost / 1e12:.3g} TFLOP in weight matrices. "
        "Nothing was run.",
        markup=False,
    )
    terminal.out.print(", ".join(plan.names), markup=False)


def execute(asked: Request, together: Together, terminal: Terminal) -> None:
    """Run or continue, judge, draw, and tell where everything is."""
    if together.order:
        _cut_order(asked, _cuts(asked, together), terminal)
    else:
        _cut_sets(asked, together, terminal)


def _cuts(asked: Request, together: Together) -> Cuts:
    return Cuts(together.order, together.per_layer, together.up_to, asked.threshold_pp)


def _cut_order(asked: Request, cuts: Cuts, terminal: Terminal) -> None:
    job, data = prepare(asked, terminal)
    planned(job, cuts)  # a mistake in the options is told before a folder is made
    folder, facts = started(asked, job, data, cuts.about())
    with terminal.progress("ablating") as progress:
        study = cut_together(job, cuts, folder, facts, asked.batch_size, progress)
    total = len(orders.units(job))
    places = heads_within(study.found, cuts.threshold_pp)
    said = order_words(study.found, places, total, job.setting.by, cuts.threshold_pp)
    results = {"curves": study.found, "index": index(study.found, total), "within": places}
    frames = {name: frame(rows) for name, rows in results.items() if rows}
    for name, rows in frames.items():
        write_atomically(folder.path / f"{name}.csv", rows.to_csv(index=False).encode())
    section = (
        attention_section(frames["curves"], frames["within"], study.verdicts, facts)
        if cuts.per_layer
        else whole_section(frames["curves"], facts)
    )
    more: dict[str, Any] = {name: rows.to_dict("records") for name, rows in frames.items()}
    result = Result(
        facts,
        said + control_words(study.table, study.verdicts),
        study.table,
        study.verdicts,
        section,
        forecasts(job, shown(study), asked.batch_size),
        more | {"order": [one.name for one in study.order]},
    )
    _finish(terminal, job, data, folder, result)


def _cut_sets(asked: Request, together: Together, terminal: Terminal) -> None:
    job, data = prepare(asked, terminal)
    job = replace(job, plan=layer_sets(job, together.sets, together.up_to))
    more = {"sets": together.sets, "up_to": together.up_to or "all"}
    folder, facts = started(asked, job, data, more)
    with terminal.progress("ablating") as progress:
        table = run(job, folder, facts, asked.batch_size, progress)
    verdicts = answer(table, threshold_pp=asked.threshold_pp, seed=asked.setting.seed)
    result = Result(
        facts,
        set_words(job.plan, verdicts, asked.threshold_pp)
        + summary(table, verdicts, asked.threshold_pp),
        table,
        verdicts,
        sets_section(verdicts, facts),
        examples(job, verdicts, asked.batch_size),
    )
    _finish(terminal, job, data, folder, result)


def _finish(terminal: Terminal, job: Job, data: Dataset, folder: RunFolder, result: Result) -> None:
    """Write everything, and tell where it is."""
    if folder.damaged:
        terminal.say(f"damaged shards were found and made again: {', '.join(folder.damaged)}")
    note_left_out(job, data, folder.path)
    terminal.say("drawing the page")
    page = write_page(
        folder.path,
        result.table,
        result.verdicts,
        result.said,
        result.drawn,
        (result.section,),
    )
    folder.finish(result.table, result.verdicts)
    if terminal.as_json:
        terminal.print_json(
            {
                "about": result.facts,
                "summary": result.said,
                "answer": result.verdicts.to_dict("records"),
                **result.more,
                "folder": str(folder.path),
                "page": str(page),
            }
        )
        return
    if not terminal.quiet:
        section = result.section
        if section.rows:
            rows = [list(row) for row in section.rows]
            terminal.grid(section.title, list(section.columns), rows)
        terminal.out.print("\n".join(result.said), markup=False)
    terminal.out.print(f"page: {page.resolve()}", markup=False)
