"""The search, step by step: what went, what was refused, and how much the errors rose together."""

from dataclasses import dataclass
from math import inf, isfinite

import pandas as pd

from tsfm_probe.report.effects import METRICS, percent
from tsfm_probe.report.labels import spread
from tsfm_probe.report.prune_curve import budget_name

LABELS = 0.07
"""The room of a label, as a share of the axis."""


@dataclass(frozen=True)
class Tried:
    """One trial: its number from 1, the larger rise of both errors in percent, its label."""

    number: int
    rise: float
    label: tuple[str, ...]


@dataclass(frozen=True)
class Budget:
    """The trials of one budget: first and last, the allowed rise, where its label stands."""

    name: str
    first: int
    last: int
    allowed: float
    place: float


@dataclass(frozen=True)
class Search:
    """What is drawn of a search.

    taken: what went. lines: by metric, the rise of everything that is out, at each of `taken`.
    refused: what did not. lowest, highest: ends of the axis; refusals beyond stand at the end.
    """

    trials: int
    taken: tuple[Tried, ...]
    lines: dict[str, tuple[float, ...]]
    refused: tuple[Tried, ...]
    budgets: tuple[Budget, ...]
    lowest: float
    highest: float

    def held(self, rise: float) -> float:
        """The rise, or the end of the axis; a rise that is not finite is at the end."""
        return min(rise, self.highest) if isfinite(rise) else self.highest

    @property
    def beyond(self) -> tuple[Tried, ...]:
        """What was refused beyond the axis."""
        return tuple(one for one in self.refused if self.held(one.rise) != one.rise)


def read(steps: pd.DataFrame) -> Search:
    """What is drawn of budget, unit, kind, taken, MASE, WQL (percent) and cut."""
    rows = steps.to_dict("records")
    tried = [(_tried(number, row), row) for number, row in enumerate(rows, start=1)]
    taken = [(one, row) for one, row in tried if row["taken"]]
    lines = {metric: tuple(float(row[metric]) for _, row in taken) for metric in METRICS}
    known = [0.0, *(value for line in lines.values() for value in line if isfinite(value))]
    room = 2 * (max(known) - min(known))
    known += [float(one) for one in steps["budget"].unique() if one <= room]
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    return Search(
        trials=len(rows),
        taken=tuple(one for one, _ in taken),
        lines=lines,
        refused=tuple(one for one, row in tried if not row["taken"]),
        budgets=_budgets(steps),
        lowest=low - 0.08 * span,
        highest=high + 0.4 * span,
    )


def _tried(number: int, row: dict) -> Tried:  # pyright: ignore[reportMissingTypeArgument]
    mase, wql = float(row["MASE"]), float(row["WQL"])
    larger = max(mase, wql) if isfinite(mase + wql) else inf
    what = "taken out" if row["taken"] else "refused"
    others = int(row["cut"]) - bool(row["taken"])
    label = (
        f"{row['unit']} ({row['kind']}): {what}",
        f"trial {number}, budget {budget_name(row['budget'])}, with the {others} taken out before",
        f"MASE {percent(mase)}, WQL {percent(wql)} together",
    )
    return Tried(number, larger, label)


def _budgets(steps: pd.DataFrame) -> tuple[Budget, ...]:
    numbers = pd.Series(range(1, len(steps) + 1), index=steps.index)
    spans = numbers.groupby(steps["budget"]).agg(["min", "max"])
    ends = [(float(one), int(low), int(high)) for one, (low, high) in zip(
        spans.index, spans.to_numpy(), strict=True
    )]  # fmt: skip
    middles = [(low + high) / 2 for _, low, high in ends]
    room = LABELS * len(steps)
    places = spread(middles, room, 0.5 + room / 2, len(steps) + 0.5 - room / 2)
    return tuple(
        Budget(budget_name(one), low, high, one, place)
        for (one, low, high), place in zip(ends, places, strict=True)
    )
