"""Series as patches: what both Moirai networks read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, reduce, repeat
from torch import Tensor
from torch.nn import functional

from tsfm_probe.models.groups import members

MINIMUM_VARIANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Batch:
    """Groups of one size: a row holds the series of a group as its variates.

    places: [row, variate], which series they are.
    values: [row, time, variate] fp32, with something in place of what is missing.
    observed: [row, time, variate], False where values are missing.
    present: [row, time], False before the group's longest series begins.
    """

    places: Tensor
    values: Tensor
    observed: Tensor
    present: Tensor

    def taken(self, rows: Tensor) -> "Batch":
        """Some of the rows."""
        parts = (self.places, self.values, self.observed, self.present)
        return Batch(*(one[rows] for one in parts))

    def between(self, start: int | None, stop: int | None) -> "Batch":
        """Some of the times."""
        parts = (self.values, self.observed, self.present)
        return Batch(self.places, *(one[:, start:stop] for one in parts))

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; the places stay."""
        parts = (self.values, self.observed, self.present)
        return Batch(self.places, *(one.to(device) for one in parts))


def batches(
    contexts: Sequence[np.ndarray],
    groups: Sequence[int] | None,
    length: int,
    fill: Callable[[np.ndarray], np.ndarray],
) -> list[Batch]:
    """One batch for each size of group, so that groups of different sizes never meet.

    length: how many of the last values are kept. fill: puts something in place of what is missing
    in a series [time] that is longer by NaN where its group is longer.
    """
    found: dict[int, list[list[int]]] = {}
    for places in members(groups, len(contexts)):
        found.setdefault(len(places), []).append(places)
    return [_batch(contexts, rows, length, fill) for rows in found.values()]


def _batch(
    contexts: Sequence[np.ndarray],
    rows: list[list[int]],
    length: int,
    fill: Callable[[np.ndarray], np.ndarray],
) -> Batch:
    spans = [max(len(contexts[place]) for place in places) for places in rows]
    longest = min(max(spans), length)
    values = np.zeros((len(rows), longest, len(rows[0])), dtype=np.float32)
    observed = np.zeros(values.shape, dtype=bool)
    present = np.zeros(values.shape[:2], dtype=bool)
    for row, (span, places) in enumerate(zip(spans, rows, strict=True)):
        kept = min(span, longest)
        present[row, longest - kept :] = True
        for variate, place in enumerate(places):
            series = np.full(span, np.nan, dtype=np.float32)
            series[span - len(contexts[place]) :] = contexts[place]
            values[row, longest - kept :, variate] = fill(series)[span - kept :]
            observed[row, longest - kept :, variate] = ~np.isnan(series)[span - kept :]
    return Batch(torch.tensor(rows), *map(torch.from_numpy, (values, observed, present)))


def zeros(series: np.ndarray) -> np.ndarray:
    """Zero in place of what is missing."""
    return np.where(np.isnan(series), np.float32(0), series)


def causal_mean(series: np.ndarray) -> np.ndarray:
    """The mean of everything earlier in place of what is missing.

    Gaps count with the last value before them, those at the start with the first value of all.
    """
    missing, index = np.isnan(series), np.arange(len(series))
    if missing.all():
        return zeros(series)
    carried = series[np.maximum.accumulate(np.where(missing, index[~missing][0], index))]
    earlier = np.cumsum(carried[:-1], dtype=np.float64) / index[1:]
    return np.where(missing, np.concatenate([carried[:1], earlier]), series).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Patches of the variates of each row, with mean and deviation of each variate.

    values, observed: [row, time, variate, patch]. real: [row, time], False for padding alone.
    time: [row, time], counted from the first patch in which anything was observed.
    loc, scale: [row, 1, variate, 1] over what was observed.
    """

    values: Tensor
    observed: Tensor
    real: Tensor
    time: Tensor
    loc: Tensor
    scale: Tensor

    @property
    def scaled(self) -> Tensor:
        """The values in units of the deviation from the mean."""
        return (self.values - self.loc) / self.scale

    def followed_by(self, values: Tensor, observed: bool) -> "Tokens":
        """With patches [row, time, variate, patch] after the last, observed or still unknown."""
        rows, count = values.shape[:2]
        after = self.time[:, -1:] + torch.arange(1, count + 1, device=values.device)
        return _normed(
            torch.cat([self.values, values], dim=1),
            torch.cat([self.observed, torch.full_like(values, observed, dtype=torch.bool)], dim=1),
            torch.cat([self.real, self.real.new_ones(rows, count)], dim=1),
            torch.cat([self.time, after], dim=1),
        )

    def repeated(self, count: int) -> "Tokens":
        """Each row `count` times, one copy after the other."""
        parts = (self.values, self.observed, self.real, self.time, self.loc, self.scale)
        return Tokens(*(repeat(one, "row ... -> (row path) ...", path=count) for one in parts))


def patched(batch: Batch, patch: int) -> Tokens:
    """A batch cut into patches that end with the last value."""
    short = -batch.values.shape[1] % patch
    pattern = "row (time patch) variate -> row time variate patch"
    values, observed = (
        rearrange(functional.pad(one, (0, 0, short, 0)), pattern, patch=patch)
        for one in (batch.values, batch.observed)
    )
    present = functional.pad(batch.present, (short, 0))
    real = reduce(present, "row (time patch) -> row time", "max", patch=patch)
    begun = reduce(observed, "row time variate patch -> row time", "max").long().cummax(1).values
    return _normed(values, observed, real, (begun.cumsum(1) - 1).clamp_min(0))


def _normed(values: Tensor, observed: Tensor, real: Tensor, time: Tensor) -> Tokens:
    """The tokens with mean and deviation of what was observed, in double precision."""
    pattern = "row time variate patch -> row 1 variate 1"
    counted, given = observed.double(), values.double()
    count = reduce(counted, pattern, "sum")
    loc = reduce(given * counted, pattern, "sum") / count.clamp_min(1)
    squares = reduce((given - loc) ** 2 * counted, pattern, "sum")
    scale = (squares / (count - 1).clamp_min(1) + MINIMUM_VARIANCE).sqrt()
    return Tokens(values, observed, real, time, loc.float(), scale.float())
