"""How much a forecast is like a parrot's, beside what else it may be like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tsfm_probe.behaviour.parrot import controls, motif_length, parrot
from tsfm_probe.behaviour.period import dominant_period
from tsfm_probe.behaviour.season import seasonal_naive
from tsfm_probe.bootstrap import Sums, judged


@dataclass(frozen=True)
class Likeness:
    """Distances of one forecast, each a root mean square over the deviation of the context.

    parrot, seasonal, truth: to the parrot's forecast, to the seasonal naive one, to what came.
    control: to what the parrot forecasts without a motif, mean over the draws.
    """

    parrot: float
    control: float
    seasonal: float
    truth: float

    @property
    def index(self) -> float:
        """The parroting index, from -1 to 1: 1 is the parrot, 0 no more like it than by chance.

        NaN where parrot and control are one, as on a constant context.
        """
        return float(_index(np.array(self.parrot), np.array(self.control)))


@dataclass(frozen=True, eq=False)
class References:
    """What the forecasts of one context are compared with, made once for all of them.

    parrot, seasonal, truth: [horizon]; controls: [draw, horizon]. unit: the context's deviation.
    """

    parrot: np.ndarray
    controls: np.ndarray
    seasonal: np.ndarray
    truth: np.ndarray
    unit: float

    @classmethod
    def of(
        cls,
        context: np.ndarray,
        truth: np.ndarray,
        draws: int = 8,
        seed: int = 0,
        motif: int | None = None,
    ) -> "References":
        """Forecast a context [time] by parrot, controls and seasonal naive.

        truth: [horizon], NaN where missing. The season is the dominant period, 1 where there is
        none. motif: see `parrot`.
        """
        motif = motif_length(context) if motif is None else motif
        horizon = len(truth)
        return cls(
            parrot(context, horizon, motif),
            controls(context, horizon, draws, seed, motif),
            seasonal_naive(context, horizon, dominant_period(context)),
            np.asarray(truth, dtype=np.float64),
            float(np.nanstd(context)),
        )

    def squares(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared distance by step to the parrot and, as a mean, to the controls: [horizon] each.

        point: [horizon].
        """
        unit = self.unit or np.nan
        to_parrot = ((point - self.parrot) / unit) ** 2
        return to_parrot, (((point - self.controls) / unit) ** 2).mean(axis=0)

    def likeness(self, point: np.ndarray) -> Likeness:
        """The distances of a point forecast [horizon]."""
        unit = self.unit or np.nan

        def distance(other: np.ndarray) -> np.ndarray:
            known = ~np.isnan(other)
            count = np.maximum(known.sum(axis=-1), 1)
            squares = np.where(known, ((point - other) / unit) ** 2, 0)
            return np.where(known.any(axis=-1), np.sqrt(squares.sum(axis=-1) / count), np.nan)

        return Likeness(
            float(distance(self.parrot)),
            float(distance(self.controls).mean()),
            float(distance(self.seasonal)),
            float(distance(self.truth)),
        )


@dataclass(frozen=True)
class Estimate:
    """A number of a set of contexts with the ends of its 95 % bootstrap interval over contexts."""

    value: float
    low: float
    high: float


def mean(values: Sequence[float] | np.ndarray, seed: int = 0, draws: int = 2000) -> Estimate:
    """The mean over contexts, NaN left out; without an interval (NaN) for fewer than two.

    values: [context]: parroting indices, seasonality biases, or their change by an edit.
    """
    given = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(given)
    sums = Sums(np.where(known, given, 0)[None], known[None].astype(int))
    low, high = judged(sums, 0, seed, draws)[0, :2]
    return Estimate(float(sums.log_ratio[0]), float(low), float(high))


def index_by_step(
    references: Sequence[References], points: np.ndarray, seed: int = 0, draws: int = 2000
) -> np.ndarray:
    """The parroting index of a set of forecasts at each step, and its interval: [step, 3].

    points: [context, step]. The distances at a step are root mean squares over the contexts, of
    which one alone may be nearest to anything. Columns: value, low, high; whole contexts are
    resampled.
    """
    pairs = [one.squares(point) for one, point in zip(references, points, strict=True)]
    to_parrot, to_control = np.nan_to_num(np.array(pairs)).transpose(1, 2, 0)
    # With the one in place of counts, a mean of the other is the ratio of their sums.
    sums = Sums(to_parrot, to_control)
    low, high = judged(sums, 0, seed, draws)[:, :2].T
    ratios = np.stack([sums.log_ratio, high, low], axis=1)
    return np.clip(1 - np.sqrt(np.maximum(ratios, 0)), -1, 1)


def _index(to_parrot: np.ndarray, to_control: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(1 - to_parrot / to_control, -1, 1)
