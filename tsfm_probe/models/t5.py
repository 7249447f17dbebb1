"""What Chronos-T5 and Chronos-Bolt share: the anatomy of an encoder-decoder T5."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection, Stack
from tsfm_probe.models.cut.body import Silent


def anatomy(encoder: Any, decoder: Any, output: nn.Module) -> Anatomy:
    """The parts of a T5 encoder and decoder whose final stream `output` reads."""
    memory = encoder.final_layer_norm.weight
    components = [
        *_stack_components("encoder", encoder, memory),
        *_stack_components("decoder", decoder, memory),
    ]
    return Anatomy(components, [_stack("encoder", encoder), _stack("decoder", decoder)], output)


def _stack(name: str, stack: Any) -> Stack:
    starts = tuple(block.layer[0].layer_norm for block in stack.block)
    norm = stack.final_layer_norm
    return Stack(name, starts, norm, frozen=partial(frozen_norm, norm))


def _stack_components(name: str, stack: Any, memory: Tensor) -> list[Component]:
    found = []
    for layer, block in enumerate(stack.block):
        first, *between, last = block.layer
        if not isinstance(first.SelfAttention, Silent):
            at, gain = Address(name, layer, "self"), first.layer_norm.weight
            found.append(component(at, first.SelfAttention, gain))
        for one in between:
            if not isinstance(one.EncDecAttention, Silent):
                at, gain = Address(name, layer, "cross"), one.layer_norm.weight
                cross = component(at, one.EncDecAttention, gain, memory)
                found.append(replace(cross, keys_from="encoder"))
        if not isinstance(last.DenseReluDense, Silent):
            found.append(mlp(Address(name, layer, "mlp"), last.DenseReluDense))
    return found


def component(at: Address, attention: Any, gain: Tensor, memory: Tensor | None = None) -> Component:
    """The component of an attention module with the names of T5: q, k, v, o.

    gain: of the norm in front of it. memory: of the norm in front of its keys and values, where
    that is another one.
    """
    heads, other = attention.n_heads, gain if memory is None else memory
    projections = {
        name: Projection(getattr(attention, name), heads, gain=one)
        for name, one in (("q", gain), ("k", other), ("v", other))
    }
    return Component(at, attention.o, attention.o, heads, projections)


def mlp(at: Address, module: Any) -> Component:
    """The component of an MLP with the names of T5."""
    names = {"wi": "in", "wi_0": "gate", "wi_1": "value", "wo": "out"}
    matrices = {names[name]: one.weight for name, one in module.named_children() if name in names}
    return Component(at, module.wo, matrices=matrices)


def frozen_norm(norm: Any, stream: Tensor) -> Callable[[Tensor], Tensor]:
    """An RMS norm as the linear map that it is at `stream`: [batch, time, d] to the same."""
    mean_square = stream.to(torch.float32).pow(2).mean(-1, keepdim=True)
    scale = norm.weight * torch.rsqrt(mean_square + norm.variance_epsilon)
    return lambda part: (part * scale).to(part.dtype)
