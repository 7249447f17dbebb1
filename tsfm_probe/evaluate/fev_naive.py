"""The seasonal naive forecast with normal quantiles, the baseline of fev's leaderboards."""

from collections.abc import Sequence
from types import MappingProxyType

import fev
import numpy as np
from gluonts.time_feature import get_seasonality
from scipy.stats import norm

from tsfm_probe.data.frequency import frequency
from tsfm_probe.evaluate.fev import Rows

BASELINE = "seasonal_naive"  # the name by which fev's leaderboards know it
LONGEST = 1000  # values that are looked at, and longest season
# Steps in a season by spacing as that baseline has them, which are not those of gluonts.
SEASONS = MappingProxyType(
    {"min": 1440, "h": 24, "bh": 9, "D": 7, "B": 5, "W": 1, "SME": 24, "ME": 12, "QE": 4}
)


class SeasonalNaive(Rows):
    """The baseline of fev's leaderboards, of which there are two.

    normal: that of fev-bench. A season is the task's, or a longer one of its spacing, and errors
    are normal; equal to the package statsforecast, by which the published results were made, to
    1e-14. Otherwise that of Chronos benchmark II: a season is the task's, and every quantile is the
    point forecast; equal to its published results on the data that were at hand, to six digits.
    """

    model_name = BASELINE

    def __init__(self, normal: bool = True) -> None:
        super().__init__()
        self.normal = normal

    def quantiles(self, task: fev.Task, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """Quantiles at the task's levels, and the median last: [row, horizon, level]."""
        season, levels = task.seasonality, [*task.quantile_levels, 0.5]
        if self.normal:
            task.load_full_dataset(num_proc=1)
            season = max(season, get_seasonality(frequency(task.freq), dict(SEASONS)))
        else:
            levels = [0.5] * len(levels)
        return np.stack([seasonal_naive(one, task.horizon, season, levels) for one in contexts])


def seasonal_naive(
    context: np.ndarray, horizon: int, season: int, levels: Sequence[float]
) -> np.ndarray:
    """Quantiles of what was one season ago, and is again: [horizon, level].

    context: [time], NaN where missing: the value before is taken, and zero where there is none. The
    deviation is that of the seasonal differences, and grows with the root of the number of seasons
    ahead (Hyndman and Athanasopoulos 2021, section 5.5). As in fev's own baseline, the last 1,000
    values count, a longer season counts as 1, and what a context lacks of one season is zero.
    """
    values = _filled(np.asarray(context, dtype=np.float64))[-LONGEST:]
    season = season if season <= LONGEST else 1
    lacking = np.zeros(max(0, season - len(values)))
    point = np.resize(np.concatenate([lacking, values])[-season:], horizon)
    differences = values[season:] - values[:-season]
    deviation = np.sqrt(np.mean(differences**2)) if len(differences) else 0.0
    growth = np.sqrt(1 + np.arange(horizon) // season)
    return point[:, None] + deviation * growth[:, None] * norm.ppf(levels)


def _filled(values: np.ndarray) -> np.ndarray:
    """Each missing value is the last one before it, or zero: [time]."""
    there = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(there, np.arange(len(values)), -1))
    return np.where(last >= 0, values[last], 0.0)
