"""Cutting a T5: its relative positions are made in the first layer for all heads of all layers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.models.t5.modeling_t5 import T5Attention

from tsfm_probe.address import Address
from tsfm_probe.models.cut.body import Body, Hidden, Silent

MODULES = {"self": "SelfAttention", "cross": "EncDecAttention", "mlp": "DenseReluDense"}
LAYERS = {"encoder": "num_layers", "decoder": "num_decoder_layers"}


class KeptHeads(T5Attention):
    """An attention with some of its heads: it takes theirs from the positions of all."""

    kept: tuple[int, ...]

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        past_key_values: Any = None,
        **more: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """As upstream's; the positions of all heads are handed on to the layers behind."""
        given = _positions(self, hidden_states, position_bias, past_key_values)
        own = None if given is None else given[:, self.kept]
        made, _, weights = super().forward(
            hidden_states, mask, key_value_states, own, past_key_values, **more
        )
        return made, given, weights


class SilentAttention(T5Attention, Silent):
    """Where an attention was; it makes the positions and the length of the cache if others did."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        past_key_values: Any = None,
        **more: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Zeros, and the positions of all heads."""
        given = _positions(self, hidden_states, position_bias, past_key_values)
        if past_key_values is not None and key_value_states is None:
            # Upstream asks the cache of layer 0 how many tokens there were.
            rows, tokens, _ = hidden_states.shape
            empty = hidden_states.new_zeros(rows, 1, tokens, 1)
            cache = getattr(past_key_values, "self_attention_cache", past_key_values)
            cache.update(empty, empty, self.layer_idx)
        return torch.zeros_like(hidden_states), given, None


def _positions(
    attention: T5Attention, stream: Tensor, given: Tensor | None, cache: Any
) -> Tensor | None:
    """What is added to the scores of all heads; None where no attention has made it as yet."""
    if given is not None or not attention.has_relative_attention_bias:
        return given
    before = 0 if cache is None else int(cache.get_seq_length(attention.layer_idx))
    tokens = stream.shape[1]
    return attention.compute_bias(tokens, before + tokens, stream.device, before)


def own_positions(attention: T5Attention, positions: Tensor) -> Tensor:
    """Those of the heads that an attention has, of those of all heads [1, head, query, key]."""
    return positions[:, attention.kept] if isinstance(attention, KeptHeads) else positions


class T5Body(Body):
    """An encoder and a decoder of T5."""

    def layers(self, net: Any, stack: str) -> Any:
        return getattr(net, stack).block

    def recount(self, net: Any, stack: str) -> None:
        blocks = self.layers(net, stack)
        for config in (net.config, getattr(net, stack).config):
            setattr(config, LAYERS[stack], len(blocks))
        # Upstream's stacks read num_layers; its cache has as many layers as `decoder_layers` says,
        # if anything does, and otherwise as many as the encoder.
        getattr(net, stack).config.num_layers = len(blocks)
        net.config.decoder_layers = len(net.decoder.block)
        for place, block in enumerate(blocks):
            for layer in block.layer[:-1]:
                self._attention(layer).layer_idx = place

    def keep_layers(self, net: Any, stack: str, left: Sequence[int]) -> None:
        first = self._attention(self.layers(net, stack)[0].layer[0])
        positions = first.relative_attention_bias
        super().keep_layers(net, stack, left)
        first = self._attention(self.layers(net, stack)[0].layer[0])
        first.relative_attention_bias, first.has_relative_attention_bias = positions, True

    @staticmethod
    def _attention(layer: Any) -> Any:
        return next(one for one in layer.children() if isinstance(one, T5Attention))

    def _holder(self, net: Any, at: Address) -> Any:
        """The module that holds a part under its name in MODULES."""
        layers = self.layers(net, at.stack)[at.layer].layer
        return layers[{"self": 0, "cross": 1, "mlp": -1}[at.part]]

    def hidden(self, net: Any, at: Address) -> Hidden:
        mlp = self._holder(net, at).DenseReluDense
        into = [one for name, one in mlp.named_children() if name in ("wi", "wi_0", "wi_1")]
        return Hidden(tuple(into), mlp.wo)

    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        attention: Any = getattr(self._holder(net, at), MODULES[at.part])
        before = attention.kept if isinstance(attention, KeptHeads) else range(attention.n_heads)
        # The class is changed in place, so that weights keep their names and hooks their modules.
        attention.__class__ = KeptHeads
        attention.kept = tuple(before[head] for head in left)
        attention.n_heads = len(left)
        attention.inner_dim = len(left) * attention.key_value_proj_dim

    def silence(self, net: Any, at: Address) -> None:
        holder = self._holder(net, at)
        if at.part == "mlp":
            holder.DenseReluDense = Silent()
            return
        attention: Any = getattr(holder, MODULES[at.part])
        for name in "qkvo":
            delattr(attention, name)
        attention.__class__ = SilentAttention
        attention.n_heads = attention.inner_dim = 0
