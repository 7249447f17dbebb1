"""What every budget saves and what it costs, as points with their intervals."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isinf, isnan

import pandas as pd

from tsfm_probe.report.effects import METRICS, between, percent
from tsfm_probe.report.labels import spread

SAVED = {"latency": "Time of one forecast left, %", "parameters": "Parameters left, %"}
LABELS = 0.13
"""The room of a label, as a share of the axis."""
LEAST = 8.0
"""The shortest axis of what is left, in percentage points."""
COLUMNS = (
    "budget", "layers / parts / heads cut", "parameters left", "time left",
    "MASE, unseen", "WQL, unseen",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """The cut of one budget.

    name: the budget. x, x_span: what is left, percent. y, y_span: change of the error on unseen
    windows, percent, with its interval. searched: the same where the cut was searched. made:
    whether it is the one that was made.
    """

    name: str
    x: float
    x_span: tuple[float, float]
    y: float
    y_span: tuple[float, float]
    searched: float
    made: bool
    label: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """Points with what is left across and one error upwards; all ends in the units of the axes.

    places: where the labels stand, a place for each point. top: how high.
    """

    points: tuple[Point, ...]
    across: str
    up: str
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]
    places: tuple[float, ...]
    top: float


def budget_name(budget: float) -> str:
    """A budget as text."""
    return "any" if isinf(budget) else f"{budget:.2g}\u00a0%"


def same_cut(curve: pd.DataFrame, removed: Sequence[str]) -> list[bool]:
    """Whether each budget's cut is the one that was made.

    The cuts of rising budgets contain each other, so that equal numbers mean the same cut.
    """
    fields = Counter(len(one.split(".")) for one in removed)
    ours = [fields[2], fields[3], fields[4]]
    return [list(row) == ours for row in curve[["layers", "parts", "heads"]].to_numpy(int)]


def rows(curve: pd.DataFrame, removed: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The points as a table of COLUMNS."""
    found = []
    for row, made in zip(curve.to_dict("records"), same_cut(curve, removed), strict=True):
        counts = " / ".join(str(int(row[one])) for one in ("layers", "parts", "heads"))
        found.append(
            (
                budget_name(row["budget"]) + " (made)" * made,
                counts,
                share(100 * row["parameters"]),
                f"{share(100 * row['latency'])}{_ends(row)}",
                *(_error(row, f"confirmed_{one}") for one in METRICS),
            )
        )
    return tuple(found)


def share(value: float) -> str:
    """A percentage that is left, as text."""
    return f"{value:.1f}\u00a0%"


def _ends(row: dict) -> str:  # pyright: ignore[reportMissingTypeArgument]
    low, high = row["latency_low"], row["latency_high"]
    return "" if isnan(low) else f" ({100 * low:.0f} to {100 * high:.0f})"


def _error(row: dict, name: str) -> str:  # pyright: ignore[reportMissingTypeArgument]
    value, low, high = (100 * (row[name + end] - 1) for end in ("", "_low", "_high"))
    return percent(value) if isnan(low) else f"{percent(value)} ({between(low, high)})"


def panel(curve: pd.DataFrame, removed: Sequence[str], metric: str, saved: str) -> Panel:
    """The points of one metric; saved: one of SAVED."""
    pairs = zip(curve.to_dict("records"), same_cut(curve, removed), strict=True)
    falling = [_point(row, metric, saved, made) for row, made in pairs][::-1]
    points = sorted(falling, key=lambda one: one.x)  # of equals the larger budget stays first
    low, high = _holding([end for one in points for end in one.x_span], 0.06)
    more = max(0.0, LEAST - (high - low)) / 2
    low, high = low - more, high + more
    heights = [end for one in points for end in (*one.y_span, one.searched)]
    bottom, top = _holding([0.0, *filter(isfinite, heights)], 0.05)
    width, height = high - low, top - bottom
    places = spread([p.x for p in points], LABELS * width, low + 0.05 * width, high - 0.05 * width)
    ends = (bottom, top + 0.22 * height)
    up = f"{metric} change, %"
    return Panel(
        tuple(points), SAVED[saved], up, (low, high), ends, tuple(places), top + 0.12 * height
    )


def _point(row: dict, metric: str, saved: str, made: bool) -> Point:  # pyright: ignore[reportMissingTypeArgument]
    x = 100 * row[saved]
    ends = [100 * row.get(f"{saved}_{end}", float("nan")) for end in ("low", "high")]
    y, low, high = (100 * (row[f"confirmed_{metric}{end}"] - 1) for end in ("", "_low", "_high"))
    label = (
        f"budget {budget_name(row['budget'])}" + ", the cut that was made" * made,
        f"cut, layers/parts/heads: {row['layers']:.0f}/{row['parts']:.0f}/{row['heads']:.0f}",
        f"time left {share(100 * row['latency'])}{_ends(row)}",
        f"parameters left {share(100 * row['parameters'])}",
        *(f"{one}, unseen {_error(row, f'confirmed_{one}')}" for one in METRICS),
        *(f"{one}, searched {_error(row, f'searched_{one}')}" for one in METRICS),
    )
    return Point(
        budget_name(row["budget"]),
        x,
        (x, x) if isnan(ends[0]) else (ends[0], ends[1]),
        y,
        (y, y) if isnan(low) else (low, high),
        100 * (row[f"searched_{metric}"] - 1),
        made,
        label,
    )


def _holding(values: Sequence[float], pad: float) -> tuple[float, float]:
    """Ends of an axis that holds the values."""
    low, high = min(values), max(values)
    room = pad * ((high - low) or 1.0)
    return low - room, high + room
