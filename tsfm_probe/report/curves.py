"""Cumulative cuts prepared for drawing: curves, maps by attention, numbers of heads, sets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsfm_probe.address import Address
from tsfm_probe.report.effects import Effect, Effects, read
from tsfm_probe.report.maps import Map, attention

JOINT = "joint"
SHARED = ("kind", "trial", "metric", "ratio", "low", "high", "verdict")


@dataclass(frozen=True)
class Band:
    """Random orders at the numbers that all of them were cut at: [number], changes in percent."""

    cuts: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Curve:
    """One order of the whole network by one metric, and the random orders beside it.

    effects: of the order, by number cut. cuts: those numbers. of: how many units there are; what:
    "head" or "layer". redundant: the largest number that was shown to be redundant, 0 for none.
    """

    order: str
    what: str
    effects: Effects
    cuts: tuple[int, ...]
    of: int
    redundant: int
    band: Band


@dataclass(frozen=True)
class Counts:
    """How many heads each attention of one kind can lose, by layer: [layer] each."""

    title: str
    layers: tuple[str, ...]
    of: tuple[int, ...]
    within: tuple[int, ...]
    redundant: tuple[int, ...]
    random: tuple[tuple[int, int], ...]


def curve(found: pd.DataFrame, metric: str, about: Mapping[str, str]) -> Curve:
    """The curve of one metric; found: rows of cumulative cuts of the whole network."""
    rows = found.loc[found["metric"] == metric]
    ours = rows.loc[~rows["control"]].sort_values(by="cut")
    (effects,) = read(ours.assign(kind="order"), about)
    shown = ours.loc[ours["verdict"] == "redundant", "cut"]
    changes = (
        rows.loc[rows["control"]].pivot(index="order", columns="cut", values="ratio").dropna(axis=1)
    )
    percents = 100 * (changes.to_numpy() - 1)
    band = Band(
        changes.columns.to_numpy(),
        percents.min(axis=0),
        np.median(percents, axis=0),
        percents.max(axis=0),
    )
    first = ours.iloc[0]
    return Curve(
        str(first["order"]),
        about.get("by", "head"),
        effects,
        tuple(map(int, ours["cut"])),
        int(first["of"]),
        int(shown.to_numpy().max(initial=0)),
        band,
    )


def maps(
    found: pd.DataFrame, answer: pd.DataFrame, metric: str, about: Mapping[str, str]
) -> tuple[Effects, list[Map]]:
    """A map for each attention kind: layers by number of heads cut; and all effects on them.

    answer: one row per trial and metric, for the noise controls.
    """
    rows = found.loc[(found["metric"] == metric) & ~found["control"]]
    rows = rows.loc[~rows["place"].str.startswith(JOINT)]
    noise = answer.loc[(answer["metric"] == metric) & (answer["kind"] == "noise")]
    (effects,) = read(pd.concat([rows.assign(kind="order"), noise[list(SHARED)]]), about)
    kinds: dict[str, list[tuple[Address, int, Effect]]] = {}
    for (place, cut), effect in zip(
        rows[["place", "cut"]].itertuples(index=False), effects.edits, strict=True
    ):
        at = Address.parse(str(place))
        kinds.setdefault(attention(at.stack, at.part), []).append((at, int(cut), effect))
    return effects, [_map(title, cells) for title, cells in kinds.items()]


def _map(title: str, cells: list[tuple[Address, int, Effect]]) -> Map:
    layers = sorted({at.layer for at, _, _ in cells})
    cuts = sorted({cut for _, cut, _ in cells})
    placed = {(at.layer, cut): effect for at, cut, effect in cells}
    return Map(
        title,
        tuple(map(str, layers)),
        tuple(map(str, cuts)),
        "heads cut",
        tuple(tuple(placed.get((layer, cut)) for cut in cuts) for layer in layers),
    )


def counts(within: pd.DataFrame, metric: str) -> tuple[Counts, ...]:
    """The numbers of heads of each attention kind; within: one row per attention and metric."""
    rows = within.loc[within["metric"] == metric]
    places = [Address.parse(place) for place in rows["place"]]
    kinds = pd.Series([attention(at.stack, at.part) for at in places], index=rows.index)
    layers = pd.Series([str(at.layer) for at in places], index=rows.index)
    found = []
    for title, part in rows.groupby(kinds, sort=False):
        random = zip(part["random_low"], part["random_high"], strict=True)
        of, can, sure = (tuple(part[name].tolist()) for name in ("of", "within", "redundant"))
        numbers = tuple(layers.loc[part.index].tolist())
        found.append(Counts(str(title), numbers, of, can, sure, tuple(random)))
    return tuple(found)


def sets(effects: Effects) -> tuple[Map, ...]:
    """Maps of sets of layers: pairs in one, blocks in one for each stack; alone on the diagonal."""
    alone = {one.trial: one for one in effects.edits if one.kind == "layer"}
    pairs = {tuple(one.trial.split("+")): one for one in effects.edits if one.kind == "pair"}
    if pairs:
        names = tuple(alone)
        cells = tuple(
            tuple(pairs.get((row, column)) if row != column else alone[row] for column in names)
            for row in names
        )
        return (Map("Pairs of layers", names, names, "second layer", cells),)
    blocks = {one.trial: one for one in effects.edits if one.kind == "block"}
    stacks: dict[str, list[str]] = {}
    for name in alone if blocks else ():
        stack, _, layer = name.rpartition(".")
        stacks.setdefault(stack, []).append(layer)
    both = alone | blocks
    return tuple(
        Map(
            f"{stack.capitalize()} blocks",
            tuple(layers),
            tuple(layers),
            "last layer",
            tuple(tuple(both.get(_block(stack, start, end)) for end in layers) for start in layers),
        )
        for stack, layers in stacks.items()
    )


def _block(stack: str, start: str, end: str) -> str:
    return f"{stack}.{start}" if start == end else f"{stack}.{start}-{end}"
