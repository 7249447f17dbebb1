"""The network as a map: what each part does alone, and which of them were cut."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
import pandas as pd

from tsfm_probe.report.effects import percent, rounded_up

ORDER = ("self", "cross", "time", "group", "variate")
"""In this order attentions stand from left to right; an MLP stands last."""
BAR, GAP, BETWEEN = 2.4, 0.5, 0.08
"""Widths, in heads, of what has none, and of the gaps beside parts and beside heads."""
THIN, THICK, APART = 0.26, 0.8, 0.22
"""Heights of a whole part, of its heads below, and between two layers."""


@dataclass(frozen=True)
class Cell:
    """A rectangle of the map: left, right, top and bottom, its shade in percent, its label."""

    x: tuple[float, float]
    y: tuple[float, float]
    shade: float
    label: tuple[str, ...]


@dataclass(frozen=True)
class Stack:
    """The map of one stack.

    columns, rows: names with their places. struck: what was cut: left, right and height of a line.
    """

    title: str
    cells: tuple[Cell, ...]
    columns: tuple[tuple[str, float], ...]
    rows: tuple[tuple[str, float], ...]
    struck: tuple[tuple[float, float, float], ...]

    @property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """All ends of cells, from left to right and from the top down."""
        across = np.unique([end for cell in self.cells for end in cell.x])
        return across, np.unique([end for cell in self.cells for end in cell.y])

    def painted(self) -> Iterator[tuple[Cell, slice, slice]]:
        """Every cell with the rows and columns between `edges` that it fills."""
        across, down = self.edges
        for cell in self.cells:
            yield (
                cell,
                slice(*np.searchsorted(down, cell.y)),
                slice(*np.searchsorted(across, cell.x)),
            )

    @property
    def shades(self) -> np.ndarray:
        """The shades between `edges`: [row, column], NaN where there is nothing."""
        across, down = self.edges
        found = np.full((len(down) - 1, len(across) - 1), np.nan)
        for cell, rows, columns in self.painted():
            found[rows, columns] = cell.shade
        return found


@dataclass(frozen=True)
class Column:
    """Where a part stands in every layer: its name, its left end, how many heads are drawn."""

    name: str
    left: float
    heads: int

    @property
    def right(self) -> float:
        """Its right end."""
        return self.left + (self.heads * (1 + BETWEEN) - BETWEEN if self.heads else BAR)

    def head(self, number: int) -> tuple[float, float]:
        """The ends of one head."""
        return self.left + number * (1 + BETWEEN), self.left + number * (1 + BETWEEN) + 1


def stacks(alone: pd.DataFrame, removed: Sequence[str]) -> tuple[Stack, ...]:
    """The maps of all stacks; alone: unit, kind, MASE, WQL. removed: addresses of what was cut."""
    rises = {str(row["unit"]): row for row in alone.to_dict("records")}
    names = dict.fromkeys(name.split(".")[0] for name in rises)
    order = sorted(names, key=lambda name: (name != "encoder", name))
    return tuple(_stack(name, rises, removed) for name in order)


def limit(alone: pd.DataFrame) -> float:
    """The end of the colours in percent, which a few huge effects do not stretch."""
    sizes = alone[["MASE", "WQL"]].max(axis=1).abs().to_numpy()
    sizes = sizes[np.isfinite(sizes)]
    robust = min(np.quantile(sizes, 0.9), 10 * np.median(sizes)) if len(sizes) else 0.0
    return rounded_up(max(float(robust), 0.1))


def _stack(name: str, rises: Mapping[str, dict], removed: Sequence[str]) -> Stack:  # pyright: ignore[reportMissingTypeArgument]
    own = [one.split(".")[1:] for one in rises if one.split(".")[0] == name]
    whole = any(len(one) == 1 for one in own)
    columns = _columns([one for one in own if len(one) > 1], 0.9 + GAP if whole else 0.0)
    layers = sorted({int(one[0]) for one in own})
    both = any(c.heads and f"{name}.{n}.{c.name}" in rises for n in layers for c in columns)
    height = (THIN + BETWEEN if both else 0.0) + THICK
    tops = {layer: place * (height + APART) for place, layer in enumerate(layers)}
    cells: list[Cell] = []
    for layer, top in tops.items():
        here = f"{name}.{layer}"
        if here in rises:
            cells.append(_cell(rises[here], (0.0, 0.9), (top, top + height), here in removed))
        for column in columns:
            cells += _part(here, column, rises, removed, top, height)
    right = max([column.right for column in columns], default=0.9)
    struck = [
        _line(one, columns, tops, height, right) for one in removed if one.split(".")[0] == name
    ]
    headings = [("layer", 0.45)] * whole + [(c.name, (c.left + c.right) / 2) for c in columns]
    headings = [("MLP" if one == "mlp" else one, at) for one, at in headings]
    rows = tuple((str(layer), top + height / 2) for layer, top in tops.items())
    lines = tuple(line for line in struck if line is not None)
    return Stack(name.capitalize(), tuple(cells), tuple(headings), rows, lines)


def _columns(parts: Sequence[Sequence[str]], left: float) -> list[Column]:
    """The parts of a stack from left to right; parts: layer, part and, for a head, its number."""
    heads: dict[str, int] = {}
    for _, part, *head in parts:
        heads[part] = max(heads.get(part, 0), 1 + int(head[0]) if head else 0)

    def place(part: str) -> tuple[int, str]:
        return (ORDER.index(part) if part in ORDER else len(ORDER) + (part == "mlp")), part

    found = []
    for part in sorted(heads, key=place):
        found.append(Column(part, left, heads[part]))
        left = found[-1].right + GAP
    return found


def _part(
    layer: str,
    column: Column,
    rises: Mapping[str, dict],  # pyright: ignore[reportMissingTypeArgument]
    removed: Sequence[str],
    top: float,
    height: float,
) -> Iterator[Cell]:
    """A part of a layer: itself, and its heads below."""
    at = f"{layer}.{column.name}"
    gone = layer in removed or at in removed
    if at in rises:
        bottom = top + THIN if column.heads else top + height
        yield _cell(rises[at], (column.left, column.right), (top, bottom), gone)
    for number in range(column.heads):
        head = f"{at}.{number}"
        if head in rises:
            ends = top + height - THICK, top + height
            yield _cell(rises[head], column.head(number), ends, gone or head in removed)


def _cell(
    row: dict,  # pyright: ignore[reportMissingTypeArgument]
    x: tuple[float, float],
    y: tuple[float, float],
    gone: bool,
) -> Cell:
    mase, wql = float(row["MASE"]), float(row["WQL"])
    label = (
        f"{row['unit']}: {'cut' if gone else 'kept'}",
        f"without it alone: MASE {percent(mase)}, WQL {percent(wql)}",
    )
    known = isfinite(mase) and isfinite(wql)
    return Cell(x, y, max(mase, wql) if known else nan, label)


def _line(
    name: str, columns: Sequence[Column], tops: Mapping[int, float], height: float, right: float
) -> tuple[float, float, float] | None:
    """Where a line strikes out what was cut; None where it is not on the map."""
    fields = name.split(".")
    top = tops.get(int(fields[1]))
    if top is None:
        return None
    middle = top + height - THICK / 2
    if len(fields) == 2:
        return 0.0, right, middle
    column = next((one for one in columns if one.name == fields[2]), None)
    if column is None:
        return None
    left, end = column.head(int(fields[3])) if len(fields) == 4 else (column.left, column.right)
    return left, end, middle
