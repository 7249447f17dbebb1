"""All trials as the rows of the page's table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

FIELDS = ("ratio", "95 % interval", "q redundant", "q harmful", "verdict")
FIDELITY = {"spearman": "Spearman", "nrmse": "nRMSE"}
COUNTS = ("series", "windows", "excluded")


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by: a number, a text, or "" (always last)."""

    text: str
    order: str


@dataclass(frozen=True)
class Trials:
    """The table of all trials.

    groups: (name, number of columns) of the upper header row.
    columns: the lower header row, after "trial" and "kind".
    rows: (trial, kind, cells).
    """

    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


def trials(answer: pd.DataFrame, metrics: Sequence[str]) -> Trials:
    """One row for each trial of the answer, in its order."""
    fidelity = [metric for metric in FIDELITY if (answer["metric"] == metric).any()]
    groups = [(metric, len(FIELDS)) for metric in metrics]
    if fidelity:
        groups.append(("to the untouched forecast", len(fidelity)))
    groups.append((f"counts ({metrics[0]})", len(COUNTS)))
    columns = [field for _ in metrics for field in FIELDS]
    columns += [FIDELITY[metric] for metric in fidelity] + list(COUNTS)
    found: dict[tuple[str, str], dict[str, Mapping[Any, Any]]] = {}
    for record in answer.to_dict("records"):
        trial = found.setdefault((str(record["trial"]), str(record["kind"])), {})
        trial[str(record["metric"])] = record
    rows = [
        (trial, kind, tuple(_cells(records, metrics, fidelity)))
        for (trial, kind), records in found.items()
    ]
    return Trials(tuple(groups), tuple(columns), tuple(rows))


def _cells(
    records: Mapping[str, Mapping[Any, Any]], metrics: Sequence[str], fidelity: Sequence[str]
) -> list[Cell]:
    cells: list[Cell] = []
    for metric in metrics:
        cells += _metric_cells(records.get(metric, {}))
    cells += [_number(records.get(metric, {}).get("mean"), 3) for metric in fidelity]
    counted = records.get(metrics[0], {})
    return cells + [_number(counted.get(name), 0) for name in COUNTS]


def _metric_cells(record: Mapping[Any, Any]) -> list[Cell]:
    low, high = _number(record.get("low"), 3), _number(record.get("high"), 3)
    whole = low.order and high.order
    verdict = str(record.get("verdict", ""))
    return [
        _number(record.get("ratio"), 3),
        Cell(f"{low.text} to {high.text}", low.order) if whole else Cell("–", ""),
        _share(record.get("q_redundant")),
        _share(record.get("q_harmful")),
        Cell(verdict or "–", verdict),
    ]


def _number(value: object, digits: int) -> Cell:
    number = float(value) if isinstance(value, int | float) else math.nan
    if not math.isfinite(number):
        return Cell("–", "")
    return Cell(f"{number:.{digits}f}".replace("-", "−"), repr(number))


def _share(value: object) -> Cell:
    cell = _number(value, 3)
    small = cell.order and float(cell.order) < 0.0005
    return Cell("<0.001", cell.order) if small else cell
