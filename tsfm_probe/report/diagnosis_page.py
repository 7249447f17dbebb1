"""The page of a diagnosis: behaviour, heads, flags, repair, order of copying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tsfm_probe.durable import write_atomically
from tsfm_probe.report import (
    diagnosis_card,
    diagnosis_examples,
    diagnosis_flags,
    diagnosis_matrix,
    diagnosis_repair,
)
from tsfm_probe.report.plates import Plate
from tsfm_probe.report.section import Section
from tsfm_probe.report.sheet import draw, inlined, template

TITLE_FIELDS = ("model", "data")


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page draws; frames as the probe made them, those that were asked for.

    heads: address, group, score, value, low, high, shade, sure. copied, free: sets that repeat a
    motif and sets without a period. own: the set of the user's series.
    """

    frames: Mapping[str, pd.DataFrame]
    heads: pd.DataFrame
    copied: Sequence[str]
    free: Sequence[str]
    own: str


def write(folder: Path, about: Mapping[str, str], summary: Sequence[str], shown: Shown) -> Path:
    """Write `report.html` and the folder `figures` and return the path of the page.

    about: what the numbers belong to. summary: plain sentences.
    """
    sections = [one for one in _sections(shown, about) if one.plates or one.rows]
    every = [plate for section in sections for plate in section.every]
    draw(folder, every)
    columns, heads = diagnosis_matrix.table(shown.heads)
    html = template("diagnosis.html.j2").render(
        about=dict(about),
        title=" on ".join(about.get(field, f"unnamed {field}") for field in TITLE_FIELDS),
        summary=summary,
        sections=sections,
        columns=columns,
        heads=heads,
        figures=inlined(every),
        plotly=Markup(get_plotlyjs()),
    )
    path = folder / "report.html"
    write_atomically(path, html.encode("utf-8"))
    return path


def _sections(shown: Shown, about: Mapping[str, str]) -> tuple[Section, ...]:
    frames = shown.frames
    examples = diagnosis_examples.plates(frames["examples"]) if "examples" in frames else {}
    repair = order = None
    if "repair" in frames:
        repair = diagnosis_repair.plate(frames["repair"], about.get("data", "the series"))
    if "order" in frames:
        order = diagnosis_card.order(frames["order"])
    return (
        Section("behaviour", "How it behaves", plates=_always(*_behaviour(shown))),
        Section("examples", "What it looks like", plates=examples),
        Section("heads", "Which heads do it", plates=_always(diagnosis_matrix.plate(shown.heads))),
        _flags(frames),
        Section("repair", "What can be done about it", plates=_always(repair)),
        Section("order", "The order of copying", plates=_always(order)),
    )


def _behaviour(shown: Shown) -> tuple[Plate | None, ...]:
    frames = shown.frames
    if "indices" not in frames:
        return ()
    return (
        diagnosis_card.card(frames["indices"], shown.free),
        diagnosis_card.steps(frames["steps"], (*shown.copied, "patches", shown.own)),
        diagnosis_card.seasons(frames["seasons"], shown.free),
    )


def _flags(frames: Mapping[str, pd.DataFrame]) -> Section:
    title = "What the weights alone tell"
    if "validation" not in frames:
        return Section("validation", title)
    found = frames["validation"]
    drawn = diagnosis_flags.plate(found)
    few = "Too few heads surely cause either index for a flag to be right or wrong about them."
    return Section(
        "validation",
        title,
        () if drawn else (few,),
        _always(drawn),
        diagnosis_flags.COLUMNS,
        diagnosis_flags.rows(found),
    )


def _always(*plates: Plate | None) -> dict[str, tuple[Plate, ...]]:
    found = tuple(one for one in plates if one is not None)
    return {"": found} if found else {}
