"""The number of a forecast that effects are told on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tsfm_probe.attribution.walk import Glimpse
from tsfm_probe.errors import UsageError
from tsfm_probe.models.reading import Aimed


@dataclass(frozen=True)
class Target:
    """What is aimed at in every pass.

    name: see Reading.aim; "auto" is the usual one of the family.
    step: the only step of the horizon, from 0; None: all.
    """

    name: str = "auto"
    step: int | None = None

    def named(self, glimpse: Glimpse) -> str:
        """Its name in this family."""
        return glimpse.made.reading.targets[0] if self.name == "auto" else self.name

    def aimed(self, glimpse: Glimpse) -> Aimed:
        """From a prediction of this pass to its numbers [row, step], NaN where not aimed at.

        UsageError for a target that the family has not, or a step beyond the horizon.
        """
        if self.step is not None and not 0 <= self.step < glimpse.made.horizon:
            last = glimpse.made.horizon - 1
            raise UsageError(f"step {self.step} was asked for", allowed=f"allowed is 0 to {last}")
        inner = glimpse.made.aim(self.named(glimpse), glimpse.cases.truth)
        steps = torch.arange(glimpse.made.steps) + glimpse.made.first
        if self.step is None:
            return inner
        others = steps != self.step

        def aimed(prediction: Tensor) -> Tensor:
            found = inner(prediction)
            return found.masked_fill(others.to(found.device), torch.nan)

        return aimed
