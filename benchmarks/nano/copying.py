"""How far a checkpoint copies motifs: `python benchmarks/nano/copying.py FOLDER`.

On held-out motifs without structure, the error of the median forecast of the next steps is taken
where the context ends within the first period, and after one, two, three and four whole periods
(and a random part of the next). An untrained or smoothing network has the same error everywhere.
"""

import argparse
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tsfm_probe import load
from tsfm_probe.data.series import Forecast

PERIODS = (8, 12, 16, 24, 32, 48, 64)
UNALIGNED = (7, 13, 21, 30, 45)
# Whole periods that the context holds at least; 0 means less than one.
REPEATS = (0, 1, 2, 3, 4)
HORIZON = 16
SEED = 77_001
MOST = 480


class Forecaster(Protocol):
    """Whatever gives forecasts [series, horizon, level] with the median in the middle."""

    def forecast(
        self, contexts: list[np.ndarray], horizon: int, seed: int = 0, samples: int = 0
    ) -> Forecast:
        """The forecasts from these contexts."""
        ...


@dataclass(frozen=True)
class Cell:
    """Mean absolute error of one kind of motif, in units of the motif's spread."""

    kind: str
    period: int
    repeats: int
    error: float


def motifs(kind: str, period: int, count: int) -> np.ndarray:
    """Held-out motifs of mean 0 and variance 1: [series, period]."""
    rng = np.random.default_rng([SEED, period, kind == "walk"])
    white = rng.standard_normal((count, period))
    values = np.cumsum(white, axis=1) if kind == "walk" else white
    values = values - values.mean(1, keepdims=True)
    return values / values.std(1, keepdims=True)


def cell(model: Forecaster, kind: str, period: int, repeats: int, count: int) -> Cell:
    """The error of one period after so many repeats."""
    rng = np.random.default_rng([SEED, period, repeats])
    shapes = motifs(kind, period, count)
    extra = rng.integers(0, period, count) if repeats else np.full(count, max(2, 3 * period // 4))
    contexts, targets = [], []
    for shape, more in zip(shapes, extra, strict=True):
        series = np.resize(np.roll(shape, rng.integers(period)), 6 * period + HORIZON)
        end = min(repeats * period + int(more), MOST)
        contexts.append(series[:end])
        targets.append(series[end : end + HORIZON])
    found = model.forecast(contexts, HORIZON, samples=20).values
    return Cell(kind, period, repeats, float(np.abs(found[:, :, 4] - np.stack(targets)).mean()))


def measured(model: Forecaster, count: int) -> list[Cell]:
    """All cells, those whose contexts would be too long left out."""
    return [
        cell(model, kind, period, repeats, count)
        for kind in ("white", "walk")
        for period in (*PERIODS, *UNALIGNED)
        for repeats in REPEATS
        if (repeats + 1) * period <= MOST
    ]


def ratio(cells: list[Cell], periods: tuple[int, ...] = (), least: int = 2) -> float:
    """Error after at least `least` whole repeats over the error before the first: mean by mean."""
    chosen = [c for c in cells if not periods or c.period in periods]
    after = np.mean([c.error for c in chosen if c.repeats >= least])
    return float(after / np.mean([c.error for c in chosen if c.repeats == 0]))


def table(cells: list[Cell]) -> str:
    """The errors as Markdown, a line per kind and period, a column per number of repeats."""
    lines = [
        "| motif | period | within the first | "
        + " | ".join(f"{r} repeats" for r in REPEATS[1:])
        + " |",
        "|---" * (2 + len(REPEATS)) + "|",
    ]
    for kind, period in dict.fromkeys((c.kind, c.period) for c in cells):
        errors = {c.repeats: c.error for c in cells if (c.kind, c.period) == (kind, period)}
        row = [f"{errors[r]:.3f}" if r in errors else "" for r in REPEATS]
        lines.append(f"| {kind} | {period} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the checkpoint of a folder and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="checkpoint in the published format, or a name")
    parser.add_argument("--count", type=int, default=32, help="motifs per cell")
    given = parser.parse_args()
    cells = measured(load(given.folder), given.count)
    print(table(cells))
    for name, periods in (("all", ()), ("round", PERIODS), ("odd", UNALIGNED)):
        print(f"{name} periods, error after two repeats over before: {ratio(cells, periods):.3f}")


if __name__ == "__main__":
    main()
