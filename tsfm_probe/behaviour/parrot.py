"""The parrot: it finds in the context what it saw last, and copies what came then.

After Zhang and Gilpin (2025), Context parroting, arXiv 2505.11349.
"""

from dataclasses import dataclass

import numpy as np

from tsfm_probe.behaviour.period import dominant_period, filled, late
from tsfm_probe.data.stimuli import shuffled
from tsfm_probe.errors import DataError, UsageError

MOTIF = 32
FLAT = 1e-6  # deviation of a window, in units of the context's, below which it counts as constant
EQUAL = 1e-9  # correlations that differ by rounding


@dataclass(frozen=True)
class Match:
    """Where a parrot reads on.

    start: place in the context (counted from its end, so below 0) of the first value it copies.
    scale, shift: what gives the matching window the mean and the deviation of the last one.
    """

    start: int
    scale: float
    shift: float


def parrot(context: np.ndarray, horizon: int, motif: int | None = None) -> np.ndarray:
    """What a forecaster forecasts that only copies: [horizon].

    context: [time], NaN where missing: gaps are interpolated, and values missing at the end are
    forecast as well. motif: how many values are to match, see `motif_length`. It copies with a
    fixed lag, so that past the end of the context it copies what it has copied.
    Raises what `match` does.
    """
    values = filled(context)
    found = match(values, motif_length(context) if motif is None else motif)
    follows = np.resize(values[found.start :], late(context) + horizon)
    return found.scale * follows[late(context) :] + found.shift


def motif_length(context: np.ndarray) -> int:
    """The values that a parrot matches by default: MOTIF, in whole periods of the context.

    That is 32 where there is no dominant period, and else the fewest periods with as many: a
    single short one is found by chance. At most half the context.
    """
    period = dominant_period(context) or MOTIF
    return max(1, min(period * -(-MOTIF // period), len(filled(context)) // 2))


def match(context: np.ndarray, motif: int) -> Match:
    """The window before the last `motif` values that is most like them, mean and scale aside.

    context: [time] without missing values. The likest is the nearest in Euclidean distance of
    z-scored values, which is the one of highest correlation; of equals, the latest. A constant
    window is like a constant one alone. UsageError for a motif below 1, DataError for a context
    without room for two.
    """
    if motif < 1:
        raise UsageError(f"a motif of {motif} values was asked for", allowed="1 or more")
    if len(context) < 2 * motif:
        raise DataError(
            f"a parrot that matches {motif} values was asked for",
            f"the context has {len(context)}",
            f"{2 * motif} or more are needed",
        )
    centre = context.mean()
    windows = np.lib.stride_tricks.sliding_window_view(context - centre, motif)
    windows, last = windows[: len(context) - 2 * motif + 1], windows[-1]
    means, sizes = windows.mean(axis=1), windows.std(axis=1)
    mean, size, least = last.mean(), last.std(), FLAT * context.std()
    if size <= least:
        alike = (sizes <= least).astype(float)
    else:
        products = windows @ (last - mean) / motif
        alike = np.divide(products, sizes * size, out=np.zeros(len(sizes)), where=sizes > least)
    place = int(np.flatnonzero(alike >= alike.max() - EQUAL)[-1])
    scale = float(size / sizes[place]) if sizes[place] > least else 1.0
    shift = float(centre + mean - scale * (centre + means[place]))
    return Match(place + motif - len(context), scale, shift)


def controls(
    context: np.ndarray, horizon: int, draws: int, seed: int, motif: int | None = None
) -> np.ndarray:
    """What the parrot forecasts where there is no motif: [draw, horizon].

    All but the last `motif` values are cut into windows of about half as many, whose order is
    drawn: the same values, and nothing among them that the last ones led to before. The last ones
    stay where they are, because a control that started from another level would make every forecast
    that starts from the right one look like a parrot's (on random walks, the last value itself by
    0.6). Draw k depends on (seed, k) and on the context alone.
    """
    values = filled(context)
    motif = motif_length(context) if motif is None else motif
    past, last = np.split(values, [max(0, len(values) - motif)])
    gap = np.full(late(context), np.nan)
    made = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        mixed = np.concatenate([shuffled(rng, past, max(1, motif // 2)), last, gap])
        made.append(parrot(mixed, horizon, motif))
    return np.array(made)
