"""The sums of single windows from which GluonTS' metrics of a whole data set are put together."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from gluonts.ev import stats
from gluonts.ev.ts_stats import seasonal_error
from gluonts.model.forecast import QuantileForecast

from tsfm_probe.models.reading import LEVELS

Stat = Callable[[dict[str, Any]], Any]
MEANS: dict[str, Stat] = {
    "squared_error[mean]": partial(stats.squared_error, forecast_type="mean"),
    "squared_error[0.5]": partial(stats.squared_error, forecast_type="0.5"),
    "absolute_error": partial(stats.absolute_error, forecast_type="0.5"),
    "scaled_error": partial(stats.absolute_scaled_error, forecast_type="0.5"),
    "percentage_error": partial(stats.absolute_percentage_error, forecast_type="0.5"),
    "symmetric_error": partial(stats.symmetric_absolute_percentage_error, forecast_type="0.5"),
    "interval_score": partial(stats.scaled_interval_score, alpha=0.05),
    "absolute_label": stats.absolute_label,
}
"""What is averaged over the steps at which it is defined: its sum and the number of steps."""
LOSSES: dict[str, Stat] = {
    f"quantile_loss[{level}]": partial(stats.quantile_loss, q=level) for level in LEVELS
}
"""What is only summed."""
KEYS = ("mean", *map(str, LEVELS))
TAILS = ("0.025", "0.975")
SUMS = (*MEANS, *(f"steps of {name}" for name in MEANS), *LOSSES)
"""The columns of `sums`."""
METRICS = (
    "MSE[mean]",
    "MSE[0.5]",
    "MAE[0.5]",
    "MASE[0.5]",
    "MAPE[0.5]",
    "sMAPE[0.5]",
    "MSIS",
    "RMSE[mean]",
    "NRMSE[mean]",
    "ND[0.5]",
    "mean_weighted_sum_quantile_loss",
)
"""The metrics of GIFT-Eval, as GluonTS names them and in the order of its all_results.csv."""


def sums(
    inputs: Sequence[Any],
    labels: Sequence[Any],
    forecasts: Sequence[QuantileForecast],
    seasonality: int,
) -> pd.DataFrame:
    """One row for each window with the columns SUMS.

    inputs, labels: GluonTS entries, all with targets of one number of dimensions. forecasts: of
    each, with KEYS at least, all with the same keys. A window whose forecast is not finite
    everywhere has NaN in all columns; a missing label is left out, as by evaluate_model with
    mask_invalid_label.
    """
    made = _stacked(forecasts)
    sound = [np.isfinite(one).all() for one in np.stack(list(made.values()), axis=1)]
    data: dict[str, Any] = made | {
        "label": np.ma.masked_invalid(np.stack([one["target"] for one in labels])),
        "seasonal_error": np.array([_seasonal_error(one["target"], seasonality) for one in inputs]),
    }
    axes = tuple(range(1, data["label"].ndim))
    found: dict[str, np.ndarray] = {}
    with np.errstate(all="ignore"):
        values = {name: of(data) for name, of in (MEANS | LOSSES).items()}
    for name in MEANS:
        found[f"steps of {name}"] = np.ma.count(values[name], axis=axes).astype(np.float64)
    for name, value in values.items():
        found[name] = np.ma.filled(np.ma.sum(value, axis=axes, dtype=np.float64), 0.0)
    frame = pd.DataFrame({name: found[name] for name in SUMS})
    frame.loc[~np.array(sound)] = np.nan
    return frame


def metrics(total: Mapping[str, float]) -> dict[str, float]:
    """METRICS of a whole data set from the totals of SUMS over its windows.

    Equal to gluonts.model.evaluate_model(axis=None, mask_invalid_label=True).
    """
    sum_of = {name: np.float64(total[name]) for name in SUMS}
    with np.errstate(all="ignore"):
        mean = {name: sum_of[name] / sum_of[f"steps of {name}"] for name in MEANS}
        root = np.sqrt(mean["squared_error[mean]"])
        found = (
            mean["squared_error[mean]"],
            mean["squared_error[0.5]"],
            mean["absolute_error"],
            mean["scaled_error"],
            mean["percentage_error"],
            mean["symmetric_error"],
            mean["interval_score"],
            root,
            root / mean["absolute_label"],
            sum_of["absolute_error"] / sum_of["absolute_label"],
            np.mean([sum_of[name] / sum_of["absolute_label"] for name in LOSSES]),
        )
    return {name: float(value) for name, value in zip(METRICS, found, strict=True)}


def _stacked(forecasts: Sequence[QuantileForecast]) -> dict[str, Any]:
    """By name, as GluonTS stacks forecasts: [window, time], or [window, dim, time]."""
    arrays = np.stack([one.forecast_array.swapaxes(1, -1) for one in forecasts], axis=1)
    keys = forecasts[0].forecast_keys
    made = {name: arrays[keys.index(name)] for name in KEYS}
    return made | {name: np.stack([one.quantile(name).T for one in forecasts]) for name in TAILS}


def _seasonal_error(history: np.ndarray, seasonality: int) -> np.ndarray:
    return seasonal_error(np.ma.masked_invalid(history), seasonality=seasonality, time_axis=-1)
