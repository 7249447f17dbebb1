"""How a prediction of TimesFM 2.5 is read: the quantiles of the point head after the last patch."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from tsfm_probe.models.reading import Quantiles
from tsfm_probe.models.timesfm_given import Given
from tsfm_probe.models.timesfm_stream import running


def reading(config: Any, given: Given) -> Quantiles:
    """Quantiles from a prediction [series, patch, (time level)] of the point head.

    Of all tokens the last one is read. They are a forecast's but for what is not part of one pass:
    the average with the forecast of the mirrored series, and the quantile head. config: of a
    TimesFm2_5ModelForPrediction.
    """
    patches, absent = (
        rearrange(one, "series (patch time) -> series patch time", time=config.patch_length)
        for one in (given.values, given.padded)
    )
    loc, scale = (one[:, -1, None, None] for one in running(patches, absent))

    def split(prediction: Tensor) -> Tensor:
        pattern, levels = "series (time level) -> series time level", 1 + len(config.quantiles)
        made = rearrange(prediction[:, -1], pattern, level=levels)[..., 1:]
        return uncrossed(made, config.decode_index - 1)

    def restore(values: Tensor) -> Tensor:
        found = (values * scale + loc) * given.scale + given.loc
        if config.infer_is_positive:
            found = torch.where(given.positive, found.clamp_min(0), found)
        return found

    return Quantiles(config.quantiles, split, restore, config.horizon_length, tokens=1)


def uncrossed(quantiles: Tensor, median: int) -> Tensor:
    """Quantiles [..., level] that never fall from one level to the next, at an unmoved median."""
    below = quantiles[..., : median + 1].flip(-1).cummin(dim=-1).values.flip(-1)
    above = quantiles[..., median:].cummax(dim=-1).values
    return torch.cat([below, above[..., 1:]], dim=-1)
