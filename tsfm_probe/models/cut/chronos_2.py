"""Cutting a Chronos-2."""

from collections.abc import Sequence
from typing import Any

import torch
from chronos.chronos2.layers import AttentionOutput
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.models.cut.body import Body, Hidden, Silent

PLACES = {"time": 0, "group": 1, "mlp": 2}


class SilentAttention(Silent):
    """Where an attention over time or over a group was."""

    def forward(self, stream: Tensor, *_: Any, **__: Any) -> AttentionOutput:
        """Zeros, as upstream's attention gives them."""
        return AttentionOutput(hidden_states=torch.zeros_like(stream))


class Chronos2Body(Body):
    """The one stack of a Chronos-2."""

    def layers(self, net: Any, stack: str) -> Any:
        return net.encoder.block

    def recount(self, net: Any, stack: str) -> None:
        net.config.num_layers = len(net.encoder.block)

    def hidden(self, net: Any, at: Address) -> Hidden:
        mlp = self._holder(net, at).mlp
        return Hidden((mlp.wi,), mlp.wo)

    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        attention = self._holder(net, at).self_attention
        attention.n_heads = len(left)
        attention.inner_dim = len(left) * attention.kv_proj_dim

    def silence(self, net: Any, at: Address) -> None:
        holder = self._holder(net, at)
        if at.part == "mlp":
            holder.mlp = Silent()
        else:
            holder.self_attention = SilentAttention()

    def _holder(self, net: Any, at: Address) -> Any:
        return net.encoder.block[at.layer].layer[PLACES[at.part]]
