"""nano-chronos-bolt: an encoder of patches and a decoder of one token, with quantile loss."""

from typing import Any

import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from family import QUANTILES, Family, Stage
from starts import blocks, look, match, pass_on
from torch import Tensor
from transformers import T5Config

PATCH = 8
HORIZON = 64
BUCKETS = 256
REGISTER = 1


def built(seed: int) -> ChronosBoltModelForForecasting:
    """A new network of about three million parameters in upstream's architecture."""
    shape = {
        "architectures": ["ChronosBoltModelForForecasting"],
        "chronos_pipeline_class": "ChronosBoltPipeline",
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 384,
        "num_heads": 4,
        "num_layers": 6,
        "num_decoder_layers": 6,
        # Enough buckets that each distance between two tokens has its own bias.
        "relative_attention_num_buckets": BUCKETS,
        "relative_attention_max_distance": BUCKETS,
        "dropout_rate": 0.0,
        "feed_forward_proj": "relu",
        "initializer_factor": 1.0,
        "vocab_size": 2,
        "pad_token_id": 0,
        "eos_token_id": REGISTER,
        "decoder_start_token_id": 0,
        "chronos_config": {
            "context_length": 512,
            "prediction_length": HORIZON,
            "input_patch_size": PATCH,
            "input_patch_stride": PATCH,
            "quantiles": list(QUANTILES),
            "use_reg_token": True,
        },
    }
    torch.manual_seed(seed)
    net = ChronosBoltModelForForecasting(T5Config.from_dict(shape))
    with torch.no_grad():
        begin(net)
    return net


def begin(net: Any) -> None:
    """Start some encoder heads on the neighbouring patches, and attention on like patches."""
    blocks(net.input_patch_embedding, net.output_patch_embedding)
    first = net.encoder.block[0].layer[0].SelfAttention
    look(first, BUCKETS // 2, (1, -1, 0, 0), (0.05, 0.05, 0.1, 0.0))
    for block in net.encoder.block:
        inner = block.layer[0].SelfAttention
        match(inner.q, inner.k, inner.n_heads, (2, 3))
        pass_on(inner.v, inner.o, inner.n_heads, (2, 3))
    for block in net.decoder.block:
        cross = block.layer[1].EncDecAttention
        match(cross.q, cross.k, cross.n_heads)
        pass_on(cross.v, cross.o, cross.n_heads)
    # The decoder's only token looks at the last of the encoder first, and does not drown what its
    # layers write.
    net.shared.weight[net.config.decoder_start_token_id] = 0.3 * net.shared.weight[REGISTER]


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Upstream's quantile loss per step of the horizon."""
    return net(context=seen, target=target).loss / HORIZON


ABOUT = """\
Chronos-Bolt (Ansari et al.): 6 encoder and 6 decoder layers, 4 heads of 32, width 128,
feed-forward 384; patches of 8 steps, context 512, horizon 64, quantiles 0.1 to 0.9. Unlike the
published checkpoints it has 256 buckets of relative position, one for each distance. One encoder
head each started on the patch before and after; the other
heads' keys as queries and their outputs as values."""

FAMILY = Family(
    name="chronos-bolt",
    token=PATCH,
    horizon=HORIZON,
    rate=2e-3,
    stages=(
        Stage(0.32, 0.85, 0.8, 32, {64: (256, 1.0), 96: (192, 1.0)}),
        Stage(0.65, 0.85, 0.7, 40, {96: (192, 1.0), 128: (144, 1.0)}, shortest=12),
        Stage(0.8, 0.5, 0.5, 64, {96: (192, 1.0), 128: (144, 1.0), 256: (80, 1.0)}),
        Stage(
            1.0, 0.3, 0.3, 100, {64: (192, 0.5), 128: (128, 1.0), 256: (72, 1.0), 512: (32, 1.0)}
        ),
    ),
    about=ABOUT,
    built=built,
    loss=loss,
)
