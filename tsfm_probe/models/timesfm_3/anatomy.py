"""Where the parts of TimesFM 3.0 are."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection, Stack
from tsfm_probe.models import rotation
from tsfm_probe.models.cut.body import Silent

AXES = "batch variate time d"
AXES_OF = {"time": "(batch variate) time d", "variate": "(batch time) variate d"}


def anatomy(net: Any) -> Anatomy:
    """The parts of a TimesFM3Torch."""
    components: list[Component] = []
    blocks = net.transformer_stack.layers
    for layer, block in enumerate(blocks):
        parts = [("time", block.seq_attn, block.pre_seq_attn_ln, block.post_seq_attn_ln)]
        if net.use_variate_attention:
            parts.append(("variate", block.var_attn, block.pre_var_attn_ln, block.post_var_attn_ln))
        components += [
            _attention(Address("decoder", layer, part), attention, *norms)
            for part, attention, *norms in parts
            if not isinstance(attention, Silent)
        ]
        if not isinstance(block.ff1, Silent):
            matrices = {"in": block.ff0.weight, "out": block.ff1.weight}
            mlp = Address("decoder", layer, "mlp")
            components.append(Component(mlp, block.post_ff_ln, axes=AXES, matrices=matrices))
    starts = tuple(block.pre_seq_attn_ln for block in blocks)
    return Anatomy(components, [Stack("decoder", starts, net.output_head, AXES)], net.output_head)


def _attention(at: Address, attention: Any, before: nn.RMSNorm, after: nn.RMSNorm) -> Component:
    heads, query, key = attention.num_heads, *_factors(attention)
    projections = {
        "q": Projection(attention.query_proj, heads, gain=before.weight, factor=query),
        "k": Projection(attention.key_proj, heads, gain=before.weight, factor=key),
        "v": Projection(attention.value_proj, heads, gain=before.weight),
    }
    embedding = attention.rotary_position_embedding
    return Component(
        at,
        after,
        attention.out_proj,
        heads,
        projections,
        AXES_OF[at.part],
        AXES,
        along=at.part,
        gain=_gain(after),
        rotary=None if embedding is None else partial(_rotary, embedding, query * key),
    )


def _factors(attention: Any) -> tuple[Tensor, Tensor]:
    """What each dimension of queries and keys is multiplied with, up to a constant: [head_dim]."""
    ones = torch.ones(attention.head_dim, device=attention.query_proj.weight.device)
    query, key = (
        ones if norm is None else norm.weight.detach()
        for norm in (attention.query_ln, attention.key_ln)
    )
    if attention.per_dim_scale is not None:
        query = query * functional.softplus(attention.per_dim_scale.per_dim_scale).detach()
    return query, key


def _rotary(embedding: Any, factor: Tensor, lag: float) -> Tensor:
    """The places turn queries and keys ahead of the norms with their factors."""
    return rotation.halves(1 / embedding.timescale, lag) * factor


def _gain(norm: nn.RMSNorm) -> Callable[[Tensor], Tensor]:
    """The factor of a norm between the output projection and the stream."""

    def gain(mixed: Tensor) -> Tensor:
        least = torch.finfo(mixed.dtype).eps if norm.eps is None else norm.eps
        return norm.weight * torch.rsqrt(mixed.pow(2).mean(dim=-1, keepdim=True) + least)

    return gain
