"""The network of nano-chronos-bolt before training, in upstream's architecture and format."""

from typing import Any, cast

import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from pool import HORIZON
from torch import nn
from transformers import T5Config


def built(seed: int, device: str = "cpu") -> ChronosBoltModelForForecasting:
    """A new network of about four million parameters in upstream's Chronos-Bolt architecture."""
    shape = {
        "architectures": ["ChronosBoltModelForForecasting"],
        "chronos_pipeline_class": "ChronosBoltPipeline",
        "d_model": 192,
        "d_kv": 48,
        "d_ff": 512,
        "num_heads": 4,
        "num_layers": 4,
        "num_decoder_layers": 4,
        # Enough buckets that each distance between two of the 33 tokens has its own bias.
        "relative_attention_num_buckets": 128,
        "relative_attention_max_distance": 128,
        "dropout_rate": 0.0,
        "feed_forward_proj": "relu",
        "initializer_factor": 1.0,
        "vocab_size": 2,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
        "chronos_config": {
            "context_length": 512,
            "prediction_length": HORIZON,
            "input_patch_size": 16,
            "input_patch_stride": 16,
            "quantiles": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
            "use_reg_token": True,
        },
    }
    torch.manual_seed(seed)
    with torch.device(device):
        net = ChronosBoltModelForForecasting(T5Config.from_dict(shape))
    with torch.no_grad():
        sharpen(net)
    return net


def sharpen(net: ChronosBoltModelForForecasting) -> None:
    """Start attention unevenly; from upstream's start, near uniform, it learns nothing for long."""
    # Upstream's own start of these two blocks has unit weights under transformers 5, which drowns
    # what the layers write.
    for block, gain in ((net.input_patch_embedding, 1.0), (net.output_patch_embedding, 0.2)):
        for linear in (block.hidden_layer, block.output_layer, block.residual_layer):
            share = 1.0 if linear is block.hidden_layer else gain
            nn.init.normal_(linear.weight, std=share * linear.in_features**-0.5)
    # Encoder heads look at near patches (as in Press et al. 2022), each in its own measure.
    attention = cast(Any, net.encoder).block[0].layer[0].SelfAttention
    bias = attention.relative_attention_bias.weight
    gaps = torch.arange(-64, 65, device=bias.device)
    buckets = attention._relative_position_bucket(
        gaps, num_buckets=bias.shape[0], max_distance=bias.shape[0]
    )
    slopes = torch.tensor([1.0, 0.3, 0.1, 0.0], device=bias.device)
    bias[buckets] = 0.5 * torch.randn_like(bias[buckets]) - slopes * gaps.abs()[:, None]
    # The decoder's queries tell patches apart, and its only token does not drown what they write.
    for layer in cast(Any, net.decoder).block:
        layer.layer[1].EncDecAttention.q.weight.mul_(5)
    net.shared.weight[net.config.decoder_start_token_id].mul_(0.1)
