"""Cutting a TimesFM 2.5 or 3.0."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.models.cut.body import Body, Hidden, Silent

ATTENTIONS = {"time": "seq_attn", "variate": "var_attn"}


class SilentAttention25(Silent):
    """Where an attention of TimesFM 2.5 was."""

    def forward(self, hidden_states: Tensor, **_: Any) -> tuple[Tensor, None]:
        """Zeros and no map."""
        return torch.zeros_like(hidden_states), None


class SilentAttention3(Silent):
    """Where an attention of TimesFM 3.0 was."""

    def forward(self, inputs_q: Tensor, **more: Any) -> tuple[Tensor, Any, None]:
        """Zeros, the cache as it was, and no mask."""
        return torch.zeros_like(inputs_q), more.get("decode_cache"), None


class TimesFM25Body(Body):
    """The decoder of a TimesFM 2.5 as transformers has it."""

    def layers(self, net: Any, stack: str) -> Any:
        return net.model.layers

    def recount(self, net: Any, stack: str) -> None:
        for config in (net.config, net.model.config):
            config.num_hidden_layers = len(net.model.layers)
        for place, layer in enumerate(net.model.layers):
            layer.self_attn.layer_idx = place

    def hidden(self, net: Any, at: Address) -> Hidden:
        mlp = net.model.layers[at.layer].mlp
        return Hidden((mlp.fc1,), mlp.fc2)

    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        net.model.layers[at.layer].self_attn.num_key_value_groups = len(left) // groups

    def silence(self, net: Any, at: Address) -> None:
        layer = net.model.layers[at.layer]
        if at.part == "mlp":
            layer.mlp = Silent()
        else:
            layer.self_attn = SilentAttention25()


class TimesFM3Body(Body):
    """The stack of a TimesFM 3.0, whose package reads no network with other layers."""

    def hidden(self, net: Any, at: Address) -> Hidden:
        layer = net.transformer_stack.layers[at.layer]
        return Hidden((layer.ff0,), layer.ff1)

    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        attention = getattr(net.transformer_stack.layers[at.layer], ATTENTIONS[at.part])
        attention.num_heads = len(left)
        attention.in_features = len(left) * attention.head_dim

    def silence(self, net: Any, at: Address) -> None:
        layer = net.transformer_stack.layers[at.layer]
        if at.part == "mlp":
            layer.ff0, layer.ff1 = nn.Identity(), Silent()
        else:
            setattr(layer, ATTENTIONS[at.part], SilentAttention3())
