"""Rotary positions that also stretch (xPos; Sun et al. 2022, arXiv 2212.10554), as Toto has them.

Neighbouring columns are turned together, but the stretch of column c is that of column c + d/2.
The columns of a pair are therefore stretched differently, and a product of query and key depends
on where the two are, not only on how far apart: positions must count from the start of a series.
"""

import torch
from einops import rearrange, repeat
from torch import Tensor

from tsfm_probe.models import rotation

BASE, STRETCH_BASE = 10000.0, 512


def rotary_form(size: int, lag: float) -> Tensor:
    """What stands between a query and the key at place 0, `lag` tokens earlier: [size, size].

    The centre does not matter, since it stretches the query as it shrinks the key.
    """
    columns = torch.arange(0, size, 2, dtype=torch.float64)
    turned = rotation.neighbours(BASE ** (-columns / size), lag, size)
    return turned * repeat(
        _decay(columns, size) ** (lag / STRETCH_BASE), "half -> 1 (two half)", two=2
    )


def _decay(columns: Tensor, size: int) -> Tensor:
    return (columns + 0.4 * size) / (1.4 * size)


class Rotary:
    """Turns queries and keys of tokens at the given positions."""

    def __init__(self, positions: Tensor, size: int) -> None:
        """positions: [variate, time], fp32. size: columns of a head."""
        columns = torch.arange(0, size, 2, device=positions.device)
        angle = positions[..., None] * BASE ** (-columns / size)
        angle = repeat(angle, "variate time pair -> variate 1 time (pair two)", two=2)
        # The centre is half the last position of this pass: with a key-value cache it moves from
        # pass to pass, and so it does in the published forecasts.
        power = (positions - positions[:, -1:] // 2) / STRETCH_BASE
        stretch = _decay(columns, size) ** power[..., None]
        self._stretch = repeat(stretch, "variate time half -> variate 1 time (two half)", two=2)
        self._cosine, self._sine = angle.cos(), angle.sin()

    def queries(self, values: Tensor) -> Tensor:
        """Queries [batch, variate, head, time, d], turned and stretched."""
        return (self._turned(values) * self._stretch).to(values)

    def keys(self, values: Tensor) -> Tensor:
        """Keys [batch, variate, head, time, d], turned and shrunk."""
        return (self._turned(values) / self._stretch).to(values)

    def _turned(self, values: Tensor) -> Tensor:
        first, second = rearrange(values, "... (pair two) -> two ... pair", two=2)
        across = rearrange([-second, first], "two ... pair -> ... (pair two)")
        return values * self._cosine + across * self._sine
