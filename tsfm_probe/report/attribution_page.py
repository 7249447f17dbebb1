"""The page of attribution: what parts write, what layers see, how alike heads are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tsfm_probe.durable import write_atomically
from tsfm_probe.report import (
    attribution_heads,
    attribution_layers,
    attribution_lens,
    attribution_motifs,
    attribution_ranking,
    attribution_stack,
    attribution_totals,
)
from tsfm_probe.report.plates import Plate
from tsfm_probe.report.section import Section
from tsfm_probe.report.sheet import draw, inlined, template
from tsfm_probe.report.trials import Cell

TITLE_FIELDS = ("model", "data")
THROUGH = "through cross-attention"


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page draws; frames, parts, layers and agreement as the probe made them.

    frames: tables by name; those that were not asked for are not there. parts: path, kind, address,
    effect, size, share of every write. layers: layer, measure, value. crystallised, critical: names
    of layers, "" for none. agreement: spearman, low, high and so on. windows: titles by case.
    """

    frames: Mapping[str, pd.DataFrame]
    parts: pd.DataFrame
    layers: pd.DataFrame
    crystallised: str
    critical: str
    agreement: Mapping[str, float]
    windows: Mapping[int, str]


def write(folder: Path, about: Mapping[str, str], summary: Sequence[str], shown: Shown) -> Path:
    """Write `report.html` and the folder `figures` and return the path of the page.

    about: what the numbers belong to; its "unit" is that of effects. summary: plain sentences.
    """
    sections = [one for one in _sections(shown, about.get("unit", "")) if one.plates]
    every = [plate for section in sections for plate in section.every]
    draw(folder, every)
    html = template("attribution.html.j2").render(
        about=dict(about),
        title=" on ".join(about.get(field, f"unnamed {field}") for field in TITLE_FIELDS),
        summary=summary,
        sections=sections,
        parts=_rows(shown),
        figures=inlined(every),
        plotly=Markup(get_plotlyjs()),
    )
    path = folder / "report.html"
    write_atomically(path, html.encode("utf-8"))
    return path


def _sections(shown: Shown, unit: str) -> tuple[Section, ...]:
    frames = shown.frames
    lens = {}
    if "forecasts" in frames:
        lens = {
            title: (one,) for title, one in attribution_lens.plates(frames, shown.windows).items()
        }
    layers = () if shown.layers.empty else (_layers(shown),)
    heads: tuple[Plate, ...] = ()
    if "ranks" in frames and not frames["ranks"].empty:
        found = attribution_heads.kinds(frames["ranks"], frames["cosines"])
        heads = attribution_heads.plates(found)
    totals = attribution_totals.plate(frames["totals"], unit) if "totals" in frames else None
    motifs = ()
    if "overthinking" in frames:
        motifs = (attribution_motifs.plate(frames["overthinking"], shown.critical),)
    return (
        Section("written", "What writes the forecast", plates=_always(_written(shown, unit))),
        Section("lens", "What each layer sees", plates=lens | _always(layers)),
        Section("overthinking", "Overthinking", plates=_always(motifs)),
        Section("likeness", "How alike heads are", plates=_always(heads)),
        Section(
            "totals", "What ablation shows beside it", plates=_always((totals,) if totals else ())
        ),
    )


def _always(plates: tuple[Plate, ...]) -> dict[str, tuple[Plate, ...]]:
    return {"": plates} if plates else {}


def _layers(shown: Shown) -> Plate:
    return attribution_layers.plate(shown.layers, shown.crystallised)


def _written(shown: Shown, unit: str) -> tuple[Plate, ...]:
    if shown.parts.empty:
        return ()
    effects = shown.frames["effects"]
    found = [
        attribution_stack.plate(
            attribution_stack.stack(effects, attribution_stack.DIRECT),
            "stack",
            "What each layer writes, step by step",
            "Mean effects over all windows, above 0 and below it. They sum to the prediction, "
            "together with the remainder where the readout is not linear. Heads and MLPs are "
            "summed by layer.",
            unit,
            "prediction",
        )
    ]
    if (shown.parts["path"] == THROUGH).any():
        found.append(
            attribution_stack.plate(
                attribution_stack.stack(effects, THROUGH),
                "stack-encoder",
                "What comes from the encoder, through cross-attention",
                "The shares of the encoder's parts in what cross-attention writes, with its maps "
                "kept: they split what the heads of cross-attention write above, and do not add "
                "to it.",
                unit,
                "all of it",
            )
        )
    return (*found, attribution_ranking.plate(shown.parts, unit))


def _rows(shown: Shown) -> list[tuple[str, str, list[Cell]]]:
    """(address, path and kind, cells) of every part."""
    totals: dict[str, tuple[float, float]] = {}
    if "totals" in shown.frames:
        frame = shown.frames["totals"]
        pairs = zip(frame["total"], frame["total_size"], strict=True)
        totals = dict(zip(map(str, frame["address"]), pairs, strict=True))
    found = []
    for one in shown.parts.to_dict("records"):
        address, share = str(one["address"]), float(one["share"])
        where = str(one["kind"]).strip("()")
        where += "" if one["path"] == attribution_stack.DIRECT else f", {one['path']}"
        cells = [_number(float(one["effect"]), "+"), _number(float(one["size"]))]
        cells.append(Cell(f"{100 * share:.2f} %", repr(share)))
        if address in totals:
            cells += [_number(totals[address][0], "+"), _number(totals[address][1])]
        else:
            cells += [Cell("–", "")] * 2
        found.append((address, where, cells))
    return found


def _number(value: float, sign: str = "") -> Cell:
    return Cell(f"{value:{sign}.4g}".replace("-", "−"), repr(value))
