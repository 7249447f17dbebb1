"""Resampling of series: how sure a ratio of geometric means over windows is.

Windows of one series are not independent, so whole series are drawn (Efron and Tibshirani 1993, An
Introduction to the Bootstrap, chapters 8 and 13), and all trials share the same resamples.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, norm, t

CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class Sums:
    """The log ratios of one metric, summed over the windows of each series.

    total, count: [trial, series] sum of the log ratios, and number of windows in it.
    """

    total: np.ndarray
    count: np.ndarray

    @property
    def series(self) -> np.ndarray:
        """How many series have a window that counts: [trial]."""
        return (self.count > 0).sum(axis=1)

    @property
    def windows(self) -> np.ndarray:
        """How many windows count: [trial]."""
        return self.count.sum(axis=1)

    @property
    def log_ratio(self) -> np.ndarray:
        """Log of the ratio of geometric means: [trial], NaN without windows."""
        return over(self.total.sum(axis=1), self.windows)


def log_ratios(value: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Log of value over base: [row]; 0 where both are zero, NaN where there is none."""
    usable = np.isfinite(value) & np.isfinite(base) & (value > 0) & (base > 0)
    found = np.where((value == 0) & (base == 0), 0.0, np.nan)
    found[usable] = np.log(value[usable]) - np.log(base[usable])
    return found


def summed(logs: np.ndarray, trial: np.ndarray, series: np.ndarray, size: tuple[int, int]) -> Sums:
    """Sum log ratios by trial and series.

    logs: [row], NaN where a window does not count. trial, series: [row] numbers from 0.
    size: how many trials and series there are.
    """
    used = ~np.isnan(logs)
    cell = (trial * size[1] + series)[used]
    total = np.bincount(cell, weights=logs[used], minlength=size[0] * size[1])
    count = np.bincount(cell, minlength=size[0] * size[1])
    return Sums(total.reshape(size), count.reshape(size))


def over(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums over counts, NaN where nothing was counted."""
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def resampled(sums: Sums, seed: int, draws: int) -> np.ndarray:
    """Log ratios under resampling of series: [draw, trial], NaN where no window was drawn.

    A draw says how often every series counts (multinomial counts), so that one matrix product
    gives all trials; it is done in blocks of draws to need little memory.
    """
    series = sums.total.shape[1]
    patterns, pattern = np.unique(sums.count, axis=0, return_inverse=True)
    found = np.empty((draws, len(sums.total)))
    numbers = np.random.default_rng(seed)
    block = max(1, CELLS // series)
    for first in range(0, draws, block):
        size = min(block, draws - first)
        picked = numbers.integers(0, series, (size, series)) + series * np.arange(size)[:, None]
        times = np.bincount(picked.ravel(), minlength=size * series).reshape(size, series) * 1.0
        counts = times @ patterns.T.astype(float)
        found[first : first + size] = over(times @ sums.total.T, counts[:, pattern.reshape(-1)])
    return found


def judged(sums: Sums, bound: float, seed: int, draws: int) -> np.ndarray:
    """Low and high end of the 95 % interval of the log ratio and two p values: [trial, 4].

    The p values are one-sided: for a log ratio of at least `bound`, and of at most `bound`; with
    k of B draws there, p is (1 + k) / (1 + B). All four are NaN with fewer than two series.
    Plain percentile intervals are too narrow for few series (2,000 simulated ones held the truth in
    82 % of cases with 5 series, 90 % with 10, 93 % with 20), so the draws are stretched about the
    estimate as far as a t interval is wider than a normal one without the small-sample
    correction (as the expanded percentile interval of Hesterberg, arXiv 1411.5279); the same 2,000
    then held it in 94 %, 94 % and 95 %.
    """
    found = np.full((len(sums.total), 4), np.nan)
    drawn = resampled(sums, seed, draws)
    for trial in np.flatnonzero(sums.series >= 2):
        kept = drawn[~np.isnan(drawn[:, trial]), trial]
        centre = sums.log_ratio[trial]
        kept = centre + stretch(int(sums.series[trial])) * (kept - centre)
        found[trial, :2] = np.quantile(kept, (0.025, 0.975))
        found[trial, 2] = (1 + (kept >= bound).sum()) / (1 + len(kept))
        found[trial, 3] = (1 + (kept <= bound).sum()) / (1 + len(kept))
    return found


def stretch(series: int) -> float:
    """How much wider than its bootstrap draws an interval from so many series has to be."""
    return math.sqrt(series / (series - 1)) * float(t.ppf(0.975, series - 1) / norm.ppf(0.975))


def adjusted(p: np.ndarray) -> np.ndarray:
    """P values adjusted for their number by Benjamini and Hochberg (1995); NaN stays NaN."""
    found = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        found[known] = false_discovery_control(p[known], method="bh")
    return found
