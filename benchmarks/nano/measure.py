"""A checkpoint's forecasts on real series against those of seasonal naive."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from chronos import BaseChronosPipeline

from tsfm_probe.metrics import mase

LEVELS = np.arange(1, 10) / 10
MIDDLE = 4
MOST_WINDOWS = 300
CONTEXT = 512


@dataclass(frozen=True, eq=False)
class Case:
    """One window: history [time] with NaN where missing, and target [horizon]."""

    history: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Score:
    """How a checkpoint does on one set, as ratios to seasonal naive (below 1 is better).

    mase, wql: against seasonal naive at the season of gluonts, as GIFT-Eval has it.
    natural_mase, natural_wql: against seasonal naive at the period a person would choose.
    """

    name: str
    windows: int
    own_mase: float
    own_wql: float
    mase: float
    wql: float
    natural_mase: float
    natural_wql: float


def cases(frame: pd.DataFrame, horizon: int, windows: int) -> list[Case]:
    """The last windows of each item, at most MOST_WINDOWS evenly spread over all of them."""
    items = [group.to_numpy(float) for _, group in frame.groupby("item_id", sort=False)["target"]]
    places = [(item, back) for item in items for back in range(windows, 0, -1)]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_WINDOWS)).astype(int))
    found = []
    for values, back in (places[index] for index in chosen):
        start = len(values) - back * horizon
        case = Case(values[:start], values[start : start + horizon])
        if np.isfinite(case.history).any() and np.isfinite(case.target).any():
            found.append(case)
    return found


def seasonal_naive(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The last observed value of the same place in the season: [horizon]."""
    filled = pd.Series(history).groupby(np.arange(len(history)) % season).ffill()
    filled = filled.ffill().bfill().to_numpy()
    return np.resize(filled[-season:], horizon)


def mean_mase(found: list[Case], forecast: np.ndarray, season: int) -> float:
    """Mean MASE of the median over the windows that have one.

    forecast: [window, horizon, level].
    """
    pairs = zip(found, forecast[:, :, MIDDLE], strict=True)
    return float(np.nanmean([mase(c.target, point, c.history, season) for c, point in pairs]))


def wql(found: list[Case], forecast: np.ndarray) -> float:
    """Mean over levels of twice the quantile loss, summed, over the sum of absolute targets."""
    target = np.stack([case.target for case in found])[:, :, None]
    loss = 2 * np.abs((target - forecast) * ((target <= forecast) - LEVELS))
    return float(np.nansum(loss, axis=(0, 1)).mean() / np.nansum(np.abs(target)))


def forecasts(pipeline: BaseChronosPipeline, found: list[Case], horizon: int) -> np.ndarray:
    """The checkpoint's quantiles: [window, horizon, level]."""
    parts = []
    for first in range(0, len(found), 32):
        contexts = [torch.tensor(c.history[-CONTEXT:]).float() for c in found[first : first + 32]]
        quantiles, _ = pipeline.predict_quantiles(
            contexts, prediction_length=horizon, quantile_levels=LEVELS.round(1).tolist()
        )
        parts.append(quantiles.numpy())
    return np.concatenate(parts).astype(float)


def scores(pipeline: BaseChronosPipeline, data: Path) -> Iterator[Score]:
    """One score for each set of the folder."""
    for one in json.loads((data / "datasets.json").read_text())["datasets"]:
        horizon, season = one["prediction_length"]["short"], one["seasonality"]
        frame = pd.read_parquet(data / one["file"])
        found = cases(frame, horizon, one["windows"]["short"])
        own = forecasts(pipeline, found, horizon)
        own_mase, own_wql = mean_mase(found, own, season), wql(found, own)
        ratios = []
        for period in (season, one["natural_period"]):
            points = np.stack([seasonal_naive(c.history, period, horizon) for c in found])
            naive = np.repeat(points[:, :, None], len(LEVELS), axis=2)
            ratios += [own_mase / mean_mase(found, naive, season), own_wql / wql(found, naive)]
        yield Score(one["name"], len(found), own_mase, own_wql, *ratios)
