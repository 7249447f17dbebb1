"""nano-moirai-1.1: an encoder that reads masked future patches, with a mixture's likelihood."""

from typing import Any

import torch
from family import Family, Stage
from starts import match, pass_on
from torch import Tensor, nn

from tsfm_probe.models.moirai.network_1 import Network1
from tsfm_probe.models.moirai.tokens import Batch, patched

PATCH = 8
HORIZON = 48
DISTRIBUTION = "uni2ts.distribution"
CONFIG = {
    "d_model": 256,  # four heads, as each has 64 columns
    "num_layers": 6,
    "patch_sizes": [PATCH],
    "max_seq_len": 64,
    "attn_dropout_p": 0.0,
    "dropout_p": 0.0,
    "scaling": True,
    "distr_output": {
        "_target_": f"{DISTRIBUTION}.mixture.MixtureOutput",
        "components": [
            {"_target_": f"{DISTRIBUTION}.student_t.StudentTOutput"},
            {"_target_": f"{DISTRIBUTION}.normal.NormalFixedScaleOutput"},
            {"_target_": f"{DISTRIBUTION}.negative_binomial.NegativeBinomialOutput"},
            {"_target_": f"{DISTRIBUTION}.log_normal.LogNormalOutput"},
        ],
    },
}


def built(seed: int) -> Network1:
    """A new network of about five million parameters in the published architecture."""
    torch.manual_seed(seed)
    net = Network1(CONFIG)
    with torch.no_grad():
        nn.init.normal_(net.in_proj.weight, std=PATCH**-0.5)
        nn.init.normal_(net.mask_encoding.weight)
        for one in net.param_proj.maps:
            nn.init.normal_(one.weight, std=0.2 * CONFIG["d_model"] ** -0.5)
        layers: Any = net.encoder.layers
        for layer in layers:
            inner = layer.self_attn
            nn.init.normal_(inner.var_attn_bias.emb.weight, std=0.02)
            match(inner.q_proj, inner.k_proj, inner.heads, (2, 3))
            pass_on(inner.v_proj, inner.out_proj, inner.heads, (2, 3))
            for linear in (layer.ffn.fc1, layer.ffn.fc_gate, layer.ffn.fc2):
                nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
    return net


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Minus the log-likelihood of the target, in units of the context's deviation."""
    there = ~seen.isnan()
    values, observed = seen.nan_to_num(0.0)[..., None], there[..., None]
    batch = Batch(torch.arange(len(seen))[:, None], values, observed, there.cummax(1).values)
    tokens = patched(batch, PATCH)
    known = ~target.isnan()
    mixture = net.mixture(tokens, HORIZON)
    # Kept near the context's range, beyond which one value would rule the batch.
    low, high = mixture.loc - 15 * mixture.scale, mixture.loc + 15 * mixture.scale
    value = torch.minimum(torch.maximum(target.nan_to_num(0.0), low), high)
    likelihood = mixture.log_density(value) + mixture.scale.log()
    return -(likelihood * known).sum() / known.sum().clamp(min=1)


ABOUT = """\
Moirai 1.1 (Woo et al. 2024, arXiv 2402.02592): 6 encoder layers, 4 heads of 64, width 256,
feed-forward 688; patches of 8 steps alone, context 512, the published mixture. It was trained on
single series. In two heads the keys started as queries and the outputs as
values."""

FAMILY = Family(
    name="moirai-1.1",
    token=PATCH,
    horizon=HORIZON,
    rate=1e-3,
    stages=(
        Stage(0.35, 0.8, 0.8, 32, {64: (64, 1.0), 96: (48, 1.0)}),
        Stage(0.65, 0.5, 0.5, 64, {96: (48, 1.0), 128: (40, 1.0), 256: (24, 1.0)}),
        Stage(1.0, 0.3, 0.3, 100, {64: (64, 0.5), 128: (40, 1.0), 256: (24, 1.0), 496: (12, 1.0)}),
    ),
    about=ABOUT,
    built=built,
    loss=loss,
)
