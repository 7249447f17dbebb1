"""The period of a context, if it has one."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

CYCLES = 3  # fewer turns than this are no period
LEAST = 16  # values, below which nothing is said
AROUND = 16  # frequencies on either side that tell how high a peak stands out
FINE = 16  # places between two ordinates of the periodogram at which its peak is looked for
UNLIKE = 0.1  # by how much worse than the best multiple of a period a shorter one may fit


@dataclass(frozen=True)
class Period:
    """The period with the largest peak.

    steps: its length, a whole number of steps.
    p: how likely so large a peak is among all periods of a context without any.
    """

    steps: int
    p: float


def dominant_period(context: np.ndarray, level: float = 0.05) -> int | None:
    """The period of a context in steps, None if it has none.

    context: [time], NaN where missing. level: the share of contexts without a period that may be
    taken for periodic. See `largest_peak` for the rule.
    """
    found = largest_peak(context)
    return found.steps if found is not None and found.p <= level else None


def largest_peak(context: np.ndarray, longest: int | None = None) -> Period | None:
    """The period, of 2 to `longest` steps, whose peak stands out most in the spectrum.

    context: [time], NaN where missing. longest: by default, and at most, a third of the context.
    None for a constant context and for one too short to tell.

    After a linear trend is taken away, values are replaced by what the value before does not tell
    of them (a first-order autoregression: the red noise of Mann and Lees 1996), so that a random
    walk is flat. Each ordinate of the periodogram is then compared with the median of its
    neighbours instead of the mean of all, as Fisher's (1929) test would: a spectrum may slope.
    An ordinate of such noise exceeds c times the median of N others with the probability
    E[U^c], U being that order statistic of N uniform numbers; times the number of ordinates, it is
    the p of the largest (Bonferroni).
    """
    values = _detrended(filled(context))
    length = len(values)
    longest = length // CYCLES if longest is None else min(longest, length // CYCLES)
    if length < LEAST or longest < 2 or not values.any():
        return None
    fresh = _unforeseen(values)
    power = np.abs(np.fft.rfft(fresh)[1:]) ** 2
    chances = _log_chances(power)
    allowed = np.arange(1, len(power) + 1) >= len(fresh) / longest
    if not allowed.any():
        return None
    place = int(np.argmin(np.where(allowed, chances, np.inf)))
    p = min(1.0, float(np.exp(chances[place]) * allowed.sum()))
    return Period(_in_steps(fresh, place + 1, longest), p)


def filled(context: np.ndarray) -> np.ndarray:
    """The context as float64 with missing values interpolated: [time].

    Those before the first and after the last known value are left away (of the latter, `late` tells
    how many there are); empty if none is known.
    """
    values = np.asarray(context, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    if not known.size:
        return np.empty(0)
    inside = np.arange(known[0], known[-1] + 1)
    return np.interp(inside, known, values[known])


def late(context: np.ndarray) -> int:
    """How many values are missing at the end of a context."""
    known = np.flatnonzero(~np.isnan(np.asarray(context, dtype=np.float64)))
    return len(context) - 1 - int(known[-1]) if known.size else 0


def _detrended(values: np.ndarray) -> np.ndarray:
    """Values about their straight line, in units of their deviation: [time]; 0 where constant."""
    if len(values) < 2:
        return np.zeros(len(values))
    time = np.arange(len(values)) - (len(values) - 1) / 2
    centred = values - values.mean()
    rest = centred - time * (time @ centred) / (time @ time)
    size = rest.std()
    # What rounding leaves of a straight line is no signal.
    return rest / size if size > 1e-9 * np.abs(values).max() else np.zeros(len(values))


def _unforeseen(values: np.ndarray) -> np.ndarray:
    """What each value is beyond the share that the one before it tells: [time - 1]."""
    before, after = values[:-1], values[1:]
    share = max(0.0, before @ after / (before @ before))
    return after - share * before


def _log_chances(power: np.ndarray) -> np.ndarray:
    """Log of the chance that noise has such an ordinate, given its neighbours: [frequency]."""
    count = min(2 * AROUND, len(power) - 1)
    first = np.clip(np.arange(len(power)) - count // 2, 0, len(power) - 1 - count)
    places = first[:, None] + np.arange(count + 1)
    others = places[places != np.arange(len(power))[:, None]].reshape(len(power), count)
    rank = count // 2
    middle = np.partition(power[others], rank, axis=1)[:, rank]
    # What surrounds an exact line is rounding, none of which may stand out from the rest.
    times = power / np.maximum(middle, 1e-12 * power.max())
    return betaln(count - rank + times, rank + 1) - betaln(count - rank, rank + 1)


def _in_steps(fresh: np.ndarray, turns: int, longest: int) -> int:
    """The whole number of steps of the period whose peak has about so many turns in the context.

    The frequency is where the periodogram between its ordinates is largest. A sharp pattern may
    have its peak at a part of its period, so of the multiples the shortest is taken whose
    autocorrelation is, but for its noise, as good as the best.
    """
    length = len(fresh)
    near = np.arange((turns - 1) * FINE + 1, (turns + 1) * FINE)
    between = np.abs(np.fft.rfft(fresh, FINE * length))
    near = near[near < len(between)]
    base = FINE * length / near[np.argmax(between[near])]
    spectrum = np.abs(np.fft.rfft(fresh, 2 * length)) ** 2
    likeness = np.fft.irfft(spectrum)[:length] / (length - np.arange(length)) / fresh.var()
    first = min(longest, max(2, round(base)))
    best = [first]
    for multiple in range(2, int((longest - 1) // base) + 1):
        lags = round(multiple * base) + np.arange(-1, 2)
        best.append(int(lags[np.argmax(likeness[lags])]))
    top = max(likeness[lag] for lag in best)
    enough = top - max(UNLIKE * top, 3 / np.sqrt(length))
    return next(lag for lag in best if likeness[lag] >= enough)
