"""The checkpoint of the `timesfm` package, read as the network that transformers has.

The package fuses the projections to query, key and value into one weight and names the rest its
own way; its config.json says nothing about the shape, which is that of the weights.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from einops import rearrange
from safetensors.torch import load_file
from torch import Tensor
from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

from tsfm_probe.models.source import Source

LAYER = "stacked_xf."
FUSED = "attn.qkv_proj.weight"
RENAMED = {
    "tokenizer": "model.input_ff_layer",
    "hidden_layer": "input_layer",
    "stacked_xf": "model.layers",
    "attn": "self_attn",
    "attn.out": "self_attn.o_proj",
    "attn.query_ln.scale": "self_attn.q_norm.weight",
    "attn.key_ln.scale": "self_attn.k_norm.weight",
    "attn.per_dim_scale.per_dim_scale": "self_attn.scaling",
    "pre_attn_ln.scale": "input_layernorm.weight",
    "post_attn_ln.scale": "post_attention_layernorm.weight",
    "pre_ff_ln.scale": "pre_feedforward_layernorm.weight",
    "post_ff_ln.scale": "post_feedforward_layernorm.weight",
    "ff0": "mlp.fc1",
    "ff1": "mlp.fc2",
}
_WORDS = "|".join(re.escape(one) for one in sorted(RENAMED, key=len, reverse=True))


class PackageCheckpoint:
    """Reads the package's checkpoint the way transformers reads its own."""

    @staticmethod
    def from_pretrained(folder: Path, **options: Any) -> Any:
        """The network (and what was missing, if that is asked for) with the folder's weights."""
        weights: dict[str, Tensor] = {}
        for file in sorted(folder.glob("*.safetensors")):
            weights |= load_file(file)
        return TimesFm2_5ModelForPrediction.from_pretrained(
            None, config=shape(weights), state_dict=renamed(weights), **options
        )


def reader(source: Source) -> Any:
    """What reads this checkpoint: known by the names of its weights."""
    if any(name.startswith(LAYER) for name in source.weight_names()):
        return PackageCheckpoint
    return TimesFm2_5ModelForPrediction


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's weights by the names of transformers; names of neither are left alone."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        new = re.sub(rf"(?<![^.])({_WORDS})(?![^.])", lambda one: RENAMED[one[0]], name)
        if name.endswith(FUSED):
            parts = zip("qkv", rearrange(weight, "(part row) d -> part row d", part=3), strict=True)
            found |= {new.replace("qkv_proj", f"{one}_proj"): rows.clone() for one, rows in parts}
        else:
            found[new] = weight
    return found


def shape(weights: Mapping[str, Tensor]) -> TimesFm2_5Config:
    """The config of a network with the package's weights; KeyError if one is missing."""
    hidden, patches = weights["tokenizer.hidden_layer.weight"].shape
    head_dim = len(weights[f"{LAYER}0.attn.query_ln.scale"])
    levels = 1 + len(TimesFm2_5Config().quantiles)  # the mean comes first
    heads = {
        name: len(weights[f"output_projection_{name}.output_layer.weight"]) // levels
        for name in ("point", "quantiles")
    }
    return TimesFm2_5Config(
        patch_length=patches // 2,  # values and whether they are missing
        horizon_length=heads["point"],
        output_quantile_len=heads["quantiles"],
        num_hidden_layers=len({name.split(".")[1] for name in weights if name.startswith(LAYER)}),
        hidden_size=hidden,
        intermediate_size=len(weights[f"{LAYER}0.ff0.weight"]),
        head_dim=head_dim,
        num_attention_heads=hidden // head_dim,
        num_key_value_heads=hidden // head_dim,
    )
