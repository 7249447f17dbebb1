"""A T5 decoder that is run one token at a time for many samples of each series."""

from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from tsfm_probe.models.cut.body import Silent
from tsfm_probe.models.cut.t5 import own_positions


class CachedDecoder:
    """Next-token logits over upstream's decoder modules, with cached keys and values.

    The keys and values of the cross-attention are made once per series and shared by its samples,
    which attend to them as so many queries. The modules of upstream are called for every
    projection, norm and MLP, so that hooks on them see [series * sample, 1, d].

    net: a T5ForConditionalGeneration. hidden: [series, time, d] from its encoder.
    mask: [series, time], True where the encoder read a value. samples: per series.
    steps: how many tokens will be decoded at most.
    """

    def __init__(self, net: Any, hidden: Tensor, mask: Tensor, samples: int, steps: int) -> None:
        self.net = net
        self.decoder = net.decoder
        self.samples = samples
        self.step_number = 0
        first = self.decoder.block[0].layer[0].SelfAttention
        self.bias = first.compute_bias(steps, steps, device=hidden.device)
        lowest = torch.finfo(hidden.dtype).min
        self.hidden_bias = (~mask.bool())[:, None, None].to(hidden.dtype) * lowest
        self.cross = [self._cross_states(block, hidden) for block in self.decoder.block]
        rows = hidden.shape[0] * samples
        inner = [block.layer[0].SelfAttention for block in self.decoder.block]
        shapes = [(rows, one.n_heads, steps, one.key_value_proj_dim) for one in inner]
        self.own = [(hidden.new_empty(shape), hidden.new_empty(shape)) for shape in shapes]

    @staticmethod
    def _cross_states(block: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
        attention = block.layer[1].EncDecAttention
        if isinstance(attention, Silent):
            return hidden, hidden
        pattern = "series time (head d) -> series head time d"
        return (
            rearrange(attention.k(hidden), pattern, head=attention.n_heads).contiguous(),
            rearrange(attention.v(hidden), pattern, head=attention.n_heads).contiguous(),
        )

    def step(self, tokens: Tensor) -> Tensor:
        """Logits [series * sample, token] after these tokens [series * sample] have been read."""
        stream = self.net.get_input_embeddings()(tokens)[:, None]
        for layer, block in enumerate(self.decoder.block):
            stream = stream + self._self_attention(layer, block.layer[0], stream)
            stream = stream + self._cross_attention(layer, block.layer[1], stream)
            stream = stream + block.layer[2].DenseReluDense(block.layer[2].layer_norm(stream))
        self.step_number += 1
        stream = self.decoder.final_layer_norm(stream)
        return self.net.lm_head(stream * output_scale(self.net))[:, 0]

    def _self_attention(self, layer: int, part: Any, stream: Tensor) -> Tensor:
        attention, step = part.SelfAttention, self.step_number
        if isinstance(attention, Silent):
            return torch.zeros_like(stream)
        normed = part.layer_norm(stream)
        pattern = "row 1 (head d) -> row head 1 d"
        query, key, value = (
            rearrange(one(normed), pattern, head=attention.n_heads)
            for one in (attention.q, attention.k, attention.v)
        )
        keys, values = self.own[layer]
        keys[:, :, step : step + 1] = key
        values[:, :, step : step + 1] = value
        scores = query @ keys[:, :, : step + 1].transpose(-1, -2)
        bias = own_positions(attention, self.bias)
        scores = scores + bias[:, :, step : step + 1, : step + 1]
        mixed = scores.float().softmax(-1).to(value.dtype) @ values[:, :, : step + 1]
        return attention.o(rearrange(mixed, "row head 1 d -> row 1 (head d)"))

    def _cross_attention(self, layer: int, part: Any, stream: Tensor) -> Tensor:
        attention = part.EncDecAttention
        if isinstance(attention, Silent):
            return torch.zeros_like(stream)
        keys, values = self.cross[layer]
        query = rearrange(
            attention.q(part.layer_norm(stream)),
            "(series sample) 1 (head d) -> series head sample d",
            sample=self.samples,
            head=attention.n_heads,
        )
        scores = query @ keys.transpose(-1, -2) + self.hidden_bias
        mixed = scores.float().softmax(-1).to(values.dtype) @ values
        return attention.o(rearrange(mixed, "series head sample d -> (series sample) 1 (head d)"))


def start_tokens(net: Any, series: int, samples: int) -> Tensor:
    """What every path begins with: [series * sample]."""
    start = torch.tensor([net.config.decoder_start_token_id], device=net.device)
    return repeat(start, "1 -> row", row=series * samples)


def output_scale(net: Any) -> float:
    """What the stream is multiplied with before the unembedding of a T5 with shared embeddings."""
    return net.config.d_model**-0.5 if net.config.tie_word_embeddings else 1.0
