"""`tsfm-probe prune`: from a model and a file to a smaller model that forecasts about as well."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tsfm_probe.commands.ablate import Columns, note_left_out, say_left_out, series_of
from tsfm_probe.commands.origin import identity, origin, short_name
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.durable import write_atomically
from tsfm_probe.laws.subject import ROUNDING
from tsfm_probe.models import load
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.prune.budget import Budget
from tsfm_probe.prune.card import card, rows_of
from tsfm_probe.prune.confirm import confirmed, frame
from tsfm_probe.prune.making import Healing, made
from tsfm_probe.prune.outcome import Outcome, plan_of, words
from tsfm_probe.prune.save import refuse_existing, refuse_needed, stored, write
from tsfm_probe.prune.study import Study, divided, searched, steps, within
from tsfm_probe.prune.units import Choice
from tsfm_probe.report.prune_page import write as write_page
from tsfm_probe.run_folder import RunFolder


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device: see models.load. setting: horizon, windows, seed and the like. paths, columns:
    the data. choice: what may be cut, in which order. budget: how much. healing: whether the cut
    network learns from the original. out: the folder of the pruned model. overwrite: whether an
    earlier pruned model there may go. folder: that of tables and page, None to choose.
    batch_size: 0 to choose.
    """

    model: str
    device: str
    setting: Setting
    paths: list[Path]
    columns: Columns
    choice: Choice
    budget: Budget
    healing: Healing
    out: Path
    overwrite: bool = False
    folder: Path | None = None
    batch_size: int = 0

    def about(self) -> dict[str, str]:
        """What the search depends on besides model, data and setting, as text."""
        return {
            "probe": "prune",
            "what": self.choice.what,
            "order": self.choice.order,
            "keep": " ".join(self.choice.keep) or "nothing",
            "budget": str(self.budget),
            "curve": str(self.budget.curve),
        }


def dry_run(asked: Request, terminal: Terminal) -> None:
    """Tell what would be tried, and its cost at most."""
    data = series_of(asked.paths, asked.columns, asked.setting.seed)
    model = load(asked.model, asked.device, "float32")
    searching, unseen = divided(Job.of(model, data.series, asked.setting), asked.choice)
    units, budgets = len(searching.plan), len(asked.budget.steps)
    trials = units * (1 + budgets) + 2 * budgets + 2
    flops = 2 * searching.multiply_adds() / (units + 1) * trials
    if terminal.as_json:
        names = list(searching.plan.names)
        terminal.print_json({"units": names, "trials": trials, "flops": flops})
        return
    terminal.out.print(
        f"{units} parts may be cut, tried alone and together under {budgets} budgets: at most "
        f"{trials} trials on {len(searching.windows)} windows of {data.name}, {flops / 1e12:.3g} "
        f"TFLOP in weight matrices, confirmed on {len(unseen.windows)} others. Nothing was run.",
        markup=False,
    )
    terminal.out.print(", ".join(searching.plan.names), markup=False)


def execute(asked: Request, terminal: Terminal) -> None:
    """Search or go on, confirm, cut, prove, heal, measure, write, and tell where everything is."""
    refuse_existing(asked.out, asked.overwrite)
    data = series_of(asked.paths, asked.columns, asked.setting.seed)
    terminal.say(f"loading {asked.model}")
    model = load(asked.model, asked.device, "float32")
    job = Job.of(model, data.series, asked.setting)
    say_left_out(job, data, terminal)
    searching, unseen = divided(job, asked.choice)
    same = identity(job, data) | {"probe": "prune"}  # what was measured serves other budgets too
    place = asked.folder or Path("runs") / short_name(model, data, "prune", same)
    refuse_needed(asked.out, (model.source.folder, place, *asked.paths))
    facts = same | asked.about() | origin(model, data)
    folder = RunFolder.start(place, same, facts)
    note_left_out(job, data, folder.path)
    study = Study(
        searching, unseen, tuple(data.series), asked.choice, asked.budget, folder, asked.batch_size
    )
    judges = study.judges
    with terminal.progress("searching") as progress:
        units, path = searched(study, judges[0], progress)
    looks = confirmed(*judges, path.found, asked.setting.seed)
    known = {"alone": units, "steps": steps(path), "confirmed": frame(looks)}
    for name, table in known.items():
        _table(folder, name, table)
    found = within(study, path, looks)
    with terminal.progress("measuring") as progress:
        outcome = made(study, path, looks, found, facts, asked.healing, progress)
    _saved(study, outcome, asked, terminal)
    _told(outcome, units, folder, asked, terminal)


def _saved(study: Study, outcome: Outcome, asked: Request, terminal: Terminal) -> None:
    """Write the folder of the pruned model, if what is read from it forecasts the same."""
    proof = study.proof
    expected = (
        proof.forecast(outcome.smaller)
        if outcome.share or (outcome.healed and outcome.adopted)
        else proof.ablated(outcome.original, outcome.found.at)
    )
    terminal.say(f"writing {asked.out}")
    refuse_existing(asked.out, asked.overwrite)  # much may have happened since the start
    write(
        outcome.smaller,
        asked.out,
        stored(outcome.original.source),
        plan_of(outcome),
        card(outcome, asked.out.name),
        lambda model: proof.off(model, expected),
        ROUNDING,
    )


def _told(
    outcome: Outcome, units: pd.DataFrame, folder: RunFolder, asked: Request, terminal: Terminal
) -> None:
    """Write tables and page, and print the answer."""
    tables = {
        "alone": units,
        "steps": steps(outcome.path),
        "confirmed": frame(outcome.looks),
        "healed": frame(outcome.after),
        "costs": outcome.costs,
        "curve": outcome.curve,
        "behaviour": outcome.behaviour,
    }
    for name, table in tables.items():
        _table(folder, name, table)
    said = words(outcome)
    terminal.say("drawing the page")
    page = write_page(folder.path, tables, said, outcome.removed, outcome.about)
    folder.record = folder.record.noted(folder.path, status="done")
    if terminal.as_json:
        told = {"about": dict(outcome.about), "summary": said, "cut": outcome.removed}
        rows = {name: table.to_dict("records") for name, table in tables.items()}
        places = {"model": str(asked.out), "folder": str(folder.path), "page": str(page)}
        terminal.print_json({**told, **rows, **places})
        return
    if not terminal.quiet:
        columns = ["", "series at once", "original", "pruned", "left"]
        terminal.grid("What it costs", columns, rows_of(outcome.costs))
        terminal.out.print("\n".join(said), markup=False)
    terminal.out.print(f"model: {asked.out.resolve()}", markup=False)
    terminal.out.print(f"page: {page.resolve()}", markup=False)


def _table(folder: RunFolder, name: str, table: pd.DataFrame) -> None:
    write_atomically(folder.path / f"{name}.csv", table.to_csv(index=False).encode())
