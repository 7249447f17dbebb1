"""`tsfm-probe attribute`: what every part of a model writes towards its forecasts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tsfm_probe.attribution.answer import Answer
from tsfm_probe.attribution.effects import THROUGH
from tsfm_probe.attribution.probe import WHAT, Frames, stage
from tsfm_probe.attribution.probe import Request as Wanted
from tsfm_probe.attribution.target import Target
from tsfm_probe.attribution.through import crosses
from tsfm_probe.attribution.words import sentences
from tsfm_probe.commands.ablate import Columns, note_left_out, say_left_out, series_of
from tsfm_probe.commands.origin import identity, origin, short_name
from tsfm_probe.commands.tables import keep, kept
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.data.dataset import Dataset
from tsfm_probe.errors import UsageError
from tsfm_probe.models import load
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.report.attribution_page import Shown
from tsfm_probe.report.attribution_page import write as write_page
from tsfm_probe.run_folder import RunRecord

UNUSED = ("by", "method", "samples", "joint")
"""What a setting of ablation says that is of no meaning here."""
VERBS = {"walk": "watching", "totals": "ablating", "overthinking": "showing motifs"}
PRINTED = 12


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device: see models.load. wanted: which tables. setting: which windows and heads.
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
        target: str,
        step: int,
        what: str,
        setting: Setting,
        paths: list[Path],
        columns: Columns,
        out: Path | None,
    ) -> "Request":
        """From the words of the command line; UsageError for what is not allowed.

        step: from 1, 0 for all. what: names of TABLES, separated by commas, or "all".
        """
        if not 0 <= step <= setting.horizon:
            allowed = f"the horizon has steps 1 to {setting.horizon}, 0 stands for all"
            raise UsageError(f"--step {step}", allowed=allowed)
        words = [one.strip() for one in what.split(",") if one.strip()]
        if not words:
            raise UsageError(f"--what {what!r}", allowed=f"allowed is all, or {', '.join(WHAT)}")
        names = WHAT if words == ["all"] else tuple(dict.fromkeys(words))
        wanted = Wanted(Target(target, step - 1 if step else None), names)
        return cls(model, device, wanted, setting, paths, columns, out)


@dataclass(frozen=True, eq=False)
class Result:
    """What a run ends with: the tables, what they come to, and where everything is."""

    facts: Mapping[str, str]
    frames: Frames
    answer: Answer
    said: list[str]
    folder: Path
    page: Path


def execute(asked: Request, terminal: Terminal) -> None:
    """Run or continue, draw, and tell where everything is."""
    data = series_of(asked.paths, asked.columns, asked.setting.seed)
    terminal.say(f"loading {asked.model}")
    model = load(asked.model, asked.device, "float32")
    job = Job.of(model, data.series, asked.setting)
    wanted = asked.wanted.fitted(job)
    say_left_out(job, data, terminal)
    same = _identity(job, data, wanted)
    facts = same | origin(model, data)
    folder = asked.out or Path("runs") / short_name(model, data, "attribute", same)
    record = RunRecord.begun(folder, same, facts).noted(folder, plan=wanted.stages)
    note_left_out(job, data, folder)
    frames = _made(job, wanted, folder, terminal)
    found = Answer.of(frames, asked.setting.seed)
    said = sentences(frames, found, facts["target"], bool(crosses(model.anatomy)))
    keep(folder, {"answer": found.parts})
    terminal.say("drawing the page")
    page = write_page(folder, facts, said, _shown(job, frames, found))
    record.noted(folder, status="done")
    _tell(terminal, Result(facts, frames, found, said, folder, page))


def _identity(job: Job, data: Dataset, wanted: Wanted) -> dict[str, str]:
    step, name = wanted.target.step, wanted.target.name
    reading = job.model.reading([job.windows[0].seen], job.setting.horizon)
    known = {key: text for key, text in identity(job, data).items() if key not in UNUSED}
    return known | {
        "probe": "attribute",
        "target": reading.targets[0] if name == "auto" else name,
        "unit": reading.unit,
        "step": "all" if step is None else str(step + 1),
        "what": ", ".join(wanted.what),
    }


def _made(job: Job, wanted: Wanted, folder: Path, terminal: Terminal) -> Frames:
    """All tables; those of a stage that was done before are read."""
    frames: dict[str, pd.DataFrame] = {}
    for name in wanted.stages:
        found: Frames | None = kept(folder, wanted.tables(name))
        if found is None:
            with terminal.progress(VERBS[name]) as progress:
                found = stage(name, job, wanted, progress)
            keep(folder, found)
        else:
            terminal.say(f"{VERBS[name]}: done before")
        frames |= found
    return frames


def _shown(job: Job, frames: Frames, found: Answer) -> Shown:
    windows = {place: f"{one.series}, window {one.index}" for place, one in enumerate(job.windows)}
    return Shown(
        frames,
        found.parts,
        found.layers,
        found.crystallised,
        found.critical,
        found.agreement,
        windows,
    )


def _tell(terminal: Terminal, result: Result) -> None:
    if terminal.as_json:
        terminal.print_json(_json(result))
        return
    if not terminal.quiet:
        _print_parts(terminal, result.answer.parts)
        terminal.out.print("\n".join(result.said), markup=False)
    terminal.out.print(f"page: {result.page.resolve()}", markup=False)


def _json(result: Result) -> dict[str, Any]:
    """The answer with everything that is not told step by step or case by case."""
    found, frames = result.answer, result.frames
    small = ("ranks", "totals", "overthinking")
    return {
        "about": result.facts,
        "summary": result.said,
        "answer": found.parts.to_dict("records"),
        "layers": found.layers.to_dict("records"),
        "crystallisation": found.crystallised,
        "critical": found.critical,
        "agreement": dict(found.agreement),
        **{name: frames[name].to_dict("records") for name in small if name in frames},
        "tables": [f"{name}.csv" for name in frames],
        "folder": str(result.folder),
        "page": str(result.page),
    }


def _print_parts(terminal: Terminal, parts: pd.DataFrame) -> None:
    """The largest writes of each path."""
    for path, rows in parts.groupby("path", sort=False):
        title = "What writes most" + (f", {path}" if path == THROUGH else "")
        some = f" (the {PRINTED} largest of {len(rows)})" if len(rows) > PRINTED else ""
        terminal.grid(
            title + some,
            ["part", "effect", "size", "share"],
            [
                [
                    str(row["address"]),
                    f"{row['effect']:+.4g}",
                    f"{row['size']:.4g}",
                    f"{100 * row['share']:.1f} %",
                ]
                for row in rows.head(PRINTED).to_dict("records")
            ],
        )
