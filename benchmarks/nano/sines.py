"""How far a checkpoint keeps a smooth season: `python benchmarks/nano/sines.py FOLDER`.

Series of two waves of period 24, ten periods long, at several heights above their spread: exact,
with noise, growing, and on a level that wanders. Beside the mean absolute error of the median
forecast of one more period stands that of seasonal naive.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from measure import MIDDLE

from tsfm_probe import load

PERIOD, PERIODS, SEED = 24, 10, 77_003
HEIGHTS = (0.0, 1.0, 3.0, 10.0)


def season(rng: np.random.Generator, count: int) -> np.ndarray:
    """A wave of variance 1 and a small one of half its period at random phases: [series, time]."""
    turns = 2 * np.pi * np.arange((PERIODS + 1) * PERIOD) / PERIOD
    first, second = rng.uniform(0, 2 * np.pi, (2, count, 1))
    return np.sqrt(2) * np.sin(turns + first) + 0.3 * np.sin(2 * turns + second)


def cases(count: int) -> Iterator[tuple[str, float, np.ndarray]]:
    """What is done to the season, its height, and the series: [series, time]."""
    for height in HEIGHTS:
        rng = np.random.default_rng(SEED)
        plain = season(rng, count)
        white = rng.standard_normal(plain.shape)
        growth = 1.05 ** (np.arange(plain.shape[1]) / PERIOD)
        yield "exact", height, plain + height
        yield "noise of 0.1", height, plain + 0.1 * white + height
        yield "5 % more each period", height, plain * growth + height
        yield "a level that wanders", height, plain + 0.03 * np.cumsum(white, axis=1) + height


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="checkpoint in the published format, or a name")
    parser.add_argument("--count", type=int, default=24, help="series of each kind")
    parser.add_argument("--samples", type=int, default=0, help="paths, the family's default if 0")
    given = parser.parse_args()
    model = load(given.folder)
    print("| season | height | error | of seasonal naive |\n|---|---|---|---|")
    for name, height, series in cases(given.count):
        seen, target = series[:, :-PERIOD], series[:, -PERIOD:]
        values = model.forecast(list(seen), PERIOD, samples=given.samples).values[:, :, MIDDLE]
        error, naive = (np.abs(one - target).mean() for one in (values, seen[:, -PERIOD:]))
        print(f"| {name} | {height:g} | {error:.3f} | {naive:.3f} |", flush=True)


if __name__ == "__main__":
    main()
