"""Starting weights from which attention learns to match and to copy in fewer steps.

After Trockman and Kolter (2023), Mimetic Initialization of Self-Attention Layers, arXiv 2305.09828:
trained attention has keys like queries, and outputs like transposed values. From an independent
start, small networks spend most of a short training on finding that.
"""

from typing import Any

import torch
from torch import Tensor, nn

# Attention logit of a token on one with the same content, at the start.
SAME = 6.0


def rows(linear: nn.Linear, heads: int, chosen: tuple[int, ...]) -> Tensor:
    """Which outputs of a projection belong to the chosen heads, to all where none is: indices."""
    size = linear.out_features // heads
    return torch.cat([torch.arange(h * size, (h + 1) * size) for h in chosen or range(heads)])


def match(query: nn.Linear, key: nn.Linear, heads: int, chosen: tuple[int, ...] = ()) -> None:
    """Start keys as queries in the chosen heads, so that a token attends to others like itself."""
    at = rows(query, heads, chosen)
    size = (SAME / (query.in_features * query.out_features / heads)) ** 0.5
    query.weight[at] = size * torch.randn(len(at), query.in_features)
    key.weight[at] = query.weight[at]


def pass_on(value: nn.Linear, output: nn.Linear, heads: int, chosen: tuple[int, ...] = ()) -> None:
    """Start outputs as transposed values in the chosen heads, which hand on what they read."""
    at = rows(value, heads, chosen)
    value.weight[at] = nn.init.orthogonal_(torch.empty(len(at), value.in_features))
    output.weight[:, at] = value.weight[at].T


def blocks(entry: Any, exit_: Any) -> None:
    """Start the input and output blocks of a Chronos network by their fan-in, the output small.

    Upstream's own start has unit weights here under transformers 5, which drowns what layers write.
    """
    for block, gain in ((entry, 1.0), (exit_, 0.2)):
        for linear in (block.hidden_layer, block.output_layer, block.residual_layer):
            share = 1.0 if linear is block.hidden_layer else gain
            nn.init.normal_(linear.weight, std=share * linear.in_features**-0.5)


def look(attention: Any, reach: int, peaks: tuple[int, ...], slopes: tuple[float, ...]) -> None:
    """Start the relative bias of a T5: head h favours the step `peaks[h]` away, 0 for none.

    slopes: loss of bias per step of distance, one per head. The bias is shared by all layers.
    """
    bias = attention.relative_attention_bias.weight
    both = not attention.is_decoder
    gaps = torch.arange(-reach, reach + 1 if both else 1)
    places = attention._relative_position_bucket(
        gaps, bidirectional=both, num_buckets=bias.shape[0], max_distance=reach
    )
    far: Tensor = torch.tensor(slopes) * gaps.abs()[:, None]
    bias[places] = 0.2 * torch.randn(len(gaps), len(slopes)) - far
    for head, peak in enumerate(peaks):
        if peak:
            bias[places[gaps == peak], head] += 5.0
