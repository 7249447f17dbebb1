"""A tiny random TimesFM 2.5: patch 8, context 48, native horizon 16, quantile head for 32 steps."""

from typing import Any

from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

SHAPE: dict[str, Any] = {
    "patch_length": 8,
    "context_length": 48,
    "horizon_length": 16,
    "output_quantile_len": 32,
    "num_hidden_layers": 2,
    "hidden_size": 24,
    "intermediate_size": 32,
    "head_dim": 8,  # heads that are together wider than the stream
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}


def timesfm_2_5(**fields: Any) -> Any:
    """The network, with these fields of its config changed."""
    return TimesFm2_5ModelForPrediction(TimesFm2_5Config(**(SHAPE | fields)))
