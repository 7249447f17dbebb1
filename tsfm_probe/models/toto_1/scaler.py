"""Normalisation of a series patch by patch, by what was seen up to the end of each patch."""

from dataclasses import dataclass, replace

import torch
from einops import rearrange
from torch import Tensor

SMALLEST = 0.1
"""Added to every variance."""
FURTHEST = 1e16
"""Spreads from the mean beyond which nothing is read, so that squares are finite in fp32."""


@dataclass(frozen=True, eq=False)
class Moments:
    """How many values were seen, their mean, and the sum of their squared distances from it."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    def after(self, values: Tensor, seen: Tensor) -> "Moments":
        """With further values [..., step], of which `seen` count (Chan, Golub and LeVeque 1983).

        Values that were not seen must be finite.
        """
        count = seen.sum(-1)
        mean = (values * seen).sum(-1) / count.clamp_min(1)
        squares = ((values - mean[..., None]) ** 2 * seen).sum(-1)
        total = self.count + count
        share, distance = count / total.clamp_min(1), mean - self.mean
        return Moments(
            total,
            self.mean + share * distance,
            self.squares + squares + self.count * share * distance**2,
        )


@dataclass(frozen=True, eq=False)
class Scale:
    """What a patch of each series is normalised with; fp64.

    moments: of all values up to the end of the patch. lowest, highest: what the spread is kept
    between.
    """

    moments: Moments
    lowest: Tensor
    highest: Tensor

    @property
    def spread(self) -> Tensor:
        """The standard deviation, within its bounds."""
        variance = self.moments.squares / (self.moments.count - 1).clamp_min(1)
        return (variance + SMALLEST).sqrt().clamp(self.lowest, self.highest)

    def after(self, values: Tensor, seen: Tensor) -> "Scale":
        """The scale of the next patch, whose values [..., step] are these."""
        return replace(self, moments=self.moments.after(values, seen))

    def normalised(self, values: Tensor) -> Tensor:
        """A patch [..., step] as the network reads it."""
        distance = (values - self.moments.mean[..., None]) / self.spread[..., None]
        return distance.clamp(-FURTHEST, FURTHEST)

    def restored(self, values: Tensor) -> Tensor:
        """What the network says of the next patch [..., step], as values of the series."""
        return self.moments.mean[..., None] + self.spread[..., None] * values


def normalise(patches: Tensor, seen: Tensor, exponent: float | None) -> tuple[Tensor, Scale]:
    """Normalised patches, and the scale of the last one.

    patches, seen: [series, patch, step], fp64 and truth values; zero where nothing was seen.
    exponent: the spread stays within 10**-exponent and 10**exponent times that of the whole
    context; None where the context does not bound it.
    """
    none = Moments(*torch.zeros(3, len(patches), dtype=patches.dtype))
    scale = Scale(none, *_bounds(none.after(*map(_flat, (patches, seen))), exponent))
    normalised = []
    for patch, there in zip(patches.unbind(1), seen.unbind(1), strict=True):
        scale = scale.after(patch, there)
        normalised.append(scale.normalised(patch))
    return torch.stack(normalised, dim=1), scale


def _flat(patches: Tensor) -> Tensor:
    return rearrange(patches, "series patch step -> series (patch step)")


def _bounds(whole: Moments, exponent: float | None) -> tuple[Tensor, Tensor]:
    if exponent is None:
        return torch.zeros_like(whole.mean), torch.full_like(whole.mean, torch.inf)
    spread = (whole.squares / whole.count.clamp_min(1) + SMALLEST).sqrt()
    return spread * 10.0**-exponent, spread * 10.0**exponent
