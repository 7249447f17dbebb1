"""How much of a forecast turns in the season of its context."""

import numpy as np

from tsfm_probe.behaviour.period import dominant_period, filled, largest_peak, late

FLAT = 1e-9  # deviation of a forecast, in units of its size, below which it counts as constant


def season_of(context: np.ndarray, horizon: int) -> int | None:
    """The period in steps that a forecast of a context could take for its season.

    The dominant period; where there is none, of those that fit into the horizon the one with the
    largest peak in the context's spectrum, significant or not: the season that a forecaster would
    read into noise. None for a context that is constant or too short.
    """
    period = dominant_period(context)
    if period is not None:
        return period
    found = largest_peak(context, longest=horizon)
    return None if found is None else found.steps


def seasonal_naive(context: np.ndarray, horizon: int, period: int | None) -> np.ndarray:
    """The last `period` values again and again: [horizon]; the last value alone for None.

    context: [time], NaN where missing (interpolated; those at the end are forecast as well).
    A period longer than the context is that of the whole context.
    """
    last = filled(context)[-(period or 1) :]
    return np.resize(last, late(context) + horizon)[late(context) :]


def seasonal_power(forecast: np.ndarray, period: int | None) -> np.ndarray:
    """The share of a forecast's variance at its season: [...] from 0 to 1.

    forecast: [..., horizon]. period: steps of the season. The share is that of the frequencies
    round(horizon / period) and the next on either side, 0 excluded, which hold most of the energy
    even where the horizon is no whole number of periods. A constant forecast turns in no season: 0.
    NaN where a value is missing, and where no frequency stands for the season: for None, for a
    period of more than twice the horizon, and for one below two steps. The frequencies are three of
    horizon // 2, so that horizons below about 16 steps tell little.
    """
    values = np.asarray(forecast, dtype=np.float64)
    horizon = values.shape[-1]
    turns = 0 if period is None else int(np.floor(horizon / period + 0.5))
    if turns < 1 or turns > horizon / 2:
        return np.full(values.shape[:-1], np.nan)
    centred = values - values.mean(axis=-1, keepdims=True)
    energy = np.abs(np.fft.rfft(centred)) ** 2
    energy[..., 0] = 0
    if horizon % 2 == 0:
        energy[..., -1] /= 2  # the others stand for two frequencies of the same size
    whole, seasonal = energy.sum(axis=-1), energy[..., max(1, turns - 1) : turns + 2].sum(axis=-1)
    moves = centred.std(axis=-1) > FLAT * np.abs(values).max(axis=-1)
    share = np.divide(seasonal, whole, out=np.zeros(whole.shape), where=moves & (whole > 0))
    return np.where(np.isnan(whole), np.nan, share)


def seasonality_bias(forecast: np.ndarray, truth: np.ndarray, period: int | None) -> np.ndarray:
    """By how much a forecast's seasonal power exceeds that of the truth: [...] from -1 to 1.

    forecast, truth: [..., horizon]. NaN where the power of either is, and where the truth lacks a
    value. It speaks of a bias on contexts without a period, `season_of` giving one.
    """
    return seasonal_power(forecast, period) - seasonal_power(truth, period)
