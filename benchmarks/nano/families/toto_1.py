"""nano-toto-1: a decoder of patches with a Student-t mixture, trained on every next patch."""

from typing import Any

import torch
from einops import rearrange
from family import Family, Stage
from torch import Tensor, nn
from torch.distributions import StudentT

from tsfm_probe.models.toto_1.attention import Sight
from tsfm_probe.models.toto_1.network import Toto1Network
from tsfm_probe.models.toto_1.rotary import Rotary
from tsfm_probe.models.toto_1.scaler import Moments, Scale

PATCH = 8
CONFIG = {
    "patch_size": PATCH,
    "stride": PATCH,
    "embed_dim": 128,
    "num_heads": 4,
    "num_layers": 6,
    "mlp_hidden_dim": 256,
    "dropout": 0.0,
    "spacewise_every_n_layers": 6,
    "spacewise_first": False,
    "scaler_cls": "<class 'model.scaler.CausalPatchStdMeanScaler'>",
    "output_distribution_classes": ["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
    "output_distribution_kwargs": {"k_components": 4},
    "use_memory_efficient_attention": False,
    "stabilize_with_global": False,
}


def built(seed: int) -> Toto1Network:
    """A new network of about one million parameters in the published architecture."""
    torch.manual_seed(seed)
    net = Toto1Network(CONFIG)
    with torch.no_grad():
        for name, part in net.named_modules():
            if isinstance(part, nn.Linear):
                small = 0.3 if name.endswith(("wO", "mlp.2")) or "distribution" in name else 1.0
                nn.init.normal_(part.weight, std=small * part.in_features**-0.5)
                nn.init.zeros_(part.bias)
    return net


def scaled(patches: Tensor, seen: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches as the network reads them, those after them in the same units, and their spreads.

    All [series, patch, step]; the spreads have one step.
    """
    none = torch.zeros(len(patches), dtype=patches.dtype, device=patches.device)
    scale = Scale(Moments(none, none, none), none, none + torch.inf)
    read, told, spreads = [], [], []
    for patch, there, following in zip(
        patches.unbind(1), seen.unbind(1), after.unbind(1), strict=True
    ):
        scale = scale.after(patch, there)
        read.append(scale.normalised(patch))
        told.append(scale.normalised(following))
        spreads.append(scale.spread[:, None])
    return torch.stack(read, 1), torch.stack(told, 1), torch.stack(spreads, 1)


def sight(seen: Tensor, head: int) -> Sight:
    """Each series alone, from its first patch with a value on, and from past to present."""
    count = seen.shape[1]
    start = seen.any(-1).int().argmax(-1)
    token = torch.arange(count, device=seen.device)
    inhabited = token >= start[:, None, None]
    sees = (inhabited & (token <= token[:, None])) | (token == token[:, None])
    positions = (token - start[:, None]).float()
    return Sight(Rotary(positions, head), sees, torch.eye(len(seen), device=seen.device) > 0)


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Minus the log-likelihood of the step after each patch, in units of what came before."""
    whole = rearrange(torch.cat([seen, target], 1).double(), "s (n p) -> s n p", p=PATCH)
    there = ~whole.isnan()
    begun = there.any(-1).int().cummax(1).values.bool()
    context = whole[:, :-1]
    read, told, spread = scaled(context.nan_to_num(0.0), there[:, :-1], whole[:, 1:])
    stream = net.model.patch_embed(read.float()[None])
    final = net.model.transformer(stream, sight(there[:, :-1], 32), net.memories())
    steps = rearrange(net.model.unembed(final)[0], "s n (p d) -> s n p d", p=PATCH)
    mixture = net.model.output_distribution(steps)
    known = there[:, 1:] & begun[:, :-1, None]
    value = told.float().nan_to_num(0.0).clamp(-30, 30)[..., None]
    parts = StudentT(mixture.freedom, mixture.location, mixture.spread + 1e-3).log_prob(value)
    likelihood = torch.logsumexp(parts + mixture.weight.clamp_min(1e-9).log(), -1)
    # Where hardly anything was seen as yet, the units say nothing.
    usable = known & (spread > 0.35)
    return -(likelihood * usable).sum() / usable.sum().clamp(min=1)


ABOUT = """\
Toto 1.0 (Cohen et al. 2025, arXiv 2505.14766): 5 layers of time attention and a last one across
variates, 4 heads of 32, width 128, feed-forward 256; patches of 8 steps, a mixture of 4 Student-t
distributions. It was trained on single series, so that its variate layer never saw others. Its
normalisation adds 0.1 to every variance, as upstream's: series of small values look flat to it."""

FAMILY = Family(
    name="toto-1",
    token=PATCH,
    horizon=32,
    rate=2e-3,
    stages=(
        Stage(0.35, 0.7, 0.7, 48, {96: (80, 1.0), 160: (48, 1.0)}),
        Stage(0.7, 0.45, 0.4, 96, {128: (56, 1.0), 256: (32, 1.0), 480: (16, 0.5)}),
        Stage(1.0, 0.3, 0.3, 120, {128: (56, 0.6), 256: (32, 1.0), 480: (16, 1.0)}),
    ),
    about=ABOUT,
    built=built,
    loss=loss,
)
