"""nano-timesfm-2.5: a decoder of patches, trained on the forecast from every patch."""

from typing import Any

import torch
from family import QUANTILES, Family, Stage
from torch import Tensor, nn
from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

PATCH = 8
HORIZON = 32
LAYERS = 6
MEDIAN = 5


def built(seed: int) -> TimesFm2_5ModelForPrediction:
    """A new network of about a million and a half parameters in upstream's architecture."""
    torch.manual_seed(seed)
    config = TimesFm2_5Config(
        patch_length=PATCH,
        context_length=512,
        horizon_length=HORIZON,
        num_hidden_layers=LAYERS,
        hidden_size=128,
        intermediate_size=384,
        head_dim=32,
        num_attention_heads=4,
        num_key_value_heads=4,
        output_quantile_len=HORIZON,
        max_position_embeddings=1024,
    )
    net = TimesFm2_5ModelForPrediction(config)
    with torch.no_grad():
        for name, part in net.named_modules():
            if isinstance(part, nn.Linear):
                small = 0.3 if "output_projection" in name else 1.0
                nn.init.normal_(part.weight, std=small * part.in_features**-0.5)
            if "post_" in name:
                part.weight.fill_((2 * LAYERS) ** -0.5)  # type: ignore[union-attr]
    return net


def filled(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values whose gaps hold the value before, and where nothing came before: [series, time]."""
    known = ~torch.isnan(values)
    place = torch.arange(values.shape[1], device=values.device)
    last = torch.where(known, place, -1).cummax(dim=1).values
    bridged = torch.gather(torch.nan_to_num(values), 1, last.clamp(min=0))
    return torch.where(last >= 0, bridged, 0.0), last < 0


def pinball(forecast: Tensor, target: Tensor) -> Tensor:
    """Twice the quantile loss, mean over levels, 0 where the target is missing: target's shape.

    forecast: [..., level]. target: [...].
    """
    levels = torch.tensor(QUANTILES, device=forecast.device)
    error = torch.nan_to_num(target)[..., None] - forecast
    loss = 2 * torch.maximum(levels * error, (levels - 1) * error).mean(-1)
    return loss * ~torch.isnan(target)


def loss(net: Any, seen: Tensor, target: Tensor) -> Tensor:
    """Quantile loss of the forecasts from every patch, in units of the whole context's spread."""
    values, padding = filled(seen)
    count = (~padding).sum(1, keepdim=True).clamp(min=1)
    mean = (values * ~padding).sum(1, keepdim=True) / count
    spread = (((values - mean) ** 2 * ~padding).sum(1, keepdim=True) / count).sqrt()
    usable = spread > 1e-4
    spread = spread.clamp(min=1e-4)
    values = torch.where(padding, 0.0, (values - mean) / spread)
    out = net.model(past_values=values, past_values_padding=padding.long())
    future = torch.cat([torch.where(usable, seen, torch.nan), target], 1)
    future = ((future - mean) / spread).clamp(-20, 20)[:, PATCH:].unfold(1, HORIZON, PATCH)
    patches = future.shape[1]
    hidden = out.last_hidden_state[:, -patches:]
    sigma = out.context_sigma[:, -patches:, None].clamp(min=1e-6)
    middle = out.context_mu[:, -patches:, None]
    heads = (net.output_projection_point, net.output_projection_quantiles)
    shape = (len(seen), patches, HORIZON, -1)
    point, wide = (head(hidden).view(shape) for head in heads)
    joined = wide - wide[..., MEDIAN : MEDIAN + 1] + point[..., MEDIAN : MEDIAN + 1]
    scaled = (future - middle) / sigma
    scaled = torch.where(sigma > 0.02, scaled, torch.nan)
    weight = sigma.clamp(max=1.0)
    square = torch.nan_to_num(scaled - point[..., 0]) ** 2 * 0.05
    each = pinball(joined[..., 1:], scaled) + 0.5 * pinball(point[..., 1:], scaled)
    each = (each + square.clamp(max=1.0)) * weight
    return each.sum() / (~torch.isnan(scaled)).sum().clamp(min=1)


ABOUT = """\
TimesFM 2.5 (Das et al. 2024, arXiv 2310.10688): 6 decoder layers, 4 heads of 32, width 128,
feed-forward 384; patches of 8 steps, context 512, output patches of 32 steps, quantiles 0.1 to 0.9.
Its starting weights do not favour copying."""

FAMILY = Family(
    name="timesfm-2.5",
    token=PATCH,
    horizon=HORIZON,
    rate=2e-3,
    stages=(
        Stage(0.35, 0.7, 0.7, 48, {96: (96, 1.0), 160: (64, 1.0)}),
        Stage(0.7, 0.45, 0.4, 96, {128: (64, 1.0), 256: (40, 1.0), 480: (20, 0.5)}),
        Stage(1.0, 0.3, 0.3, 120, {128: (64, 0.6), 256: (40, 1.0), 480: (20, 1.0)}),
    ),
    about=ABOUT,
    built=built,
    loss=loss,
)
