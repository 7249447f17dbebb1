"""Chronos-T5 networks whose weights are set by hand, one head after the other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component
from tsfm_probe.models import t5
from tsfm_probe.models.chronos_t5 import ChronosT5
from tsfm_probe.models.source import Source

TOKENS, LIMIT = 256, 4.0
CENTRES = torch.linspace(-LIMIT, LIMIT, TOKENS - 3)
"""What each bin stands for, in mean absolute values of the context: that of token 3 is first."""
SHAPE = {"num_layers": 2, "num_heads": 4, "d_ff": 8, "dropout_rate": 0.0}


def token(value: float) -> int:
    """The token of a scaled value."""
    return 3 + int((CENTRES - value).abs().argmin())


@dataclass(frozen=True, eq=False)
class HandMade:
    """A network of 2 + 2 layers with 4 heads each that knows nothing but what it is given.

    Heads and MLPs that are given nothing write seeded noise: enough to be seen, too little to
    matter. Every norm is plain but the last.
    """

    net: Any
    anatomy: Anatomy

    @classmethod
    @torch.no_grad()
    def silent(
        cls, embedding: Tensor, head: int, seed: int, encoder: float, decoder: float
    ) -> "HandMade":
        """Nothing but an embedding [token, d], and noise.

        head: columns of one head. encoder, decoder: about how long the noise is that one part of
        them writes.
        """
        net = T5ForConditionalGeneration(_config(embedding.shape[1], head))
        generator = torch.Generator().manual_seed(seed)
        for weight in net.parameters():
            if weight.ndim > 1:
                noise = torch.randn(weight.shape, generator=generator)
                weight.copy_(noise * weight.shape[-1] ** -0.5)
        net.shared.weight.copy_(embedding)
        anatomy = t5.anatomy(net.encoder, net.decoder, net.lm_head)
        for at in anatomy.parts:
            length = encoder if at.stack == "encoder" else decoder
            anatomy[at].write.weight.mul_(length * embedding.shape[1] ** -0.5)
        return cls(net.eval(), anatomy)

    @torch.no_grad()
    def head(self, at: Address, *, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """Say what a head does: query and key [any, d], value [other, d], out [d, other]."""
        component = self.anatomy[at]
        for name, rows in (("q", query), ("k", key), ("v", value)):
            _fill(component.rows(name, at.head or 0), rows)
        _fill(_columns(component, at).T, out.T)

    @torch.no_grad()
    def places(self, at: Address, past: Tensor, future: float = 0.0) -> None:
        """Say how much a head likes the places behind it, by lag (lags beyond have the last one's).

        T5 has one such table for a stack: it holds for the head of that number in every layer.
        """
        stack = getattr(self.net, at.stack)
        table = stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight[:, at.head]
        behind = len(table) // 2 if at.stack == "encoder" else len(table)
        table[behind:] = future
        table[:behind] = past[-1]
        table[: len(past)] = past

    @torch.no_grad()
    def reads(self, gain: Tensor) -> None:
        """Say with what gain [d] the last norm hands the stream to the logits."""
        self.net.decoder.final_layer_norm.weight.copy_(gain)

    @property
    def model(self) -> ChronosT5:
        """It as a model, which has no folder."""
        return ChronosT5("by hand", Source(Path(), "folder"), self.net, self.anatomy)

    def write(self, folder: Path) -> Path:
        """Write it in the published format."""
        self.net.save_pretrained(folder)
        return folder


def _columns(component: Component, at: Address) -> Tensor:
    assert component.mix is not None
    assert at.head is not None
    return component.mix.weight[:, component.columns(at.head)]


def _fill(rows: Tensor, given: Tensor) -> None:
    """The given rows, and zeros below them."""
    rows.zero_()
    rows[: len(given)] = given


def _config(width: int, head: int) -> T5Config:
    chronos = {
        "tokenizer_class": "MeanScaleUniformBins",
        "tokenizer_kwargs": {"low_limit": -LIMIT, "high_limit": LIMIT},
        "context_length": 256,
        "prediction_length": 48,
        "n_tokens": TOKENS,
        "n_special_tokens": 2,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "use_eos_token": True,
        "model_type": "seq2seq",
        "num_samples": 20,
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
    }
    ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    config = T5Config(**SHAPE, **ids, d_model=width, d_kv=head, vocab_size=TOKENS)
    config.chronos_config = chronos
    return config
