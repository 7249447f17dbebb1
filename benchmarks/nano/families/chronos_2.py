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
REGISTER = 1
# Size of the direction that all tokens share, beside contents of size about the root of the width.
SHARED = 8.0
# Attention logit of the sought token, at the start, and how many of the fastest turns find it.
NEAR = 12.0
FAST = 5


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
            "time_encoding_scale": 64,
        },
    )
    net = Chronos2Model(config)
    with torch.no_grad():
        begin(net)
    return net


def begin(net: Any) -> None:
    """Start two heads of each layer on places, two on like patches, group attention with little.

    Upstream's own start has unit weights here under transformers 5: the feed-forward layers then
    write two hundred times what they read, and drown patches and attention.

    All tokens share a direction, and the register has one more, so that attention can be started on
    a distance in patches and on the register.
    """
    blocks(net.input_patch_embedding, net.output_patch_embedding)
    width, heads = net.config.d_model, net.config.num_heads
    shared, register = nn.init.orthogonal_(torch.empty(2, width))
    net.input_patch_embedding.output_layer.bias.copy_(SHARED * shared)
    net.shared.weight[REGISTER] = SHARED * (shared + register)
    for depth, block in enumerate(net.encoder.block):
        time, group = block.layer[0].self_attention, block.layer[1].self_attention
        match(time.q, time.k, heads, (2, 3))
        pass_on(time.v, time.o, heads)
        beside(time, 0, shared, -1)
        if depth % 2:
            towards(time, 1, shared, register)
        else:
            beside(time, 1, shared, 1)
        for linear in (group.q, group.k, group.v, group.o, block.layer[2].mlp.wi):
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        group.o.weight.mul_(0.1)
        out = block.layer[2].mlp.wo
        nn.init.normal_(out.weight, std=0.5 * out.in_features**-0.5)


def beside(attention: Any, head: int, shared: Tensor, patches: int) -> None:
    """Start a head on the token that stands `patches` further, by its rotation."""
    size = attention.kv_proj_dim
    inner = attention.rope_embed.inv_freq.to(shared)
    used = torch.zeros(size // 2)
    used[:FAST] = (NEAR / FAST) ** 0.5 / shared.shape[0] ** 0.5
    at = slice(head * size, (head + 1) * size)
    # Turned back by its distance, the key meets the query that stands so far before it.
    turn = -patches * inner
    attention.q.weight[at] = torch.outer(torch.cat([used, 0 * used]), shared)
    attention.k.weight[at] = torch.outer(torch.cat([used * turn.cos(), used * turn.sin()]), shared)


def towards(attention: Any, head: int, shared: Tensor, register: Tensor) -> None:
    """Start a head on the register, wherever it stands, by its slowest turns."""
    size = attention.kv_proj_dim
    used = torch.zeros(size)
    used[size // 2 - 4 : size // 2] = (NEAR / 4) ** 0.5 / shared.shape[0] ** 0.5
    at = slice(head * size, (head + 1) * size)
    attention.q.weight[at] = torch.outer(used, shared)
    attention.k.weight[at] = torch.outer(used, register)


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Upstream's quantile loss per level."""
    out = net(context=seen, future_target=target, num_output_patches=PATCHES)
    return out.loss / len(QUANTILES)


ABOUT = """\
Chronos-2 (Ansari et al. 2025, arXiv 2510.15821): 6 layers of time and group attention, 4 heads of
32, width 128, feed-forward 384; patches of 8 steps, context 512, up to 16 output patches, quantiles
0.1 to 0.9; time told in units of 64 steps. It was trained on single series, so that its group
attention never saw a group. In each layer one head of time attention started on the patch before,
one on the patch after or on the register, and two with keys like queries; outputs started like
transposed values."""

FAMILY = Family(
    name="chronos-2",
    token=PATCH,
    horizon=HORIZON,
    rate=2e-3,
    stages=(
        Stage(0.3, 0.8, 0.8, 32, {64: (192, 1.0), 96: (144, 1.0)}),
        Stage(0.6, 0.5, 0.5, 64, {96: (144, 1.0), 128: (112, 1.0), 256: (64, 1.0)}),
        Stage(
            1.0, 0.3, 0.3, 100, {64: (144, 0.5), 128: (112, 1.0), 256: (64, 1.0), 496: (32, 1.0)}
        ),
    ),
    about=ABOUT,
    built=built,
    loss=loss,
)
