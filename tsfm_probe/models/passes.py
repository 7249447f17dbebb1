"""One pass of a forecast that is traced, and how its prediction is read."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.models.reading import LEVELS, Aimed, Reading


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass of a forecast that is traced.

    first: the first step of the horizon that it predicts. horizon: of the forecast.
    prediction: [row, time, ...] as `anatomy.output` gave it; a row is a series.
    reading: how it is read.
    """

    first: int
    horizon: int
    prediction: Tensor
    reading: Reading

    @property
    def steps(self) -> int:
        """How many steps of the horizon it predicts."""
        return min(self.reading.steps, self.horizon - self.first)

    def quantiles(self, prediction: Tensor) -> np.ndarray:
        """Quantiles at LEVELS of these steps in units of the series: [row, step, level]."""
        return self.reading.quantiles(prediction)[:, : self.steps].numpy()

    def median(self) -> np.ndarray:
        """The median of its own prediction: [row, step]."""
        return self.quantiles(self.prediction)[..., LEVELS.index(0.5)]

    def aim(self, target: str, truth: np.ndarray) -> Aimed:
        """See Reading.aim, of these steps; truth: [row, horizon], of the whole horizon."""
        steps = self.reading.steps
        known = np.full((len(truth), steps), np.nan)
        known[:, : self.steps] = truth[:, self.first : self.first + self.steps]
        aimed = self.reading.aim(self.prediction, target, torch.from_numpy(known))
        return lambda prediction: aimed(prediction)[:, : self.steps]
