"""nano-chronos-t5: an encoder-decoder over value bins, trained with cross-entropy."""

import math
from dataclasses import replace
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


def tokens(seen: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bins of the contexts, which of them are known, and the targets' bins: [series, time]."""
    tokenizer: Any = ChronosConfig(**FORECASTING).create_tokenizer()
    bins, mask, scale = tokenizer.context_input_transform(seen.cpu())
    labels, known, _ = tokenizer._input_transform(target.cpu(), scale)
    labels[~known] = -100
    return bins.to(seen.device), mask.to(seen.device), labels.to(seen.device)


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the target's bins, given the context's."""
    bins, mask, labels = tokens(seen, target)
    return net(input_ids=bins, attention_mask=mask, labels=labels).loss


def drawn(net: Any, read: Tensor, mask: Tensor, before: Tensor, rng: torch.Generator) -> Tensor:
    """One draw of every bin, given the bins before it: [series, time]."""
    with torch.no_grad():
        given = {"encoder_outputs": (read,), "attention_mask": mask}
        below = net(**given, decoder_input_ids=before).logits.softmax(-1).cumsum(-1)
        luck = torch.rand(*before.shape, 1, generator=rng).to(below.device) * below[..., -1:]
        return torch.searchsorted(below, luck)[..., 0].clamp(max=BINS - 1)


def loss_after_draws(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy where up to all of the values before are draws, as they are in a forecast.

    A network that has seen true values alone does not find back after one wrong draw. The draws are
    made twice over, all at once (scheduled sampling in parallel, Mihaylova and Martins 2019,
    arXiv 1906.07651); a third of the series has none of them.
    """
    bins, mask, labels = tokens(seen, target)
    read = net.encoder(input_ids=bins, attention_mask=mask).last_hidden_state
    true = before = net._shift_right(labels)
    rng = torch.Generator().manual_seed(int(true.sum()))
    share = (1.5 * torch.rand(len(true), 1, generator=rng) - 0.5).clamp(min=0.0)
    for _ in range(2):
        swap = (torch.rand(true.shape, generator=rng) < share).to(true.device)
        own = net._shift_right(drawn(net, read.detach(), mask, before, rng))
        before = torch.where(swap, own, true)
    given = {"encoder_outputs": (read,), "attention_mask": mask}
    return net(**given, decoder_input_ids=before, labels=labels).loss


ABOUT = """\
Chronos-T5 (Ansari et al. 2024, arXiv 2403.07815): 6 encoder and 6 decoder layers, 4 heads of 32,
width 128, feed-forward 256; 4,096 value bins between -8 and 8 times the mean size; context 256,
horizon 48. Embeddings of bins started as smooth waves of the bin's centre; one encoder head each
started on the step before and after, one decoder head on the step before; cross-attention started
on equal values. In the end trained with some of the values before each one replaced by its own
draws (scheduled sampling), and on smooth motifs that lean, grow and wander."""

START = Family(
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

FINISH = Stage(
    until=1.0,
    motifs=0.55,
    aligned=0.0,
    longest=64,
    batches={64: (40, 0.3), 128: (26, 0.9), 256: (16, 1.5)},
    noisy=0.6,
    smooth=0.45,
    leaning=0.45,
    wandering=0.5,
)
FAMILY = replace(START, finish=replace(START, rate=1e-3, stages=(FINISH,), loss=loss_after_draws))
