"""nano-chronos-t5: an encoder-decoder over value bins, trained with cross-entropy."""

import math
from typing import Any

import torch
from chronos import ChronosConfig
from family import Family, Stage
from starts import look, match, pass_on
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

HORIZON = 48
WIDTH = 128
BINS = 4096
LIMIT = 8.0
SPECIAL = 2
FORECASTING = {
    "tokenizer_class": "MeanScaleUniformBins",
    "tokenizer_kwargs": {"low_limit": -LIMIT, "high_limit": LIMIT},
    "context_length": 256,
    "prediction_length": HORIZON,
    "n_tokens": BINS,
    "n_special_tokens": SPECIAL,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "use_eos_token": True,
    "model_type": "seq2seq",
    "num_samples": 20,
    "temperature": 0.9,
    "top_k": BINS,
    "top_p": 1.0,
}


def built(seed: int) -> T5ForConditionalGeneration:
    """A new network of about two million parameters in upstream's architecture."""
    torch.manual_seed(seed)
    shape = {
        "architectures": ["T5ForConditionalGeneration"],
        "chronos_pipeline_class": "ChronosPipeline",
        "vocab_size": BINS,
        "d_model": WIDTH,
        "d_kv": 32,
        "d_ff": 256,
        "num_layers": 6,
        "num_decoder_layers": 6,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "feed_forward_proj": "relu",
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
        "chronos_config": FORECASTING,
    }
    net = T5ForConditionalGeneration(T5Config.from_dict(shape))
    with torch.no_grad():
        net.shared.weight[SPECIAL:] = waves(BINS - SPECIAL)
        begin(net)
    return net


def waves(bins: int) -> Tensor:
    """Embeddings of the bins' centres that change smoothly: [bin, d].

    Near bins start alike, so that what is learned of one holds for its neighbours; from the usual
    independent start each bin must be learned alone.
    """
    centres = torch.linspace(-LIMIT, LIMIT, bins)[:, None]
    turns = torch.exp(torch.empty(WIDTH).uniform_(math.log(0.2), math.log(400.0)))
    return math.sqrt(2.0) * torch.cos(centres * turns + torch.rand(WIDTH) * 2 * math.pi)


def begin(net: Any) -> None:
    """Start some heads on the neighbouring step, and cross-attention on equal values."""
    look(net.encoder.block[0].layer[0].SelfAttention, 128, (1, -1, 0, 0), (0.0, 0.0, 0.1, 0.0))
    look(net.decoder.block[0].layer[0].SelfAttention, 128, (-1, 0, 0, 0), (0.0, 0.1, 0.0, 0.0))
    for block in net.decoder.block:
        cross = block.layer[1].EncDecAttention
        match(cross.q, cross.k, cross.n_heads)
        pass_on(cross.v, cross.o, cross.n_heads)


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the target's bins, given the context's."""
    tokenizer: Any = ChronosConfig(**FORECASTING).create_tokenizer()
    tokens, mask, scale = tokenizer.context_input_transform(seen.cpu())
    labels, known, _ = tokenizer._input_transform(target.cpu(), scale)
    labels[~known] = -100
    place = seen.device
    given = {"input_ids": tokens, "attention_mask": mask, "labels": labels}
    return net(**{name: part.to(place) for name, part in given.items()}).loss


ABOUT = """\
Chronos-T5 (Ansari et al. 2024, arXiv 2403.07815): 6 encoder and 6 decoder layers, 4 heads of 32,
width 128, feed-forward 256; 4,096 value bins between -8 and 8 times the mean size; context 256,
horizon 48. Embeddings of bins started as smooth waves of the bin's centre; one encoder head each
started on the step before and after, one decoder head on the step before; cross-attention started
on equal values."""

FAMILY = Family(
    name="chronos-t5",
    token=1,
    horizon=HORIZON,
    rate=2e-3,
    stages=(
        Stage(0.05, 0.9, 0.0, 24, {32: (64, 1.0), 48: (56, 1.0)}),
        Stage(0.15, 0.5, 0.0, 48, {48: (48, 1.0), 80: (40, 1.0)}),
        Stage(0.54, 0.12, 0.0, 96, {64: (40, 0.8), 128: (26, 1.0), 256: (16, 1.0)}),
        Stage(1.0, 0.3, 0.0, 96, {64: (40, 0.6), 128: (26, 1.0), 256: (16, 1.0)}, noisy=0.85),
    ),
    about=ABOUT,
    built=built,
    loss=loss,
)
