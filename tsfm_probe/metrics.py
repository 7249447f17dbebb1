"""The numbers that say how good one forecast is, and how far it is from the untouched one.

MASE, WQL, MAE and sMAPE equal gluonts.ev's (MASE, MeanWeightedSumQuantileLoss, MAE and SMAPE with
masked labels) on the single window; WQL differs only where gluonts divides by zero.
"""

from collections.abc import Sequence

import numpy as np

from tsfm_probe.data.series import Window
from tsfm_probe.errors import ModelError

METRICS = ("MASE", "WQL", "MAE", "sMAPE", "spearman", "nrmse")
WQL_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SAME_LEVEL = 1e-6  # levels that went through float32 are still the same


def measure(
    window: Window, forecast: np.ndarray, levels: Sequence[float], untouched: np.ndarray
) -> dict[str, float]:
    """All METRICS of one forecast of one window, in that order.

    forecast, untouched: [horizon, level] quantiles, by the edited and by the untouched model.
    levels: the quantile levels of the last axis; 0.1, 0.2, ... 0.9 must be among them.

    A metric that is not defined for the window is NaN, as each function says. ModelError if a
    forecast has another shape, lacks a level or is not finite: a broken forecast has no score,
    and NaN would let it drop silently out of every mean.
    """
    made = _sound(window, forecast, levels)
    base = _sound(window, untouched, levels)
    middle = _column(levels, 0.5)
    target = np.asarray(window.target, dtype=np.float64)
    point, base_point = made[:, middle], base[:, middle]
    return {
        "MASE": mase(target, point, window.history, window.season),
        "WQL": wql(target, made, levels),
        "MAE": mae(target, point),
        "sMAPE": smape(target, point),
        "spearman": spearman(point, base_point),
        "nrmse": nrmse(point, base_point),
    }


def mae(target: np.ndarray, point: np.ndarray) -> float:
    """Mean absolute error over the steps whose target is not missing; NaN if all are.

    target, point: [horizon].
    """
    return _mean(np.abs(target - point))


def mase(target: np.ndarray, point: np.ndarray, history: np.ndarray, season: int) -> float:
    """Mean absolute error in units of the history's seasonal error (Hyndman and Koehler 2006).

    target, point: [horizon]; history: [time] all values before the target. NaN if the target is
    missing, or if the seasonal error is zero (a constant history) or not defined.
    """
    scale = seasonal_error(history, season)
    return mae(target, point) / scale if scale > 0 else np.nan


def seasonal_error(history: np.ndarray, season: int) -> float:
    """Mean absolute difference of values one season apart, over the pairs without missing values.

    history: [time]. As in gluonts, a history shorter than the season is measured with season 1.
    NaN if there is no pair, as for a history of exactly one season.
    """
    values = np.asarray(history, dtype=np.float64)
    lag = season if season <= len(values) else 1
    return _mean(np.abs(values[lag:] - values[:-lag]))


def wql(target: np.ndarray, forecast: np.ndarray, levels: Sequence[float]) -> float:
    """Weighted quantile loss: 2 * sum of pinball losses / sum of |target|, mean over 0.1 to 0.9.

    target: [horizon]; forecast: [horizon, level]. Steps with a missing target are left out. NaN
    if all are missing or the target is all zero (where gluonts gives infinity).
    """
    wanted = np.array(WQL_LEVELS)
    quantiles = forecast[:, [_column(levels, level) for level in WQL_LEVELS]]
    known = ~np.isnan(target)
    weight = np.abs(target[known]).sum()
    if weight == 0:
        return np.nan
    error = target[known, None] - quantiles[known]
    pinball = np.maximum(wanted * error, (wanted - 1) * error)
    return float((2 * pinball.sum(axis=0) / weight).mean())


def smape(target: np.ndarray, point: np.ndarray) -> float:
    """Symmetric mean absolute percentage error, 2 |target - point| / (|target| + |point|).

    target, point: [horizon]. A fraction from 0 to 2. Steps with a missing target, or where
    target and point are both zero, are left out; NaN if none is left.
    """
    size = np.abs(target) + np.abs(point)
    known = size > 0
    return _mean(2 * np.abs(target - point)[known] / size[known])


def spearman(point: np.ndarray, untouched: np.ndarray) -> float:
    """Rank correlation over the horizon of a forecast with the untouched forecast.

    point, untouched: [horizon]. Ties have their mean rank. 1.0 if the two are equal, constant or
    not; NaN if they differ and one of them is constant (as with a horizon of 1).
    """
    if np.array_equal(point, untouched):
        return 1.0
    first, second = _ranks(point), _ranks(untouched)
    size = np.sqrt((first @ first) * (second @ second))
    return float(np.clip((first @ second) / size, -1.0, 1.0)) if size > 0 else np.nan


def nrmse(point: np.ndarray, untouched: np.ndarray) -> float:
    """Root mean squared difference to the untouched forecast over that one's mean absolute value.

    point, untouched: [horizon]. The divisor is that of gluonts' NRMSE, with the untouched
    forecast as label: unlike its standard deviation it does not vanish for a flat forecast.
    0.0 if the two are equal; NaN if they differ and the untouched forecast is all zero.
    """
    if np.array_equal(point, untouched):
        return 0.0
    size = np.abs(untouched).mean()
    return float(np.sqrt(np.square(point - untouched).mean()) / size) if size > 0 else np.nan


def _mean(values: np.ndarray) -> float:
    """Mean over what is not NaN; NaN if nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks around zero, ties with their mean rank: [horizon]."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks - (len(values) + 1) / 2


def _column(levels: Sequence[float], level: float) -> int:
    """The place of a level; ModelError if the forecast has it not."""
    for place, one in enumerate(levels):
        if abs(one - level) < SAME_LEVEL:
            return place
    raise ModelError(
        f"the forecast has no quantile level {level}",
        f"found {', '.join(map(str, levels))}",
        "0.1, 0.2, ... 0.9 must be among them",
    )


def _sound(window: Window, forecast: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """The forecast as [horizon, level] float64; ModelError if it is not that or not finite."""
    values = np.asarray(forecast, dtype=np.float64)
    wanted = (len(window.target), len(levels))
    where = f"the forecast of window {window.index} of series {window.series!r}"
    if values.shape != wanted:
        raise ModelError(where, f"has the shape {values.shape}", f"[horizon, level] is {wanted}")
    if not np.isfinite(values).all():
        step, column = np.argwhere(~np.isfinite(values))[0]
        raise ModelError(
            where,
            f"is {values[step, column]} at step {step}, level {levels[column]}",
            "every forecast value must be finite",
        )
    return values
