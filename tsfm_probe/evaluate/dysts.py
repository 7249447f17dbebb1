"""Forecasts of chaotic systems: how good they are, and for how long.

The protocol of Zhang and Gilpin (2024), "Zero-shot forecasting of chaotic systems", arXiv
2409.15771, on the systems of Gilpin (2021), arXiv 2110.05266.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from tsfm_probe.behaviour.parrot import parrot
from tsfm_probe.errors import UsageError
from tsfm_probe.evaluate.arrays import quantiles
from tsfm_probe.evaluate.chaos import System, trajectory
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.metrics import smape, spearman
from tsfm_probe.models.reading import LEVELS

METRICS = ("sMAPE", "spearman", "valid_periods", "valid_lyapunov")
COLUMNS = MappingProxyType(
    {"system": str, "condition": int, "trial": str, "metric": str, "value": float}
)
BASELINE = "parrot"
BLOCK = 5
"""Initial conditions of a unit of work."""


@dataclass(frozen=True)
class Protocol:
    """What is forecast of every system.

    context: values that a model sees. horizon: steps to forecast. granularity: values in a period.
    conditions: initial conditions of each system. threshold: of the error up to which a forecast is
    valid. seed: of the initial conditions. UsageError if one is out of its range.
    """

    context: int = 512
    horizon: int = 512
    granularity: int = 30
    conditions: int = 20
    threshold: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"context": 2, "horizon": 2, "granularity": 2, "conditions": 1, "seed": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise UsageError(f"--{name} {getattr(self, name)}", allowed=f"{smallest} or more")
        if not 0 < self.threshold < float("inf"):
            raise UsageError(f"--threshold {self.threshold}", allowed="more than 0")

    @property
    def blocks(self) -> tuple[range, ...]:
        """The initial conditions in units of work of BLOCK at most."""
        starts = range(0, self.conditions, BLOCK)
        return tuple(range(one, min(one + BLOCK, self.conditions)) for one in starts)

    def words(self) -> dict[str, str]:
        """All of it but the number of initial conditions, as text: more of them may follow."""
        return {name: str(one) for name, one in asdict(self).items() if name != "conditions"}


@dataclass(frozen=True, eq=False)
class Episode:
    """One trajectory, cut into what is seen and what is to be forecast.

    contexts: [coordinate, time]; truth: [coordinate, horizon]. Coordinates that do not move are
    left out. condition: number of the initial condition.
    """

    condition: int
    contexts: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, system: System, condition: int, asked: Protocol) -> "Episode":
        """That of an initial condition, given by (seed, system, its number) alone."""
        length = asked.context + asked.horizon
        values = trajectory(system, condition, asked.seed, length, asked.granularity)
        moving = values[values.std(axis=1) > 1e-9 * np.abs(values).max(axis=1)]
        return cls(condition, *np.split(moving, [asked.context], axis=1))

    @property
    def spread(self) -> np.ndarray:
        """The standard deviation of every coordinate over the trajectory: [coordinate]."""
        return np.concatenate([self.contexts, self.truth], axis=1).std(axis=1)


def normalised_error(truth: np.ndarray, point: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Root mean over coordinates of the squared error in units of their spread: [horizon].

    truth, point: [coordinate, horizon]; spread: [coordinate]. The NRMSE of Vlachas et al. (2020).
    """
    return np.sqrt(np.mean(((point - truth) / spread[:, None]) ** 2, axis=0))


def valid_steps(error: np.ndarray, threshold: float) -> int:
    """How many steps of a forecast are valid: those before the error first exceeds the threshold.

    error: [horizon], see normalised_error; NaN exceeds. The valid prediction time of Vlachas et al.
    (2020, Neural Networks 126) with the threshold of Pathak et al. (2018, Chaos 28), 0.4. A
    forecast that never fails is valid for the whole horizon: the true number may be larger.
    """
    failed = np.flatnonzero(~(error <= threshold))
    return int(failed[0]) if len(failed) else len(error)


def measured(
    system: System, episode: Episode, point: np.ndarray, asked: Protocol
) -> dict[str, float]:
    """METRICS of one forecast [coordinate, horizon] of all coordinates.

    sMAPE (a fraction, 0 to 2) and the rank correlation with the truth are means over the
    coordinates; a constant forecast, which orders nothing, counts as uncorrelated. The valid
    prediction time is that of all coordinates together, in periods and in Lyapunov times: the steps
    times the largest exponent. NaN where that is unknown; all are where a forecast is not finite.
    """
    if not np.isfinite(point).all():
        return dict.fromkeys(METRICS, np.nan)
    pairs = list(zip(episode.truth, point, strict=True))
    ranks = [spearman(forecast, truth) for truth, forecast in pairs]
    error = normalised_error(episode.truth, point, episode.spread)
    periods = valid_steps(error, asked.threshold) / asked.granularity
    exponent = np.nan if system.exponent is None else system.exponent
    return {
        "sMAPE": float(np.mean([smape(truth, forecast) for truth, forecast in pairs])),
        "spearman": float(np.mean(np.nan_to_num(ranks))),
        "valid_periods": periods,
        "valid_lyapunov": periods * system.period * exponent,
    }


def forecasts(predictor: Predictor, episodes: Sequence[Episode]) -> list[np.ndarray]:
    """The medians of every episode, each coordinate on its own: [coordinate, horizon] each."""
    made = quantiles(predictor, [one.contexts for one in episodes])
    return [one[..., LEVELS.index(0.5)] for one in made]


def parroted(episodes: Sequence[Episode], horizon: int) -> list[np.ndarray]:
    """What a forecaster that only copies says of them (Zhang and Gilpin 2025, arXiv 2505.11349)."""
    return [np.stack([parrot(row, horizon) for row in one.contexts]) for one in episodes]


def rows(
    system: System,
    episodes: Sequence[Episode],
    points: Sequence[np.ndarray],
    asked: Protocol,
    trial: str,
) -> pd.DataFrame:
    """The rows (columns COLUMNS) of the forecasts of some episodes, one for each metric."""
    made = [
        (system.name, episode.condition, trial, *one)
        for episode, point in zip(episodes, points, strict=True)
        for one in measured(system, episode, point, asked).items()
    ]
    return pd.DataFrame(made, columns=pd.Index(COLUMNS))
