"""The metrics: equal to those of gluonts, and defined where a division has no answer."""

import logging
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gluonts.time_feature import get_seasonality

from tsfm_probe.data.series import Series, Window
from tsfm_probe.data.windows import windows
from tsfm_probe.errors import ModelError
from tsfm_probe.metrics import METRICS, measure, nrmse, smape, spearman, wql

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # gluonts says that it has no faster JSON
    from gluonts.dataset.split import split
    from gluonts.ev.metrics import MAE, MASE, SMAPE, MeanWeightedSumQuantileLoss
    from gluonts.model.evaluation import evaluate_forecasts
    from gluonts.model.forecast import QuantileForecast

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
START: Any = pd.Timestamp("2020-01-06")


def window_of(history: np.ndarray, target: np.ndarray, steps: int = 1, freq: str = "D") -> Window:
    return Window("one", 0, history, len(history), target, steps, START, freq)


def quantiles(random: np.random.Generator, horizon: int, levels: int = 9) -> np.ndarray:
    return np.sort(random.normal(size=(horizon, levels)), axis=1) * 3 + random.normal()


def by_gluonts(series: Series, horizon: int, count: int, made: list[np.ndarray]) -> pd.DataFrame:
    """gluonts' own evaluation of the rolling windows, one row per window."""
    # The season is given below; the date plays no part in the metrics.
    entry = {"start": pd.Period(START, "D"), "target": series.values, "item_id": series.name}
    _, template = split([entry], offset=-horizon * count)
    data = template.generate_instances(horizon, windows=count, distance=horizon)
    forecasts = [
        QuantileForecast(
            forecast_arrays=values.T, forecast_keys=[str(level) for level in LEVELS],
            start_date=label["start"], item_id=series.name,
        )
        for values, label in zip(made, data.label, strict=True)
    ]  # fmt: skip
    return evaluate_forecasts(
        forecasts,
        test_data=data,
        metrics=[MASE(), MAE(), SMAPE(), MeanWeightedSumQuantileLoss(quantile_levels=LEVELS)],
        axis=1,
        seasonality=get_seasonality(series.freq),
    )


@pytest.mark.parametrize("whole", [False, True], ids=["", "with zeros"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize(
    ("freq", "length"),
    [("h", 200), ("h", 60), ("MS", 150), ("D", 90), ("W", 80), ("B", 90), ("30min", 300),
     ("min", 200)],
)  # fmt: skip
def test_metrics_equal_those_of_gluonts(
    freq: str, length: int, missing: float, whole: bool
) -> None:
    """Window for window, also where the history is as long as the season (h 60) or shorter."""
    random = np.random.default_rng(length)
    horizon, count = 12, 4
    values = random.normal(size=length).cumsum() + 5
    if whole:
        values = random.integers(0, 3, size=length).astype(float)
    values[random.random(length) < missing] = np.nan
    series = Series("one", values, START, freq)
    found, _ = windows([series], horizon, context=30, count=count)
    made = [quantiles(random, horizon) for _ in found]
    made = [forecast.round() for forecast in made] if whole else made
    theirs = by_gluonts(series, horizon, count, made)
    names = {
        "MASE": "MASE[0.5]", "MAE": "MAE[0.5]", "sMAPE": "sMAPE[0.5]",
        "WQL": "mean_weighted_sum_quantile_loss",
    }  # fmt: skip
    for number, (window, forecast) in enumerate(zip(found, made, strict=True)):
        ours = measure(window, forecast, LEVELS, forecast)
        for name, their_name in names.items():
            assert ours[name] == pytest.approx(
                theirs[their_name].iloc[number], rel=1e-9, nan_ok=True
            ), name


def test_the_seasonal_error_is_that_of_the_whole_history() -> None:
    history = np.concatenate([np.zeros(90), np.tile([0.0, 1.0], 5)])
    target = np.ones(4)
    forecast = np.zeros((4, 9))
    window = Window("one", 0, history, 10, target, 1, START, "D")
    # nine steps of size 1 among the 99, although what the model sees has nothing else
    assert measure(window, forecast, LEVELS, forecast)["MASE"] == pytest.approx(99 / 9)


def test_a_history_of_exactly_one_season_has_no_seasonal_error() -> None:
    window = window_of(np.arange(12.0), np.ones(3), steps=12)
    forecast = np.zeros((3, 9))
    assert math.isnan(measure(window, forecast, LEVELS, forecast)["MASE"])
    shorter = window_of(np.arange(11.0), np.ones(3), steps=12)
    assert measure(shorter, forecast, LEVELS, forecast)["MASE"] == 1.0


def test_the_levels_of_wql_are_chosen_by_value() -> None:
    random = np.random.default_rng(0)
    target, forecast = random.normal(size=7), quantiles(random, 7)
    wanted = wql(target, forecast, LEVELS)
    more = (0.01, *LEVELS, 0.95)
    padded = np.concatenate([forecast[:, :1] - 9, forecast, forecast[:, -1:] + 9], axis=1)
    assert wql(target, padded, more) == wanted
    assert wql(target, forecast, np.array(LEVELS, dtype=np.float32).tolist()) == wanted
    window = window_of(np.arange(9.0), target)
    assert measure(window, padded, more, padded)["WQL"] == wanted


def test_wql_of_a_point_forecast_is_its_relative_error() -> None:
    target = np.array([1.0, -2.0, np.nan, 5.0])
    point = np.array([2.0, 0.0, 9.0, 5.0])
    assert wql(target, np.repeat(point[:, None], 9, axis=1), LEVELS) == pytest.approx(3 / 8)


def test_an_untouched_forecast_is_as_near_as_can_be() -> None:
    random = np.random.default_rng(1)
    target = random.normal(size=12)
    forecast = quantiles(random, 12)
    found = measure(window_of(random.normal(size=50), target), forecast, LEVELS, forecast)
    assert tuple(found) == METRICS
    assert (found["spearman"], found["nrmse"]) == (1.0, 0.0)
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("seed", range(5))
def test_spearman_equals_that_of_scipy(seed: int) -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(seed)
    first, second = random.integers(0, 6, size=(2, 24)).astype(float)
    wanted: Any = spearmanr(first, second)
    assert spearman(first, second) == pytest.approx(wanted.statistic, abs=1e-12)
    assert spearman(first, -first) == -1.0
    assert spearman(first, np.exp(first)) == 1.0


def test_spearman_of_constants() -> None:
    flat, rising = np.full(5, 3.0), np.arange(5.0)
    assert spearman(flat, flat.copy()) == 1.0
    assert math.isnan(spearman(flat, flat + 1))
    assert math.isnan(spearman(flat, rising))
    assert math.isnan(spearman(rising, flat))
    assert math.isnan(spearman(np.array([1.0]), np.array([2.0])))


def test_nrmse_is_relative_to_the_untouched_forecast() -> None:
    untouched = np.array([2.0, -4.0, 6.0])
    assert nrmse(untouched + 2, untouched) == pytest.approx(0.5)
    assert nrmse(10 * untouched + 20, 10 * untouched) == pytest.approx(0.5)
    flat = np.full(3, 7.0)
    assert nrmse(flat + 7, flat) == pytest.approx(1.0)
    assert nrmse(np.zeros(3), np.zeros(3)) == 0.0
    assert math.isnan(nrmse(np.ones(3), np.zeros(3)))


def test_what_is_not_defined_is_missing() -> None:
    forecast = np.ones((4, 9))
    flat = measure(window_of(np.full(30, 2.0), np.arange(4.0)), forecast, LEVELS, forecast)
    assert math.isnan(flat["MASE"])
    assert flat["MAE"] == 1.0
    zero = measure(window_of(np.arange(30.0), np.zeros(4)), forecast, LEVELS, forecast)
    assert math.isnan(zero["WQL"])
    assert zero["sMAPE"] == 2.0
    gone = measure(window_of(np.arange(30.0), np.full(4, np.nan)), forecast, LEVELS, forecast)
    assert [name for name in METRICS if math.isnan(gone[name])] == ["MASE", "WQL", "MAE", "sMAPE"]
    assert smape(np.array([0.0, 1.0]), np.array([0.0, 3.0])) == 1.0
    assert math.isnan(smape(np.zeros(2), np.zeros(2)))


def test_float32_forecasts_are_measured_in_float64() -> None:
    random = np.random.default_rng(2)
    forecast, other = (quantiles(random, 6).astype(np.float32) for _ in range(2))
    window = window_of(random.normal(size=40), random.normal(size=6))
    single = measure(window, forecast, LEVELS, other)
    double = measure(window, forecast.astype(np.float64), LEVELS, other.astype(np.float64))
    assert single == double


def bad_forecast(kind: str) -> tuple[np.ndarray, tuple[float, ...]]:
    forecast = np.zeros((4, 9))
    if kind == "shape":
        return forecast.T, LEVELS
    if kind == "levels":
        return forecast[:, 1:], LEVELS[1:]
    if kind == "no median":
        return np.delete(forecast, 4, axis=1), (*LEVELS[:4], *LEVELS[5:])
    forecast[2, 3] = np.nan if kind == "nan" else -np.inf
    return forecast, LEVELS


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("shape", r"window 0 of series 'one'; has the shape \(9, 4\); \[horizon, level\] is \(4"),
        ("levels", "no quantile level 0.1; found 0.2, 0.3"),
        ("no median", "no quantile level 0.5"),
        ("nan", "window 0 of series 'one'; is nan at step 2, level 0.4"),
        ("infinite", "is -inf at step 2, level 0.4"),
    ],
)
@pytest.mark.parametrize("untouched", [True, False])
def test_a_broken_forecast_is_refused(kind: str, said: str, untouched: bool) -> None:
    bad, levels = bad_forecast(kind)
    good = np.zeros((4, len(levels)))
    pair = (good, bad) if untouched and kind not in ("levels", "no median") else (bad, good)
    with pytest.raises(ModelError, match=said):
        measure(window_of(np.arange(30.0), np.ones(4)), pair[0], levels, pair[1])


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("gluonts").setLevel(logging.ERROR)
