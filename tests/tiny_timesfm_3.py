"""A tiny random TimesFM 3.0: patch 8, 16 steps native, attention over time and over variates."""

from typing import Any

from timesfm3 import TimesFM3Torch


def timesfm_3(
    num_layers: int = 2, num_heads: int = 4, model_dims: int = 32, **fields: Any
) -> TimesFM3Torch:
    """A network of this size. fields: of its config.json, or of a layer where that has them."""
    layer = {
        "model_dims": model_dims,
        "hidden_dims": 24,
        "num_heads": num_heads,
        "attention_norm": "rms",
        "feedforward_norm": "rms",
        "qk_norm": "rms",
        "use_bias": False,
        "use_rope_seq": True,
        "use_rope_var": False,
        "ff_activation": "relu",
        "deterministic": True,
        "causal_attention": True,
        "use_memory_efficient_attention": True,
    }
    block = {"hidden_dims": 16, "output_dims": model_dims, "use_bias": False, "activation": "relu"}
    layer |= {name: fields.pop(name) for name in list(fields) if name in layer}
    shape = {
        "input_patch_len": 8,
        "output_patch_len": 16,
        "residual_block_config": block,
        "transformer_config": {"num_layers": num_layers, "transformer": layer},
    }
    return TimesFM3Torch(**(shape | fields))
