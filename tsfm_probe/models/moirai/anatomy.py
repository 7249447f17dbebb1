"""Where the parts of both Moirai networks are."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection, Stack
from tsfm_probe.models import rotation
from tsfm_probe.models.cut.body import Silent
from tsfm_probe.models.moirai.encoder import EPSILON, HEAD_DIM, Encoder, rates


def anatomy(encoder: Encoder, output: nn.Module) -> Anatomy:
    """The parts of the encoder; it is called a decoder where it is causal."""
    name = "decoder" if encoder.causal else "encoder"
    components = []
    layers: list[Any] = list(encoder.layers)
    for index, layer in enumerate(layers):
        if not isinstance(layer.self_attn, Silent):
            components.append(_attention(Address(name, index, "any"), layer))
        if not isinstance(ffn := layer.ffn, Silent):
            matrices = {"gate": ffn.fc_gate.weight, "value": ffn.fc1.weight, "out": ffn.fc2.weight}
            components.append(Component(Address(name, index, "mlp"), ffn.fc2, matrices=matrices))
    stack = Stack(name, tuple(layer.norm1 for layer in layers), encoder.norm)
    return Anatomy(components, [stack], output)


def _attention(at: Address, layer: Any) -> Component:
    attention = layer.self_attn
    heads, mix = attention.heads, attention.out_proj
    query, key = attention.q_norm.weight, attention.k_norm.weight
    projections = {
        one: Projection(
            getattr(attention, f"{one}_proj"), heads, gain=layer.norm1.weight, factor=factor
        )
        for one, factor in (("q", query), ("k", key), ("v", None))
    }
    return Component(at, mix, mix, heads, projections, rotary=partial(_rotary, query, key))


def _rotary(query: Tensor, key: Tensor, lag: float) -> Tensor:
    turned = rotation.neighbours(rates(query.device), lag, HEAD_DIM)
    return query.detach()[:, None] * turned * key.detach()


def frozen_norm(norm: nn.RMSNorm, stream: Tensor) -> Callable[[Tensor], Tensor]:
    """An RMS norm as the linear map that it is at `stream`: [row, token, d] to the same."""
    mean_square = stream.to(torch.float32).pow(2).mean(-1, keepdim=True)
    scale = norm.weight * torch.rsqrt(mean_square + EPSILON)
    return lambda part: (part * scale).to(part.dtype)
