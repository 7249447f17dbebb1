"""How the prediction of one pass is read: as quantiles, or as one number for each step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from tsfm_probe.data.series import Forecast
from tsfm_probe.errors import UsageError

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DRAWS = 255
GOLDEN = 0.6180339887498949

Aimed = Callable[[Tensor], Tensor]
"""From a prediction [row, time, ...] to the number that is aimed at, for each step: [row, step]."""


def level_of(target: str) -> float | None:
    """The quantile level that a target names: 0.5 for "median", its own for "0.9"."""
    if target == "median":
        return 0.5
    try:
        level = float(target)
    except ValueError:
        return None
    return level if 0 < level < 1 else None


class Reading(ABC):
    """What a prediction [row, time, ...] of one pass says of the next steps of each row.

    steps: how many it reaches. tokens: how many of the last tokens alone say so; 0: all.
    """

    targets: ClassVar[tuple[str, ...]]
    """What can be aimed at; the first is usual. "level" stands for any, such as "0.9"."""
    unit: ClassVar[str]
    """What the number that is aimed at is."""
    steps: int
    tokens: int = 0

    @abstractmethod
    def quantiles(self, prediction: Tensor) -> Tensor:
        """Quantiles at LEVELS in units of the series: [row, step, level], fp64 on the CPU."""

    @abstractmethod
    def _aim(self, prediction: Tensor, target: str, truth: Tensor) -> Aimed:
        """As `aim`, for a target that is known to be allowed."""

    def aim(self, prediction: Tensor, target: str, truth: Tensor) -> Aimed:
        """The map from a prediction to one number for each step, [row, step], NaN where undefined.

        prediction: the full one, by which it is chosen what is looked at; then it is kept.
        target: of `targets`, or a level. truth: [row, step] in units of the series, NaN where
        missing. UsageError for another target.
        """
        self.check(target)
        return self._aim(prediction, target, truth)

    @classmethod
    def check(cls, target: str) -> None:
        """UsageError for a target that is not allowed."""
        named = "level" if target != "median" and level_of(target) is not None else target
        if named not in cls.targets or target == "level":
            allowed = [one if one != "level" else "a level such as 0.9" for one in cls.targets]
            raise UsageError(f"the target {target!r}", "", f"allowed is {', '.join(allowed)}")

    def chances(self, prediction: Tensor) -> Tensor | None:
        """The chances of bins of values, [row, step, bin]; None where there are no bins."""
        return None


@dataclass(frozen=True, eq=False)
class Bins(Reading):
    """Logits of bins of values: [row, 1, token] for one step.

    values: [row, token] what each token stands for, rising, in units of the series.
    forbidden: tokens that are never drawn.
    """

    targets = ("bin", "median", "level", "truth")
    unit = "logit"
    values: Tensor
    forbidden: tuple[int, ...]
    steps: int = 1

    def chances(self, prediction: Tensor) -> Tensor:
        logits = prediction.detach().double().cpu().clone()
        logits[..., list(self.forbidden)] = -torch.inf
        return logits.softmax(-1)

    def quantiles(self, prediction: Tensor) -> Tensor:
        return torch.stack([self._valued(self._at(prediction, one)) for one in LEVELS], dim=-1)

    def _at(self, prediction: Tensor, level: float) -> Tensor:
        """The token [row, step] at which the chances of the lower ones first reach a level."""
        risen = self.chances(prediction).cumsum(-1)
        return (risen < level * risen[..., -1:]).sum(-1).clamp_max(risen.shape[-1] - 1)

    def _valued(self, token: Tensor) -> Tensor:
        return self.values.double().gather(1, token)

    def _aim(self, prediction: Tensor, target: str, truth: Tensor) -> Aimed:
        known, level = ~truth.isnan(), level_of(target)
        if level is not None:
            token = self._at(prediction, level)
        elif target == "bin":
            token = self.chances(prediction).argmax(-1)
        else:
            token = nearest_unit(self.values[:, None], truth, self.forbidden)
        hidden = ~known & torch.tensor(target == "truth")

        def logit(other: Tensor) -> Tensor:
            chosen = other.gather(-1, token[..., None].to(other.device))[..., 0]
            return chosen.masked_fill(hidden.to(other.device), torch.nan)

        return logit


@dataclass(frozen=True, eq=False)
class Quantiles(Reading):
    """Quantiles at a network's own levels.

    levels: the network's own, rising, 0.5 among them.
    split: from a prediction [row, time, ...] to [row, step, level], on the scale of the network.
    restore: from that to the same in units of the series.
    """

    targets = ("median", "level", "truth")
    unit = "value on the scale of the network"
    levels: Sequence[float]
    split: Callable[[Tensor], Tensor]
    restore: Callable[[Tensor], Tensor]
    steps: int
    tokens: int = 0

    def quantiles(self, prediction: Tensor) -> Tensor:
        own = self.restore(self.split(prediction.detach().float()))
        return torch.from_numpy(levels_of(own, self.levels).values)

    def _aim(self, prediction: Tensor, target: str, truth: Tensor) -> Aimed:
        level = level_of(target)
        if level is not None:
            return lambda other: at_level(self.split(other), self.levels, level)
        made = self.restore(self.split(prediction.detach().float())).cpu()
        unit = nearest_unit(made, truth)

        def nearest(other: Tensor) -> Tensor:
            chosen = self.split(other).gather(-1, unit[..., None].to(other.device))[..., 0]
            return chosen.masked_fill(truth.isnan().to(other.device), torch.nan)

        return nearest


@dataclass(frozen=True, eq=False)
class Mixtures(Reading):
    """Mixtures of distributions.

    centre: from a prediction [row, time, ...] to the chance-weighted mean of the components'
    centres, [row, step], on the scale of the network.
    density: from a prediction and the truth [row, step], fp64 as it may be large, to the log of the
    density there, of values in units of the series.
    drawn: from a prediction and two sets of uniform numbers [sample], which component and where in
    it, to values [row, step, sample] in units of the series, fp64 on the CPU.
    """

    targets = ("centre", "truth")
    unit = "value on the scale of the network, for the truth log density"
    centre: Aimed
    density: Callable[[Tensor, Tensor], Tensor]
    drawn: Callable[[Tensor, Tensor, Tensor], Tensor]
    steps: int

    def quantiles(self, prediction: Tensor) -> Tensor:
        """Those of DRAWS values that lie evenly: a lattice with the golden ratio."""
        index = torch.arange(DRAWS, dtype=torch.float64)
        place = ((index + 0.5) * GOLDEN) % 1.0
        values = self.drawn(prediction.detach(), (index + 0.5) / DRAWS, place)
        at = torch.tensor(LEVELS, dtype=torch.float64)
        return rearrange(values.double().quantile(at, dim=-1), "level row step -> row step level")

    def _aim(self, prediction: Tensor, target: str, truth: Tensor) -> Aimed:
        if target == "centre":
            return self.centre
        hidden, some = truth.isnan(), truth.nan_to_num(float(truth.nanmean().nan_to_num()))

        def density(other: Tensor) -> Tensor:
            found = self.density(other, some.to(other.device))
            return found.masked_fill(hidden.to(found.device), torch.nan)

        return density


def levels_of(values: Tensor, native: Sequence[float]) -> Forecast:
    """A forecast at LEVELS from one [series, horizon, level] at a network's own levels.

    Levels that the network does not have are interpolated linearly between its own; beyond the
    outermost they are the outermost.
    """
    found = values.detach().cpu().double().numpy()
    places = np.interp(LEVELS, native, np.arange(len(native)))
    low = np.floor(np.round(places, 9)).astype(int)
    share = np.round(places - low, 9)
    high = np.minimum(low + 1, len(native) - 1)
    return Forecast(found[..., low] * (1 - share) + found[..., high] * share, LEVELS)


def at_level(values: Tensor, levels: Sequence[float], level: float) -> Tensor:
    """The quantile [...] at one level, on a line between its neighbours of [..., level]."""
    above = sum(one < level - 1e-9 for one in levels)
    if above == len(levels):
        return values[..., -1]
    if above == 0 or abs(levels[above] - level) < 1e-9:
        return values[..., above]
    share = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    return values[..., above - 1] * (1 - share) + values[..., above] * share


def nearest_unit(values: Tensor, truth: Tensor, forbidden: Sequence[int] = ()) -> Tensor:
    """Which of the values [row, step, unit] lies nearest to the truth [row, step]; any where NaN.

    The last of several that are equal: the first tokens of Chronos-T5, of which some mean no value,
    stand for its lowest value together with that of its lowest bin.
    """
    distance = (values.double().cpu() - truth.double()[..., None]).abs()
    distance[..., list(forbidden)] = torch.inf
    return distance.shape[-1] - 1 - distance.nan_to_num(torch.inf).flip(-1).argmin(-1)
