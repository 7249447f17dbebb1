"""Putting the results of all models of a study together: tables, pictures, the page, README.md."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

import tsfm_probe.report
from tsfm_probe.durable import write_atomically
from tsfm_probe.errors import DataError
from tsfm_probe.report import easel

from . import pictures, tables, words
from .claims import Verdict, verdicts
from .compared import compared
from .measured import ALL, Measured, every_cut
from .running import MEASURED, folder_of
from .study import Scale, Study

HERE = Path(__file__).parent
STYLE = Path(tsfm_probe.report.__file__).parent
DIGITS = 6


def report(folder: Path, out: Path, study: Study, scale: Scale, command: str) -> Path:
    """Write everything into a folder, from what is done below the run folder; the page's path.

    DataError if no model of the scale is done.
    """
    read = [Measured.read(out, model) for model in scale.models]
    found = [one for one in read if one is not None]
    missing = [m for m, one in zip(scale.models, read, strict=True) if one is None]
    if not found:
        raise DataError(f"a report on {out}", "no model's run is done", "run the study first")
    cuts = pd.concat([every_cut(one, study.limit) for one in found], ignore_index=True)
    ratios = pd.concat([compared(one) for one in found], ignore_index=True)
    judged = verdicts(cuts, ratios, study.limit)
    folder.mkdir(parents=True, exist_ok=True)
    _write_tables(folder, found, {"cuts": cuts, "ratios": ratios}, judged)
    drawn = _pictures(folder, cuts, study)
    facts = words.Facts(
        command=command,
        configurations=tuple(found[0].record["about"]["configurations"].split(", ")),
        levels=tuple(dict.fromkeys(cuts["level"])),
        missing=tuple(missing),
        unsteady={
            one.model: 100 * (ratio - 1)
            for one in found
            if abs((ratio := one.reseeded().get("MASE", 1.0)) - 1) > study.limit / 100
        },
        study=study,
        scale=scale,
    )
    grids = _grids(found, cuts, ratios, judged)
    text = words.readme(facts, judged, grids)
    write_atomically(folder / "README.md", text.encode("utf-8"))
    page = folder / "report.html"
    write_atomically(page, _page(facts, judged, grids, drawn).encode("utf-8"))
    return page


def _grids(
    found: Sequence[Measured], cuts: pd.DataFrame, ratios: pd.DataFrame, judged: Sequence[Verdict]
) -> dict[str, tables.Grid]:
    return {
        "words": tables.words(judged),
        "layers": tables.layers(cuts, ratios, judged),
        "orders": tables.orders(ratios, judged),
        "shares": tables.shares(ratios),
        "blocks": tables.blocks(cuts),
        "models": tables.models(found),
    }


def _write_tables(
    folder: Path,
    found: Sequence[Measured],
    made: Mapping[str, pd.DataFrame],
    judged: Sequence[Verdict],
) -> None:
    said = pd.DataFrame([asdict(one) for one in judged])
    for name, frame in {**made, "verdicts": said}.items():
        text = frame.to_csv(index=False, float_format=f"%.{DIGITS}g")
        write_atomically(folder / f"{name}.csv", text.encode())
    for one in found:
        place = folder_of(folder, one.model)
        place.mkdir(exist_ok=True)
        record = json.dumps(one.record, indent=2, ensure_ascii=False)
        write_atomically(place / "run.json", f"{record}\n".encode())
        errors = one.errors.to_csv(index=False, float_format=f"%.{DIGITS}g")
        write_atomically(place / "errors.csv", errors.encode())


def _pictures(folder: Path, cuts: pd.DataFrame, study: Study) -> dict[str, str]:
    """Draw and write them as PNG; by name, the picture as the page has it in itself."""
    figures: dict[str, Figure] = {}
    for metric in MEASURED:
        if (cuts["kind"] == "layer").any():
            figures[f"layers-{metric.lower()}"] = pictures.layers(
                cuts, metric, study.limit, study.middle
            )
        figures[f"heads-{metric.lower()}"] = pictures.heads(cuts, metric, study.limit)
    (folder / "figures").mkdir(exist_ok=True)
    found = {}
    for name, figure in figures.items():
        picture = _encoded(figure)
        write_atomically(folder / "figures" / f"{name}.png", picture)
        found[name] = "data:image/png;base64," + b64encode(picture).decode()
    return found


@mpl.rc_context(easel.STYLE)
def _encoded(figure: Figure) -> bytes:
    """A figure as PNG in 64 colours, which is a third of the size."""
    with BytesIO() as drawn, BytesIO() as file:
        figure.savefig(drawn, format="png", dpi=200)
        picture = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
        picture.save(file, format="png", optimize=True)
        return file.getvalue()


def _page(
    facts: words.Facts,
    judged: Sequence[Verdict],
    grids: Mapping[str, tables.Grid],
    drawn: Mapping[str, str],
) -> str:
    loader = FileSystemLoader([HERE, STYLE], encoding="utf-8")
    known = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sentences = [one for one in judged if one.model and one.level in ("", ALL)]
    return known.get_template("page.html.j2").render(
        facts=facts,
        answer=words.answer(judged),
        asked=words.ASKED,
        limits=words.limits(facts),
        sentences=sentences,
        grids=grids,
        pictures=drawn,
        captions=words.CAPTIONS,
        meaning=words.meaning(facts),
    )
