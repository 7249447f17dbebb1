"""Scores of heads from weights alone, prepared once for page and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsfm_probe.report.maps import attention

SIGNED = ("ov-copying", "composition-q", "composition-k", "composition-v")
EACH_END = 4


@dataclass(frozen=True)
class Grid:
    """The scores of one kind of attention, layers as rows and heads as columns.

    cells: [row][column], NaN where there is no such head. addresses: [row][column].
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[float, ...], ...]
    addresses: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Scores:
    """One score of all heads that have it.

    name: of the method, with the lag if there is one. lowest, highest: the ends of its colours.
    signed: whether zero is the middle of them. basis: what it was computed in, "" if that is plain.
    """

    name: str
    grids: tuple[Grid, ...]
    lowest: float
    highest: float
    signed: bool
    basis: str


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The singular values of one head, [index], and the share of the squares up to each.

    low: whether it is one of the lowest heads, not of the highest.
    """

    address: str
    values: np.ndarray
    energy: np.ndarray
    low: bool


def read(table: pd.DataFrame) -> tuple[Scores, ...]:
    """Every score in a table (address, stack, layer, part, head, method, lag, basis, value)."""
    named = table.assign(name=[_name(*pair) for pair in zip(table.method, table.lag, strict=True)])
    return tuple(_scores(str(name), rows) for name, rows in named.groupby("name", sort=False))


def ends(spectra: pd.DataFrame, order: Sequence[str]) -> tuple[Spectrum, ...]:
    """The spectra of the first and the last heads of an order, the lowest first."""
    count = min(EACH_END, len(order) // 2)
    groups = {str(address): rows for address, rows in spectra.groupby("address")}
    chosen = [(one, True) for one in order[:count]] + [
        (one, False) for one in order[len(order) - count :]
    ]
    return tuple(
        Spectrum(one, groups[one]["value"].to_numpy(), groups[one]["energy"].to_numpy(), low)
        for one, low in chosen
        if one in groups
    )


def _name(method: str, lag: float) -> str:
    return method if np.isnan(lag) else f"{method} at lag {lag:g}"


def _scores(name: str, rows: pd.DataFrame) -> Scores:
    values = rows["value"].to_numpy()
    signed = str(rows["method"].iloc[0]) in SIGNED
    far = float(np.abs(values).max())
    low, high = (-far, far) if signed else (float(values.min()), float(values.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    kinds = dict.fromkeys(zip(rows["stack"], rows["part"], strict=True))
    grids = tuple(
        _grid(attention(stack, part), rows.query("stack == @stack and part == @part"))
        for stack, part in kinds
    )
    return Scores(name, grids, low, high, signed, str(rows["basis"].iloc[0]))


def _grid(title: str, rows: pd.DataFrame) -> Grid:
    found = {(one["layer"], one["head"]): one for one in rows.to_dict("records")}
    layers = sorted({layer for layer, _ in found})
    heads = range(1 + max(head for _, head in found))
    places = [[found.get((layer, head)) for head in heads] for layer in layers]
    return Grid(
        title,
        tuple(map(str, layers)),
        tuple(map(str, heads)),
        tuple(
            tuple(np.nan if one is None else float(one["value"]) for one in row) for row in places
        ),
        tuple(tuple("" if one is None else str(one["address"]) for one in row) for row in places),
    )
