"""The anatomy names the right weights and the right layers: shown without the laws' own code."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.families import BLOCKS, NETWORKS, contexts
from tsfm_probe.address import Address
from tsfm_probe.anatomy import Component
from tsfm_probe.models.base import Model
from tsfm_probe.surgery import edit

Tiny = Callable[[str], Model]
HORIZON = 9


@pytest.mark.parametrize("family", NETWORKS)
def test_law_9_head_weights_reproduce_q_k_and_v_on_real_input(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    seen: dict[tuple[Address, str], tuple[torch.Tensor, torch.Tensor]] = {}

    def keep(at: Address, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            seen.setdefault((at, name), (inputs[0].detach(), output.detach()))

        return hook

    for at in model.anatomy.parts:
        for name, projection in model.anatomy[at].projections.items():
            projection.linear.register_forward_hook(keep(at, name))
    model.forecast(contexts(), 1)
    assert len(seen) == 3 * sum(model.anatomy[at].heads > 0 for at in model.anatomy.parts)
    for (at, name), (given, made) in seen.items():
        component = model.anatomy[at]
        for head in range(component.heads):
            weights = model.anatomy.head_weights(replace(at, head=head))
            projection = component.projections[name]
            bias = projection.bias(component.group(name, head))
            found = given @ getattr(weights, name).T
            found = found if bias is None else found + projection.scale * bias
            places = outputs(family, name, head, component)
            torch.testing.assert_close(found, made[..., places], rtol=1e-5, atol=1e-5)


def outputs(family: str, name: str, head: int, component: Component) -> np.ndarray:
    """Where a map's output has one head's q, k or v, told without the anatomy's own rows."""
    heads, groups = component.heads, component.projections["k"].groups
    own = head if name == "q" else head * groups // heads
    size = component.head_dim
    if family == "toto-1":  # three projections in one map, the head running fastest
        return "qkv".index(name) * heads * size + np.arange(size) * heads + head
    if family == "toto-2":  # q of all heads, then k and v of all groups; 12 values in q and k
        wide = 12
        first = {"q": 0, "k": heads * wide, "v": (heads + groups) * wide}[name]
        return (
            first + own * (size if name == "v" else wide) + np.arange(size if name == "v" else wide)
        )
    return own * size + np.arange(size)


@pytest.mark.parametrize("family", NETWORKS)
def test_law_5_a_layer_without_its_parts_is_a_network_without_the_layer(
    family: str, tiny: Tiny
) -> None:
    """Deleting the block by hand (its position bias moved on) forecasts the same."""
    whole = tiny(family)
    for name, parts in whole.anatomy.layers.items():
        stack, layer = name.split(".")
        with edit.edited(whole.anatomy, [edit.Edit(at) for at in parts]):
            ablated = whole.forecast(contexts(), HORIZON).values
        cut = tiny(family)
        blocks = BLOCKS.get(family, lambda net, stack=stack: getattr(net, stack).block)(cut.net)
        if int(layer) == 0 and family.startswith("chronos"):
            _move_position_bias(blocks)
        del blocks[int(layer)]
        np.testing.assert_allclose(cut.forecast(contexts(), HORIZON).values, ablated, rtol=1e-5)


def _move_position_bias(blocks: Any) -> None:
    first, second = (block.layer[0] for block in blocks[:2])
    if "SelfAttention" in dict(first.named_children()) and hasattr(
        first.SelfAttention, "relative_attention_bias"
    ):
        second.SelfAttention.relative_attention_bias = first.SelfAttention.relative_attention_bias
        second.SelfAttention.has_relative_attention_bias = True
