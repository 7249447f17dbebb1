"""The page of scores: heat maps, spectra, orders and the table of all heads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tsfm_probe.durable import write_atomically
from tsfm_probe.report import score_charts, score_prints
from tsfm_probe.report.plates import Key, Plate
from tsfm_probe.report.scores import Scores, ends, read
from tsfm_probe.report.section import Section
from tsfm_probe.report.sheet import draw, inlined, template
from tsfm_probe.report.trials import Cell

BASES = {
    "vocabulary": "The eigenvalues are those of W_U W_O W_V W_E, from token to token.",
    "head": "This network has no vocabulary: the eigenvalues are those of the head's own W_O W_V.",
}


def write(
    folder: Path,
    about: Mapping[str, str],
    table: pd.DataFrame,
    spectra: pd.DataFrame,
    matrices: pd.DataFrame,
    order: Sequence[str],
    summary: Sequence[str],
) -> Path:
    """Write `report.html` and the folder `figures` and return the path of the page.

    about: what the numbers belong to. table: one row per head and score. spectra: one row per head
    and singular value. matrices: one row per weight matrix. order: the heads by the first score,
    the lowest first. summary: plain sentences.
    """
    every = read(table)
    maps = {one.name: _map(one) for one in every}
    lines = _spectra(spectra, order)
    plates = [*maps.values(), *lines]
    draw(folder, plates)
    html = template("scores.html.j2").render(
        about=dict(about),
        title=about.get("model", "unnamed model"),
        summary=summary,
        maps=maps,
        lines=lines,
        orders=_orders(table, order),
        matrices=_matrices(matrices),
        heads=_heads(table, every),
        names=[one.name for one in every],
        figures=inlined(plates),
        plotly=Markup(get_plotlyjs()),
    )
    path = folder / "report.html"
    write_atomically(path, html.encode("utf-8"))
    return path


def _map(scores: Scores) -> Plate:
    name = "".join(letter if letter.isalnum() else "-" for letter in scores.name)
    middle = " Zero is in the middle of the colours." if scores.signed else ""
    basis = f" {BASES[scores.basis]}" if scores.basis else ""
    return Plate(
        name=f"map-{name}",
        title=f"The {scores.name} of every head",
        caption=f"From {scores.lowest:.4g} to {scores.highest:.4g}.{middle}{basis}",
        alternative=f"{len(scores.grids)} heat maps of the {scores.name}: "
        + ", ".join(grid.title for grid in scores.grids),
        keys=(),
        panels=tuple(score_charts.heat_map(grid, scores) for grid in scores.grids),
        below=score_charts.scale(scores),
        print=score_prints.heat_maps(scores),
    )


def _spectra(spectra: pd.DataFrame, order: Sequence[str]) -> tuple[Plate, ...]:
    found = ends(spectra, order)
    if not found:
        return ()
    shades = score_charts.line_colours(found)
    return (
        Plate(
            name="spectra",
            title="What the lowest and the highest heads compare",
            caption="Singular values of the matrix with which a head compares queries and keys, "
            "over the largest of them, and the share of their squares that the first ones hold. "
            "Solid: the lowest heads. Dotted: the highest ones.",
            alternative="Two line charts of " + ", ".join(one.address for one in found),
            keys=tuple(
                Key("━" if one.low else "┅", colour, one.address)
                for one, colour in zip(found, shades, strict=True)
            ),
            panels=score_charts.spectra(found),
            below=None,
            print=score_prints.spectra(found),
        ),
    )


def _orders(table: pd.DataFrame, order: Sequence[str]) -> Section:
    places = {address: place for place, address in enumerate(order)}
    rows = []
    for part, heads in table.drop_duplicates("address").groupby(
        table["address"].str.rpartition(".")[0], sort=False
    ):
        ranked = sorted((places[one], one) for one in heads["address"].astype(str) if one in places)
        if ranked:
            numbers = ", ".join(one.rpartition(".")[2] for _, one in ranked)
            rows.append((str(part), numbers, str(1 + ranked[0][0]), str(1 + ranked[-1][0])))
    first = str(table["method"].iloc[0])
    whole = ", ".join(order[:24]) + ("" if len(order) <= 24 else ", and so on")
    return Section(
        "orders",
        "The order of the heads",
        (
            f"By {first}, the lowest first; all {len(order)} heads are in order.txt, which "
            "ablate --order takes.",
            f"Over the whole network: {whole}.",
        ),
        columns=("attention", "its heads, the lowest first", "first overall", "last overall"),
        rows=tuple(rows),
    )


def _matrices(matrices: pd.DataFrame) -> Section:
    names = list(dict.fromkeys(matrices["matrix"]))
    found: dict[str, dict[str, float]] = {}
    for one in matrices.to_dict("records"):
        found.setdefault(str(one["address"]), {})[str(one["matrix"])] = float(one["stable_rank"])
    rows = tuple(
        (part, *(f"{values[name]:.2f}" if name in values else "–" for name in names))
        for part, values in found.items()
    )
    return Section(
        "matrices",
        "The stable rank of every weight matrix",
        ("Whole matrices by themselves, of all heads together; without any gain.",),
        columns=("part", *names),
        rows=rows,
    )


def _heads(table: pd.DataFrame, every: Sequence[Scores]) -> list[tuple[str, str, list[Cell]]]:
    """(address, attention, a cell for each score) of every head."""
    values: dict[str, dict[str, float]] = {}
    for scores in every:
        for grid in scores.grids:
            for addresses, cells in zip(grid.addresses, grid.cells, strict=True):
                for address, cell in zip(addresses, cells, strict=True):
                    values.setdefault(address, {})[scores.name] = cell
    return [
        (
            address,
            address.rpartition(".")[0],
            [
                Cell(f"{values[address][one.name]:.4f}", repr(values[address][one.name]))
                if one.name in values[address]
                else Cell("–", "")
                for one in every
            ],
        )
        for address in dict.fromkeys(table["address"].astype(str))
    ]
