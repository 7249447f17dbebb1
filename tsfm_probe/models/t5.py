"""What Chronos-T5 and Chronos-Bolt share: the anatomy of an encoder-decoder T5."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection, Stack


def anatomy(encoder: Any, decoder: Any, output: nn.Module) -> Anatomy:
    """The parts of a T5 encoder and decoder whose final stream `output` reads."""
    components = [*_stack_components("encoder", encoder), *_stack_components("decoder", decoder)]
    return Anatomy(components, [_stack("encoder", encoder), _stack("decoder", decoder)], output)


def _stack(name: str, stack: Any) -> Stack:
    starts = tuple(block.layer[0].layer_norm for block in stack.block)
    return Stack(name, starts, stack.final_layer_norm)


def _stack_components(name: str, stack: Any) -> list[Component]:
    found = []
    for layer, block in enumerate(stack.block):
        for part, attention in attentions(block).items():
            found.append(component(Address(name, layer, part), attention))
        found.append(Component(Address(name, layer, "mlp"), block.layer[-1].DenseReluDense.wo))
    return found


def attentions(block: Any) -> dict[str, Any]:
    """The attention modules of a block by the name of their part."""
    if len(block.layer) == 2:
        return {"self": block.layer[0].SelfAttention}
    return {"self": block.layer[0].SelfAttention, "cross": block.layer[1].EncDecAttention}


def component(at: Address, attention: Any, axes: str = "batch time d") -> Component:
    """The component of an attention module with the names of T5: q, k, v, o."""
    heads = attention.n_heads
    projections = {name: Projection(getattr(attention, name), heads) for name in "qkv"}
    return Component(at, attention.o, attention.o, heads, projections, axes)


def frozen_norm(norm: Any, stream: Tensor) -> Callable[[Tensor], Tensor]:
    """An RMS norm as the linear map that it is at `stream`: [batch, time, d] to the same."""
    mean_square = stream.to(torch.float32).pow(2).mean(-1, keepdim=True)
    scale = norm.weight * torch.rsqrt(mean_square + norm.variance_epsilon)
    return lambda part: part * scale
