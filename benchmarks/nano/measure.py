"""A checkpoint's forecasts on real series against those of seasonal naive:
`python benchmarks/nano/measure.py FOLDER DATA --most 40` prints the geometric means.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tsfm_probe import load
from tsfm_probe.metrics import mase
from tsfm_probe.models.base import Model

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


def cases(frame: pd.DataFrame, horizon: int, windows: int, most: int) -> list[Case]:
    """The last windows of each item, at most `most` evenly spread over all of them."""
    items = [group.to_numpy(float) for _, group in frame.groupby("item_id", sort=False)["target"]]
    places = [(item, back) for item in items for back in range(windows, 0, -1)]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), most)).astype(int))
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


def losses(target: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Twice the quantile loss of each forecast [window, horizon, level], as its shape."""
    off = target[:, :, None] - forecast
    return 2 * np.abs(off * ((off <= 0) - LEVELS))


def wql(found: list[Case], forecast: np.ndarray) -> float:
    """Mean over levels of twice the quantile loss, summed, over the sum of absolute targets."""
    target = np.stack([case.target for case in found])
    return float(
        np.nansum(losses(target, forecast), axis=(0, 1)).mean() / np.nansum(np.abs(target))
    )


def forecasts(model: Model, found: list[Case], horizon: int, samples: int) -> np.ndarray:
    """The checkpoint's quantiles: [window, horizon, level]."""
    parts = []
    for first in range(0, len(found), 32):
        contexts = [case.history[-CONTEXT:] for case in found[first : first + 32]]
        parts.append(model.forecast(contexts, horizon, samples=samples).values)
    return np.concatenate(parts).astype(float)


def scores(model: Model, data: Path, most: int, samples: int = 0) -> Iterator[Score]:
    """One score for each set of the folder, of at most `most` windows.

    samples: paths per forecast where the family draws them, its default if 0.
    """
    for one in json.loads((data / "datasets.json").read_text())["datasets"]:
        horizon, season = one["prediction_length"]["short"], one["seasonality"]
        frame = pd.read_parquet(data / one["file"])
        found = cases(frame, horizon, one["windows"]["short"], most)
        own = forecasts(model, found, horizon, samples)
        own_mase, own_wql = mean_mase(found, own, season), wql(found, own)
        ratios = []
        for period in (season, one["natural_period"]):
            points = np.stack([seasonal_naive(c.history, period, horizon) for c in found])
            naive = np.repeat(points[:, :, None], len(LEVELS), axis=2)
            ratios += [own_mase / mean_mase(found, naive, season), own_wql / wql(found, naive)]
        yield Score(one["name"], len(found), own_mase, own_wql, *ratios)


def mean(values: list[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def main() -> None:
    """Print the ratios of a checkpoint, set by set and over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="checkpoint in the published format, or a name")
    parser.add_argument("data", type=Path)
    parser.add_argument("--most", type=int, default=MOST_WINDOWS, help="windows per set")
    parser.add_argument("--samples", type=int, default=0, help="paths, the family's default if 0")
    given = parser.parse_args()
    found = []
    for score in scores(load(given.folder), given.data, given.most, given.samples):
        found.append(score)
        print(f"{score.name}: MASE {score.mase:.3f}, WQL {score.wql:.3f}", flush=True)
    for name in ("mase", "wql", "natural_mase", "natural_wql"):
        print(f"{name}: {mean([getattr(one, name) for one in found]):.3f}")


if __name__ == "__main__":
    main()
