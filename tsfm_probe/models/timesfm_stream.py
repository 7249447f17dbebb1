"""One pass of TimesFM 2.5: from values to the stream that leaves its last layer.

Upstream's modules are called for every map, norm and attention. What stands between them is our
own, so that a padded patch sees itself: upstream lets it see nothing, which autograd cannot derive.
"""

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

CONSTANT = 1e-6  # upstream's: values of smaller deviation are not scaled


@dataclass(frozen=True, eq=False)
class Read:
    """What one pass gives.

    stream: [series, patch, d]. loc, scale: [series, patch] in fp64, mean and deviation of the
    values that a patch and those before it hold.
    """

    stream: Tensor
    loc: Tensor
    scale: Tensor


def read(model: Any, values: Tensor, padded: Tensor) -> Read:
    """Run a TimesFm2_5Model.

    values: [series, time] in fp64, whole patches. padded: [series, time], True before the first
    value.
    """
    size = model.config.patch_length
    patches, absent = (
        rearrange(one, "series (patch time) -> series patch time", time=size)
        for one in (values, padded)
    )
    loc, scale = running(patches, absent)
    safe = torch.where(scale < CONSTANT, 1.0, scale)
    normed = ((patches - loc[..., None]) / safe[..., None]).masked_fill(absent, 0.0)
    stream = model.input_ff_layer(torch.cat([normed, absent], dim=-1).float())
    empty = absent[..., -1]
    places = torch.arange(empty.shape[1], device=empty.device) - empty.sum(-1, keepdim=True)
    turned, mask = model.rotary_emb(stream, places), _mask(empty, stream.dtype)
    for layer in model.layers:
        stream = layer(stream, position_embeddings=turned, attention_mask=mask)
    return Read(stream, loc, scale)


def running(patches: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation [series, patch] of all values [series, patch, time] up to a patch's end.

    The squared distances from a mean are those from the mean of their own patch and its own
    distance, so that nothing large cancels (Chan et al. 1979).
    """
    count = (~absent).sum(-1)
    mean = patches.masked_fill(absent, 0.0).sum(-1) / count.clamp_min(1)
    within = (patches - mean[..., None]).masked_fill(absent, 0.0).pow(2).sum(-1)
    seen = count.cumsum(-1).clamp_min(1)
    loc = (count * mean).cumsum(-1) / seen
    apart = (mean[:, None, :] - loc[:, :, None]).pow(2) * count[:, None, :]
    return loc, ((within.cumsum(-1) + apart.tril().sum(-1)) / seen).sqrt()


def _mask(empty: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the scores [series, 1, patch, patch]: a patch sees no later and no empty."""
    patches = empty.shape[1]
    same = torch.eye(patches, dtype=torch.bool, device=empty.device)
    seen = (~empty[:, None, :] & torch.ones_like(same).tril()) | same
    scores = torch.zeros(seen.shape, dtype=dtype, device=empty.device)
    return scores.masked_fill(~seen, torch.finfo(dtype).min)[:, None]
