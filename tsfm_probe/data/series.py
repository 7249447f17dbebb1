"""One time series, one evaluation window of it, and one forecast of a batch of windows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Series:
    """A named, regularly spaced, univariate series.

    values: [time] float array, NaN where a value is missing, never infinite.
    start: time stamp of the first value.
    freq: pandas alias of the spacing, for example "h", "D", "MS".
    """

    name: str
    values: np.ndarray
    start: pd.Timestamp
    freq: str


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of one series to be forecast from what lies before it.

    series: name of the series.
    index: number of the window in its series, 0 for the earliest.
    history: [time] all values before the target (a view of the series, not a copy).
    context: how many of the last values of the history a model may see.
    target: [horizon] the values to forecast, NaN where missing.
    season: steps of one season, as gluonts.time_feature.get_seasonality gives for freq.
    start: time stamp of the first target value.
    freq: pandas alias of the spacing.
    """

    series: str
    index: int
    history: np.ndarray
    context: int
    target: np.ndarray
    season: int
    start: pd.Timestamp
    freq: str

    @property
    def seen(self) -> np.ndarray:
        """The last `context` values of the history: [time] what a model is given."""
        return self.history[-self.context :]


@dataclass(frozen=True, eq=False)
class Forecast:
    """Quantile forecasts of a batch of series.

    values: [series, horizon, level] float64.
    levels: the quantile levels of the last axis, rising; 0.5 is always one of them.
    """

    values: np.ndarray
    levels: tuple[float, ...]

    @property
    def median(self) -> np.ndarray:
        """The point forecast: [series, horizon]."""
        return self.values[..., self.levels.index(0.5)]
