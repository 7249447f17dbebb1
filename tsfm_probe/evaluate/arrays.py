"""Forecasts of plain arrays by a Predictor."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tsfm_probe.evaluate.gluonts import Predictor

START = pd.Period("2000-01-01", "D")  # no model reads it


def quantiles(predictor: Predictor, units: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Forecasts [row, horizon, level] at models.reading.LEVELS of units of rows [row, time].

    The rows of a unit end at the same time, and are forecast jointly where the predictor does so.
    """
    entries = [{"target": unit, "start": START} for unit in units]
    return [one.forecast_array[1:].T for one in predictor.predict(entries)]  # not the mean
