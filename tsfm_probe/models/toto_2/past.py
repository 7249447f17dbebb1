"""Contexts as the network reads them: patches that are scaled by what was seen until their end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional

from tsfm_probe.models.base import left_padded

SMALLEST = 1e-6
ENOUGH = 8
"""Observations on which location and scale can be based, or the first patches borrow them."""
FURTHEST = 1e4
"""Scales beyond what was seen at which a quantile is cut off."""


@dataclass(frozen=True, eq=False)
class Past:
    """Contexts of a batch, in whole patches.

    values: [batch, variate, time], fp32, the last known one where missing, 0 before the first.
    observed: [batch, variate, time]. ids: [batch, variate], equal where series are read together.
    """

    values: Tensor
    observed: Tensor
    ids: Tensor

    @classmethod
    def read(
        cls, contexts: Sequence[np.ndarray], groups: Sequence[int] | None, length: int, patch: int
    ) -> "Past":
        """The last `length` values of each context, padded on the left to whole patches.

        The network has never seen a context whose last patch is not observed: there the values
        carried forward count as observed; where a context begins within it, those before do not.
        Series are a batch, or the variates of one where some share a group.
        """
        given = left_padded(contexts, length)
        given = functional.pad(given, (-given.shape[-1] % patch, 0), value=torch.nan)
        seen = ~given.isnan()
        latest = torch.where(seen, torch.arange(given.shape[-1]), 0).cummax(dim=-1).values
        values = given.gather(-1, latest)
        values = values.masked_fill(values.isnan(), 0.0)
        begun = seen.cummax(dim=-1).values | ~seen.any(dim=-1, keepdim=True)
        observed = torch.cat((seen[:, :-patch], begun[:, -patch:]), dim=-1)
        ids = torch.tensor(range(len(given)) if groups is None else list(groups))
        place = "series 1" if len(ids.unique()) == len(ids) else "1 series"
        return cls(
            rearrange(values, f"series time -> {place} time"),
            rearrange(observed, f"series time -> {place} time"),
            rearrange(ids, f"series -> {place}"),
        )

    def to(self, device: torch.device) -> "Past":
        """The same on another device."""
        return Past(self.values.to(device), self.observed.to(device), self.ids.to(device))


@dataclass(frozen=True, eq=False)
class Scale:
    """Location and scale of each patch, [batch, variate, patch, 1] in fp32.

    Both are those of everything observed until the end of the patch. The future is scaled by the
    last ones.
    """

    location: Tensor
    size: Tensor

    @classmethod
    def of(cls, past: Past, patch: int) -> "Scale":
        """Mean and standard deviation (with Bessel's correction) up to the end of each patch.

        First patches until whose end less than ENOUGH values were observed take those of the
        first ENOUGH: the next value may be any number of such chance scales away.
        """
        values, observed = past.values.double(), past.observed
        count = observed.cumsum(dim=-1)
        mean, size = _running(values, observed)
        ends = slice(patch - 1, None, patch)
        lent, lent_size = _running(values, observed & (count <= ENOUGH))
        few = count[..., ends] < ENOUGH
        location = torch.where(few, lent[..., -1:], mean[..., ends])
        spread = torch.where(few, lent_size[..., -1:], size[..., ends])
        return cls(location.float()[..., None], spread.float()[..., None])

    def patches(self, past: Past, masked: int) -> Tensor:
        """What the network reads: [batch, variate, patch, (part step)].

        The parts are asinh of the scaled values, and 1.0 where they are missing; `masked` patches
        of the future follow, which have no value.
        """
        step = past.values.shape[-1] // self.size.shape[-2]
        cut = "batch variate (patch step) -> batch variate patch step"
        values = rearrange(past.values, cut, step=step)
        observed = rearrange(past.observed, cut, step=step)
        scaled = ((values - self.location) / self.size).asinh().masked_fill(~observed, 0.0)
        patches = torch.cat((scaled, (~observed).float()), dim=-1)
        future = torch.tensor((0.0, 1.0), device=patches.device)
        batch, variate = past.ids.shape
        ahead = repeat(
            future,
            "part -> batch variate patch (part step)",
            batch=batch,
            variate=variate,
            patch=masked,
            step=step,
        )
        return torch.cat((patches, ahead), dim=-2)

    def restored(self, past: Past, scaled: Tensor) -> Tensor:
        """Quantiles [batch, variate, time, level] in the units of the series, in rising order.

        They are cut off FURTHEST scales beyond the smallest and the largest value observed.
        """
        location, size = self.location[..., -1:, :], self.size[..., -1:, :]
        reach, seen = FURTHEST * size, past.observed[..., None]
        values = past.values[..., None]
        low = values.masked_fill(~seen, torch.inf).amin(dim=-2, keepdim=True) - reach
        high = values.masked_fill(~seen, -torch.inf).amax(dim=-2, keepdim=True) + reach
        return (scaled.sinh() * size + location).clamp(low, high).sort(dim=-1).values


def _running(values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the values observed so far (Welford 1962)."""
    count = observed.cumsum(dim=-1)
    mean = (values * observed).cumsum(dim=-1) / count.clamp_min(1)
    before = functional.pad(mean[..., :-1], (1, 0))
    squares = ((values - before) * (values - mean) * observed).cumsum(dim=-1)
    size = (squares / (count - 1).clamp_min(1)).clamp_min(0).sqrt().clamp_min(SMALLEST)
    return mean, size
