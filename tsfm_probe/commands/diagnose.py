"""`tsfm-probe diagnose`: whether a model parrots or sees seasons, and which heads do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tsfm_probe.commands.ablate import Columns, note_left_out, say_left_out, series_of
from tsfm_probe.commands.origin import identity, origin, short_name
from tsfm_probe.commands.tables import keep, kept
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.data.dataset import Dataset
from tsfm_probe.diagnosis.answer import matrix
from tsfm_probe.diagnosis.inputs import COPIED, FREE, OWN, PARROTING
from tsfm_probe.diagnosis.probe import WHAT, Frames, Study, stage
from tsfm_probe.diagnosis.probe import Request as Wanted
from tsfm_probe.diagnosis.words import sentences
from tsfm_probe.errors import UsageError
from tsfm_probe.models import load
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.report.diagnosis_page import Shown
from tsfm_probe.report.diagnosis_page import write as write_page
from tsfm_probe.run_folder import RunRecord

UNUSED = ("by", "only", "method", "joint")
"""What a setting of ablation says that is of no meaning here."""
VERBS = {
    "behaviour": "forecasting",
    "heads": "watching",
    "causal": "ablating",
    "flags": "flagging",
    "repair": "repairing",
    "order": "matching",
}
PRINTED = 12
SMALL = ("indices", "causal", "validation", "repair", "order")
"""Tables that `--json` tells."""


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device: see models.load. wanted: which tables. setting: which windows, and how long.
    paths, columns: the data. out: the run folder, None to choose.
    """

    model: str
    device: str
    wanted: Wanted
    setting: Setting
    paths: list[Path]
    columns: Columns
    out: Path | None

    @classmethod
    def parsed(
        cls,
        model: str,
        device: str,
        what: str,
        count: int,
        context: int,
        scale: str,
        season: int,
        setting: Setting,
        paths: list[Path],
        columns: Columns,
        out: Path | None,
    ) -> "Request":
        """From the words of the command line; UsageError for what is not allowed.

        what: names of WHAT, separated by commas, or "all". scale: numbers, separated by commas.
        """
        words = [one.strip() for one in what.split(",") if one.strip()]
        if not words:
            raise UsageError(f"--what {what!r}", allowed=f"allowed is all, or {', '.join(WHAT)}")
        names = WHAT if words == ["all"] else tuple(dict.fromkeys(words))
        wanted = Wanted(names, count, context, _numbers(scale), season)
        return cls(model, device, wanted, setting, paths, columns, out)


@dataclass(frozen=True, eq=False)
class Result:
    """What a run ends with: the tables, what they come to, and where everything is."""

    facts: Mapping[str, str]
    frames: Frames
    heads: pd.DataFrame
    said: list[str]
    folder: Path
    page: Path


def execute(asked: Request, terminal: Terminal) -> None:
    """Run or continue, draw, and tell where everything is."""
    data = series_of(asked.paths, asked.columns, asked.setting.seed)
    terminal.say(f"loading {asked.model}")
    model = load(asked.model, asked.device, "float32")
    job = Job.of(model, data.series, asked.setting)
    study = Study(job, asked.wanted, bool(asked.paths))
    say_left_out(job, data, terminal)
    same = _identity(study, data)
    facts = same | origin(model, data)
    folder = asked.out or Path("runs") / short_name(model, data, "diagnose", same)
    record = RunRecord.begun(folder, same, facts).noted(folder, plan=asked.wanted.stages)
    note_left_out(job, data, folder)
    frames = _made(study, folder, terminal)
    heads, said = matrix(frames), sentences(frames, _called(study, data))
    keep(folder, {"answer": heads})
    terminal.say("drawing the page")
    page = write_page(folder, facts, said, Shown(frames, heads, COPIED, FREE, OWN))
    record.noted(folder, status="done")
    _tell(terminal, Result(facts, frames, heads, said, folder, page))


def _numbers(scale: str) -> tuple[float, ...]:
    try:
        found = tuple(dict.fromkeys(float(one) for one in scale.split(",") if one.strip()))
    except ValueError:
        found = ()
    if not found:
        raise UsageError(f"--scale {scale!r}", allowed="numbers such as 0,0.5")
    return found


def _identity(study: Study, data: Dataset) -> dict[str, str]:
    asked = study.asked
    known = {key: text for key, text in identity(study.job, data).items() if key not in UNUSED}
    return known | {
        "probe": "diagnose",
        "what": ", ".join(asked.stages),
        "count": str(asked.count),
        "generated_context": str(study.size.context),
        "season": str(asked.season or "that of each context"),
        "scales": ", ".join(f"{one:g}" for one in asked.scales),
    }


def _called(study: Study, data: Dataset) -> str:
    """The series on which accuracy is measured, in a sentence."""
    return data.name if study.own else "generated series (no --data was given)"


def _made(study: Study, folder: Path, terminal: Terminal) -> Frames:
    """All tables; those of a stage that was done before are read."""
    frames: dict[str, pd.DataFrame] = {}
    for name in study.asked.stages:
        found: Frames | None = kept(folder, study.asked.tables(name))
        if found is None:
            with terminal.progress(VERBS[name]) as progress:
                found = stage(name, study, frames, progress)
            keep(folder, found)
        else:
            terminal.say(f"{VERBS[name]}: done before")
        frames |= found
    return frames


def _tell(terminal: Terminal, result: Result) -> None:
    if terminal.as_json:
        terminal.print_json(_json(result))
        return
    if not terminal.quiet:
        if "indices" in result.frames:
            _print_indices(terminal, result.frames["indices"])
        terminal.out.print("\n".join(result.said), markup=False)
    terminal.out.print(f"page: {result.page.resolve()}", markup=False)


def _json(result: Result) -> dict[str, Any]:
    """The answer with the tables that are small."""
    frames = result.frames
    return {
        "about": result.facts,
        "summary": result.said,
        "answer": result.heads.to_dict("records"),
        **{name: frames[name].to_dict("records") for name in SMALL if name in frames},
        "tables": [f"{name}.csv" for name in frames],
        "folder": str(result.folder),
        "page": str(result.page),
    }


def _print_indices(terminal: Terminal, indices: pd.DataFrame) -> None:
    """The parroting index of everyone, by set."""
    rows = indices.loc[indices["measure"] == PARROTING]
    table = rows.pivot(index="set", columns="who", values="value")
    order = list(dict.fromkeys(rows["set"]))
    who = list(dict.fromkeys(rows["who"]))
    terminal.grid(
        "Parroting index (0: chance, 1: a copy)",
        ["set", *who],
        [[str(name), *(f"{table.loc[name, one]:+.2f}" for one in who)] for name in order],
    )
