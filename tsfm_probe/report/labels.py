"""Labels along an axis, moved apart as little as they need to be."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The nearest places, least squares, that are `gap` apart and between low and high.

    places: rising. Where there is no room the gap is made smaller.
    """
    if not places:
        return []
    gap = min(gap, (high - low) / max(1, len(places) - 1))
    steps = gap * np.arange(len(places))
    free = isotonic_regression(np.asarray(places, dtype=float) - steps).x
    return (np.clip(free, low, max(low, high - steps[-1])) + steps).tolist()
