"""nano-chronos-2: one stack that reads context and masked future patches, with quantile loss."""

from typing import Any

import torch
from chronos.chronos2 import Chronos2Model
from chronos.chronos2.config import Chronos2CoreConfig
from family import QUANTILES, Family, Stage
from starts import blocks, match, pass_on
from torch import Tensor, nn

PATCH = 8
PATCHES = 6
HORIZON = PATCHES * PATCH


def built(seed: int) -> Chronos2Model:
    """A new network of about one and a half million parameters in upstream's architecture."""
    torch.manual_seed(seed)
    config = Chronos2CoreConfig(
        architectures=["Chronos2Model"],
        chronos_pipeline_class="Chronos2Pipeline",
        d_model=128,
        d_kv=32,
        d_ff=384,
        num_layers=6,
        num_heads=4,
        dropout_rate=0.0,
        initializer_factor=1.0,
        rope_theta=1000.0,
        reg_token_id=1,
        vocab_size=2,
        chronos_config={
            "context_length": 512,
            "input_patch_size": PATCH,
            "input_patch_stride": PATCH,
            "output_patch_size": PATCH,
            "max_output_patches": 16,
            "quantiles": list(QUANTILES),
            "use_reg_token": True,
            "use_arcsinh": True,
            "time_encoding_scale": 512,
        },
    )
    net = Chronos2Model(config)
    with torch.no_grad():
        begin(net)
    return net


def begin(net: Any) -> None:
    """Start attention over time on like patches, and group attention, alone here, with little."""
    blocks(net.input_patch_embedding, net.output_patch_embedding)
    # The masked future patches are all zeros: a start at the bias sets them apart from nothing.
    nn.init.normal_(net.input_patch_embedding.output_layer.bias, std=0.5)
    for block in net.encoder.block:
        time, group = block.layer[0].self_attention, block.layer[1].self_attention
        match(time.q, time.k, net.config.num_heads, (2, 3))
        pass_on(time.v, time.o, net.config.num_heads, (2, 3))
        group.o.weight.mul_(0.1)


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Upstream's quantile loss per level."""
    out = net(context=seen, future_target=target, num_output_patches=PATCHES)
    return out.loss / len(QUANTILES)


ABOUT = """\
Chronos-2 (Ansari et al. 2025, arXiv 2510.15821): 6 layers of time and group attention, 4 heads of
32, width 128, feed-forward 384; patches of 8 steps, context 512, up to 16 output patches, quantiles
0.1 to 0.9. It was trained on single series, so that its group attention never saw a group. In two
heads of time attention the keys started as queries and the outputs as values."""

FAMILY = Family(
    name="chronos-2",
    token=PATCH,
    horizon=HORIZON,
    rate=2e-3,
    stages=(
        Stage(0.35, 0.8, 0.8, 32, {64: (192, 1.0), 96: (144, 1.0)}),
        Stage(0.65, 0.5, 0.5, 64, {96: (144, 1.0), 128: (112, 1.0), 256: (64, 1.0)}),
        Stage(
            1.0, 0.3, 0.3, 100, {64: (144, 0.5), 128: (112, 1.0), 256: (64, 1.0), 496: (32, 1.0)}
        ),
    ),
    about=ABOUT,
    built=built,
    loss=loss,
)
