"""The seasonal naive forecast, with the intervals that the GIFT-Eval leaderboard gives it."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from gluonts.dataset.util import forecast_start
from gluonts.model.forecast import QuantileForecast
from gluonts.model.predictor import RepresentablePredictor
from gluonts.transform.feature import LastValueImputation
from scipy.stats import norm

from tsfm_probe.models.reading import LEVELS

KEYS = ["mean", *map(str, LEVELS)]
WIDTHS = np.concatenate([[0.0], norm.ppf(LEVELS)])


class SeasonalNaive(RepresentablePredictor):
    """What was one season ago, and normal intervals around it.

    The mean and the median are those of gluonts.model.seasonal_naive.SeasonalNaivePredictor. The
    standard deviation of step k is that of the errors of the same forecast within the history,
    times the root of the seasons that are gone by then (Hyndman and Athanasopoulos, Forecasting:
    Principles and Practice, section 5.5): what statsforecast's SeasonalNaive gives, by which
    GIFT-Eval scales its leaderboard.

    prediction_length: steps. season: steps of one season. intervals: without them all levels are
    the point forecast, as gluonts' predictor has it.
    """

    def __init__(self, prediction_length: int, season: int, intervals: bool = True) -> None:
        super().__init__(prediction_length=prediction_length)
        self.season = season
        self.intervals = intervals

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, dataset: Iterable[Any], num_samples: int | None = None
    ) -> Iterator[QuantileForecast]:
        """One forecast for each entry; num_samples is not used, because nothing is drawn."""
        return map(self.predict_item, dataset)

    def predict_item(self, item: Any) -> QuantileForecast:
        """The forecast of one entry with a [time] target, or a [dim, time] one: dim by dim."""
        target = np.asarray(item["target"], dtype=np.float32)
        made = np.stack([self._quantiles(row) for row in np.atleast_2d(target)], axis=-1)
        return QuantileForecast(
            made if target.ndim > 1 else made[..., 0],
            start_date=forecast_start(item),
            forecast_keys=list(KEYS),
            item_id=item.get("item_id"),
            info=item.get("info"),
        )

    def _quantiles(self, history: np.ndarray) -> np.ndarray:
        """[key, step] of one history [time], missing values filled with the last one before."""
        if np.isnan(history).any():
            history = LastValueImputation()(history.copy())
        steps = np.arange(self.prediction_length)
        if len(history) < self.season:
            point, spread = np.full(len(steps), np.nanmean(history)), np.zeros(len(steps))
        else:
            point = history[len(history) - self.season + steps % self.season]
            spread = self._spread(history) * np.sqrt(steps // self.season + 1)
        width = WIDTHS[:, None] * (1.0 if self.intervals else 0.0)
        return point.astype(np.float64) + width * spread

    def _spread(self, history: np.ndarray) -> float:
        """The root mean square of the errors within a history; 0 where there are none."""
        past = history.astype(np.float64)
        errors = past[self.season :] - past[: -self.season]
        return float(np.sqrt(np.mean(np.square(errors)))) if len(errors) else 0.0
