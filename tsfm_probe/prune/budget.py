"""How much may be cut: by how much worse, how small or how fast a model may become."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tsfm_probe.address import Address
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune.latency import latency

CURVE = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Budgets in percent that are shown beside the one that was asked for."""
LADDER = (*CURVE, 10.0, 20.0, 50.0, 100.0, math.inf)
"""Budgets that are allowed one after the other until a target is reached."""
USUAL = 1.0


@dataclass(frozen=True)
class Budget:
    """What was asked for.

    percent: by how much the errors may rise; None: USUAL, or whatever a target takes.
    size: share of the parameters that may be left; latency: share of the time of a forecast of one
    series; None where that is no target. curve: whether larger budgets are shown beside it; smaller
    ones are always searched, because their cut is made where that of the asked one does not hold.
    UsageError for what cannot be.
    """

    percent: float | None = None
    size: float | None = None
    latency: float | None = None
    curve: bool = True

    def __post_init__(self) -> None:
        if self.percent is not None and not 0 <= self.percent < math.inf:
            raise UsageError(f"--budget-pp {self.percent}", allowed="a number of 0 or more")
        for name, share in (("size", self.size), ("latency", self.latency)):
            if share is not None and not 0 < share < 1:
                raise UsageError(f"--target-{name} {share}", allowed="a share between 0 and 1")
        if self.size and self.latency:
            raise UsageError("--target-size and --target-latency", allowed="one of them")

    @property
    def target(self) -> bool:
        """Whether there is something to be reached besides the budget."""
        return bool(self.size or self.latency)

    @property
    def most(self) -> float:
        """The most that the errors may rise in the end, in percent."""
        if self.percent is None:
            return math.inf if self.target else USUAL
        return self.percent

    @property
    def steps(self) -> tuple[float, ...]:
        """The budgets that are searched under, rising."""
        if self.target:
            within = [one for one in LADDER if one <= self.most]
            return tuple(sorted({*within, self.most}))
        beside = CURVE if self.curve else [one for one in CURVE if one < self.most]
        return tuple(sorted({*beside, self.most}))

    def reached(
        self, model: Model, contexts: Sequence[np.ndarray], horizon: int, samples: int
    ) -> Callable[[tuple[Address, ...]], bool] | None:
        """Whether a model without some parts is small or fast enough; None without a target.

        Each set of parts is measured once: a time measured again would not be the same.
        """
        if not self.target:
            return None

        @cache
        def enough(at: tuple[Address, ...]) -> bool:
            smaller = cut(model, at)
            if self.size:
                return smaller.parameters <= self.size * model.parameters
            ratio = latency((model, smaller), contexts, horizon, samples).ratio
            return ratio <= (self.latency or 0.0)

        return enough

    def __str__(self) -> str:
        if self.size:
            aim = f"{100 * self.size:g} % of the parameters"
        elif self.latency:
            aim = f"{100 * self.latency:g} % of the time"
        else:
            return f"errors at most {self.most:g} % higher"
        return aim if math.isinf(self.most) else f"{aim}, errors at most {self.most:g} % higher"
