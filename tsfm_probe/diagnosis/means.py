"""Means over windows with their intervals, many at once."""

import numpy as np

from tsfm_probe.bootstrap import Sums, judged, summed

DRAWS = 2000
TOGETHER = 64  # rows whose draws are held in memory at once


def means(values: np.ndarray, series: np.ndarray, seed: int = 0, draws: int = DRAWS) -> np.ndarray:
    """Mean, ends of its 95 % interval, two-sided p of a mean of zero: [row, 4].

    values: [row, window], NaN where a window does not count. series: [window] numbers from 0;
    whole series are resampled, for all rows alike (see bootstrap.judged). The last three are NaN
    with fewer than two series, all with no window.
    """
    rows = [
        _means(values[first : first + TOGETHER], series, seed, draws)
        for first in range(0, len(values), TOGETHER)
    ]
    return np.concatenate(rows) if rows else np.empty((0, 4))


def _means(values: np.ndarray, series: np.ndarray, seed: int, draws: int) -> np.ndarray:
    sums = _summed(values, series)
    found = judged(sums, 0.0, seed, draws)
    p = np.minimum(1.0, 2 * found[:, 2:].min(axis=1))
    return np.column_stack([sums.log_ratio, found[:, :2], p])


def _summed(values: np.ndarray, series: np.ndarray) -> Sums:
    rows = np.repeat(np.arange(len(values)), values.shape[1])
    size = len(values), int(series.max(initial=-1)) + 1
    return summed(values.ravel(), rows, np.tile(series, len(values)), size)
