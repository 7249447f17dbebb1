"""How a prediction of TimesFM 3.0 is read: chunks on one scale, stitched into one."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from tsfm_probe.models.reading import Quantiles
from tsfm_probe.models.timesfm_3.given import Given


def reading(net: Any, state: Given, stride: int, reach: int, chunks: int) -> Quantiles:
    """Sorted quantiles from a prediction [series, patch, (step level)], as they are forecast.

    net: a TimesFM3Torch. state: series that are each on their own. stride: steps from one chunk to
    the next, of which `reach` are used. The scale of the network is that of the values known.
    The package also clips at `value_clip`, which keeps numbers finite; that is left out.
    """
    patch, levels, steps = net.input_patch_len, net.quantiles, (chunks - 1) * stride + reach
    places = state.known[:, None] - 1 + torch.arange((chunks - 1) * stride // patch + 1)
    known = ~state.masked[:, 0]
    values, count = state.values[:, 0].double() * known, known.sum(dim=1, keepdim=True)
    loc = values.sum(dim=1, keepdim=True) / count
    scale = (((values - loc) * known).square().sum(dim=1, keepdim=True) / count).sqrt()
    trend = state.trend[:, 0, :1] + state.trend[:, 0, 1:] * torch.arange(1, steps + 1)

    def split(prediction: Tensor) -> Tensor:
        raw = prediction[torch.arange(len(places))[:, None], places]
        made = rearrange(
            raw, "series patch (step level) -> series patch step level", level=len(levels)
        )
        if net.use_iterative_cpm_revin:
            made = on_one_scale(made, count.to(made), patch)
        used = made[:, None, :: stride // patch, :reach]
        return stitched(used, stride)[:, 0].sort(dim=-1).values

    def restore(values: Tensor) -> Tensor:
        return values.cpu() * scale[..., None] + loc[..., None] + trend[..., None]

    return Quantiles(levels, split, restore, steps)


def on_one_scale(predictions: Tensor, count: Tensor, patch: int) -> Tensor:
    """Predictions [series, patch, step, level] after the last known patch and each masked one.

    Each is made on the scale of the values known and of the medians predicted for the masked
    patches before it; here all are on that of the values known, of mean 0 and deviation 1.
    count: [series, 1], how many values are known. patch: how many steps a patch has.
    """
    middle, reach = predictions.shape[-1] // 2, predictions.shape[2] // patch
    loc, scale, made = torch.zeros_like(count), torch.ones_like(count), []
    medians = predictions[:, 0, :, middle]
    for place, one in enumerate(predictions.unbind(1)):
        if place:
            start = (place - 1) % reach * patch
            values = medians[:, start : start + patch]
            total, mean = count + patch, values.mean(dim=1, keepdim=True)
            within = values.var(dim=1, keepdim=True, correction=0)
            apart = count * patch / total * (loc - mean).square()
            scale = ((count * scale.square() + patch * within + apart) / total).sqrt()
            loc, count = (count * loc + patch * mean) / total, total
        made.append(one * scale[..., None] + loc[..., None])
        if place % reach == 0:
            medians = made[-1][..., middle]
    return torch.stack(made, dim=1)


def stitched(predictions: Tensor, stride: int) -> Tensor:
    """Predictions that start `stride` steps apart as one: [batch, variate, time, level].

    predictions: [batch, variate, chunk, step, level]. Where one reaches into the next, the first
    fades out as the next fades in.
    """
    own, beyond = predictions[..., :stride, :], predictions[..., stride:, :]
    overlap = beyond.shape[3]
    fading = torch.linspace(1.0, 0.0, overlap, device=own.device)[:, None]
    both = fading * beyond[:, :, :-1] + (1 - fading) * own[:, :, 1:, :overlap]
    later = torch.cat([both, own[:, :, 1:, overlap:]], dim=3)
    joined = rearrange(
        torch.cat([own[:, :, :1], later], dim=2),
        "batch variate chunk step level -> batch variate (chunk step) level",
    )
    return torch.cat([joined, beyond[:, :, -1]], dim=2)
