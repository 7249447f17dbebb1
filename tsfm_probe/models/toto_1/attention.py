"""The two kinds of attention of Toto 1.0: along the time of a series, and across its variates."""

from dataclasses import dataclass, field

import torch
from einops import einsum, rearrange
from torch import Tensor, nn

from tsfm_probe.models.toto_1.rotary import Rotary

HEADS = "batch variate head time row"


@dataclass(frozen=True, eq=False)
class Sight:
    """What the tokens of one pass can see.

    rotary: of their positions. context: [variate, time, token], which tokens of the context.
    together: [variate, variate], which other series; None where each sees itself alone.
    """

    rotary: Rotary
    context: Tensor
    together: Tensor | None


@dataclass
class Memory:
    """Keys and values [batch, variate, head, time, row] of a time layer, in at most two blocks.

    The first block is the context's, which all sample paths share (its batch is 1), the second
    that of the paths themselves.
    """

    blocks: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def add(self, keys: Tensor, values: Tensor) -> None:
        """Remember those of one more pass."""
        if len(self.blocks) == 2:
            old_keys, old_values = self.blocks.pop()
            keys, values = torch.cat([old_keys, keys], -2), torch.cat([old_values, values], -2)
        self.blocks.append((keys, values))


class Attention(nn.Module):
    """What both kinds share: a fused input projection and the output projection, with biases.

    In the rows of the fused projection the head runs fastest, in the columns of the output
    projection it runs slowest.
    """

    part: str

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.wQKV = nn.Linear(width, 3 * width)
        self.wO = nn.Linear(width, width)

    def forward(self, stream: Tensor, sight: Sight, memory: Memory) -> Tensor:
        """What is added to the stream [batch, variate, time, d], of the same shape."""
        fused = f"batch variate time (part row head) -> part {HEADS}"
        queries, keys, values = rearrange(self.wQKV(stream), fused, part=3, head=self.heads)
        queries = queries * queries.shape[-1] ** -0.5
        mixed = self.mix(queries, keys, values, sight, memory)
        return self.wO(rearrange(mixed, f"{HEADS} -> batch variate time (head row)"))

    def mix(
        self, queries: Tensor, keys: Tensor, values: Tensor, sight: Sight, memory: Memory
    ) -> Tensor:
        """The mixed values; all tensors are [batch, variate, head, time, row]."""
        raise NotImplementedError


class TimeAttention(Attention):
    """From each token to those of the same series that are not later, by rotary position."""

    part = "time"

    def mix(
        self, queries: Tensor, keys: Tensor, values: Tensor, sight: Sight, memory: Memory
    ) -> Tensor:
        memory.add(sight.rotary.keys(keys), values)
        queries = sight.rotary.queries(queries)
        token = "batch variate head token row"
        score = "batch variate head time token"
        scores = [einsum(queries, one, f"{HEADS}, {token} -> {score}") for one, _ in memory.blocks]
        scores[0] = scores[0].masked_fill(~sight.context[:, None], -torch.inf)
        weights = torch.cat(scores, dim=-1).softmax(-1)
        shares = weights.split([one.shape[-1] for one in scores], dim=-1)
        mixed = [
            einsum(share, one, f"{score}, {token} -> {HEADS}")
            for share, (_, one) in zip(shares, memory.blocks, strict=True)
        ]
        return torch.stack(mixed).sum(0)


class VariateAttention(Attention):
    """From each series to those of its group at the same time, in no order; nothing is kept."""

    part = "variate"

    def mix(
        self, queries: Tensor, keys: Tensor, values: Tensor, sight: Sight, memory: Memory
    ) -> Tensor:
        if sight.together is None:
            return values  # the weights would be ones
        other = "batch other head time row"
        score = "batch head time variate other"
        scores = einsum(queries, keys, f"{HEADS}, {other} -> {score}")
        weights = scores.masked_fill(~sight.together, -torch.inf).softmax(-1)
        # A weight of zero does not keep out what is no number in a series of another group.
        lost = ~values.isfinite()
        mixed = einsum(weights, values.masked_fill(lost, 0.0), f"{score}, {other} -> {HEADS}")
        if not lost.any():
            return mixed
        related = sight.together.to(values.dtype)
        touched = einsum(related, lost.to(values.dtype), f"variate other, {other} -> {HEADS}")
        return mixed.masked_fill(touched > 0, torch.nan)
