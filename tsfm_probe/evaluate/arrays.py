"""Forecasts of plain arrays by a Predictor, and how long they may be."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tsfm_probe.errors import UsageError
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.models.base import Model

START = pd.Period("2000-01-01", "D")  # no model reads it


def quantiles(predictor: Predictor, units: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Forecasts [row, horizon, level] at models.reading.LEVELS of units of rows [row, time].

    The rows of a unit end at the same time, and are forecast jointly where the predictor does so.
    """
    entries = [{"target": unit, "start": START} for unit in units]
    return [one.forecast_array[1:].T for one in predictor.predict(entries)]  # not the mean


def refuse_context(model: Model, context: int) -> None:
    """UsageError if a model reads fewer values than it is to see."""
    if not 0 <= context <= model.context_length:
        raise UsageError(
            f"--context {context}",
            allowed=f"{model.name} reads {model.context_length} values at most",
        )
