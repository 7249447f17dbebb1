"""Attention across time or across series, both on a stream [batch, variate, time, d]."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from tsfm_probe.models import rotation
from tsfm_probe.models.toto_2.shape import Shape
from tsfm_probe.models.toto_2.units import PerDimensionScale, RootMeanSquareNorm, UnitLinear

ROTATION_BASE, XPOS_BASE = 10000, 256
OVER_TIME, OVER_VARIATES = "batch variate head time d", "batch time head variate d"


@dataclass(frozen=True, eq=False)
class Sight:
    """Which tokens see which: True where a query (the axis before the last) sees a key.

    time: [batch, variate, head, time, time]; variate: [batch, time, head, variate, variate];
    the head axis has length 1.
    """

    time: Tensor
    variate: Tensor

    @classmethod
    def of(cls, empty: Tensor, ids: Tensor) -> "Sight":
        """Tokens see the past of their series, and their present in the series with their id.

        empty: [batch, variate, time], True where a token of the context has no value in it: such
        tokens and the others do not see each other. ids: [batch, variate].
        """
        length = empty.shape[-1]
        causal = torch.ones(length, length, dtype=torch.bool, device=empty.device).tril()
        now = rearrange(empty, "batch variate time -> batch time variate")
        related = rearrange(_pairs(ids), "batch query key -> batch 1 query key")
        return cls(
            rearrange(
                _pairs(empty) & causal, "batch variate query key -> batch variate 1 query key"
            ),
            rearrange(_pairs(now) & related, "batch time query key -> batch time 1 query key"),
        )


def _pairs(values: Tensor) -> Tensor:
    """Whether two values along the last axis are equal: [..., query, key]."""
    return values[..., :, None] == values[..., None, :]


class Attention(nn.Module):
    """Self-attention with one map to queries, keys and values; the names are the published ones.

    Logits are divided by the head's columns, not by their root (muP). Across time the first half
    of a head's columns is rotated by the token's position, pair by pair.
    """

    def __init__(self, shape: Shape, across_variates: bool) -> None:
        super().__init__()
        self.shape = shape
        self.axes = OVER_VARIATES if across_variates else OVER_TIME
        self.q_norm, self.k_norm = (
            RootMeanSquareNorm(shape.query, shape.norm_eps, shape.weighted_queries)
            if shape.qk_norm
            else nn.Identity()
            for _ in "qk"
        )
        self._pds = PerDimensionScale(shape.query) if shape.per_dim_scale else nn.Identity()
        rows = max(span.stop for span in self.spans.values())
        self.in_proj = UnitLinear(shape.d_model, rows, shape.attn_bias)
        self.out_proj = UnitLinear(shape.value * shape.num_heads, shape.d_model, shape.attn_bias)

    @property
    def spans(self) -> Mapping[str, slice]:
        """The rows of `in_proj` that make queries, keys and values."""
        shape = self.shape
        keys = shape.query * shape.num_heads
        values = keys + shape.query * shape.groups
        end = values + shape.value * shape.groups
        return {"q": slice(0, keys), "k": slice(keys, values), "v": slice(values, end)}

    def forward(self, x: Tensor, sight: Sight) -> Tensor:
        made = self.in_proj(x)
        q = self._pds(self.q_norm(self._heads(made, "q", self.shape.num_heads)))
        k = self.k_norm(self._heads(made, "k", self.shape.groups))
        v = self._heads(made, "v", self.shape.groups)
        if self.axes == OVER_TIME:
            q, k = (_rotated(one, self._growth(one, sign)) for one, sign in ((q, 1), (k, -1)))
        mixed = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=sight.time if self.axes == OVER_TIME else sight.variate,
            scale=1 / self.shape.query,
            enable_gqa=self.shape.groups < self.shape.num_heads,
        )
        return self.out_proj(rearrange(mixed, f"{self.axes} -> batch variate time (head d)"))

    def _heads(self, made: Tensor, name: str, count: int) -> Tensor:
        rows = made[..., self.spans[name]]
        return rearrange(rows, f"batch variate time (head d) -> {self.axes}", head=count)

    def _growth(self, x: Tensor, sign: int) -> Tensor:
        """By what xPos (Sun et al. 2022) multiplies each rotated pair of each token: [time, pair].

        Queries grow with time as keys shrink, so that only the distance tells; the token in the
        middle is left as it is.
        """
        length, half = x.shape[-2], x.shape[-1] // 2
        place = torch.arange(length, device=x.device, dtype=torch.float32) - length // 2
        if not self.shape.use_xpos:
            return torch.ones_like(place)[:, None]
        return _decay(_pairs_of(half, x.device), half) ** (sign * place[:, None] / XPOS_BASE)

    def factors(self) -> tuple[Tensor, Tensor]:
        """What each dimension of queries and keys is multiplied with, up to a constant."""
        ones = torch.ones(self.shape.query, device=self.in_proj.weight.device)
        return self._pds(self.q_norm(ones)).detach(), self.k_norm(ones).detach()

    def turned(self, lag: float) -> Tensor:
        """What stands between a query and a key `lag` tokens earlier, without factors: [d, d]."""
        half = self.shape.query // 2
        pair = _pairs_of(half, self.in_proj.weight.device)
        matrix = rotation.neighbours(ROTATION_BASE ** (-pair / half), lag, self.shape.query)
        if self.shape.use_xpos:
            growth = _decay(pair, half) ** (lag / XPOS_BASE)
            matrix[:half] *= repeat(growth, "pair -> (pair two) 1", two=2)
        return matrix


def _pairs_of(half: int, device: torch.device) -> Tensor:
    """The first column of each rotated pair."""
    return torch.arange(0, half, 2, device=device, dtype=torch.float32)


def _decay(pair: Tensor, half: int) -> Tensor:
    return (pair + 0.4 * half) / (1.4 * half)


def _rotated(x: Tensor, growth: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) on the first half of the columns: [..., time, d]."""
    length, half = x.shape[-2], x.shape[-1] // 2
    pair = _pairs_of(half, x.device)
    place = torch.arange(length, device=x.device, dtype=torch.float32)
    angle = place[:, None] * ROTATION_BASE ** (-pair / half)
    turn = (growth * torch.stack((angle.cos(), angle.sin()))).to(x.dtype)
    cos, sin = repeat(turn, "part time pair -> part time (pair two)", two=2)
    first, second = rearrange(x[..., :half], "... (pair two) -> two ... pair", two=2)
    turned = rearrange([-second, first], "two ... pair -> ... (pair two)")
    return torch.cat((cos * x[..., :half] + sin * turned, x[..., half:]), dim=-1)
