"""A tiny random network of every family, written in its published format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chronos.chronos2 import Chronos2Model
from chronos.chronos2.config import Chronos2CoreConfig
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from transformers import T5Config, T5ForConditionalGeneration

from tests.tiny_moirai import moirai_1, moirai_2
from tests.tiny_timesfm_2_5 import timesfm_2_5
from tests.tiny_timesfm_3 import timesfm_3
from tests.tiny_toto_1 import toto_1
from tests.tiny_toto_2 import toto_2

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
CHRONOS_2_LEVELS = [0.01, 0.05, *[round(0.05 * one, 2) for one in range(2, 19)], 0.95, 0.99]
SHAPE = {"d_model": 24, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.1}


def chronos_t5(**shape: int) -> Any:
    """A Chronos-T5 over 128 bins: context 48, native horizon 6."""
    chronos = {
        "tokenizer_class": "MeanScaleUniformBins",
        "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
        "context_length": 48,
        "prediction_length": 6,
        "n_tokens": 128,
        "n_special_tokens": 2,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "use_eos_token": True,
        "model_type": "seq2seq",
        "num_samples": 20,
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
    }
    config = T5Config(
        **(SHAPE | shape), vocab_size=128, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0
    )
    config.chronos_config = chronos
    return T5ForConditionalGeneration(config)


def chronos_bolt(**shape: int) -> Any:
    """A Chronos-Bolt: patch 8, context 48, native horizon 16."""
    chronos = {
        "context_length": 48,
        "prediction_length": 16,
        "input_patch_size": 8,
        "input_patch_stride": 8,
        "quantiles": LEVELS,
        "use_reg_token": True,
    }
    config = T5Config(
        **(SHAPE | shape),
        vocab_size=2,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        chronos_config=chronos,
        chronos_pipeline_class="ChronosBoltPipeline",
        architectures=["ChronosBoltModelForForecasting"],
    )
    return ChronosBoltModelForForecasting(config)


def chronos_2(**shape: int) -> Any:
    """A Chronos-2: patch 8, context 48, at most 2 patches of 8 in one pass, 21 levels."""
    chronos = {
        "context_length": 48,
        "output_patch_size": 8,
        "input_patch_size": 8,
        "input_patch_stride": 8,
        "quantiles": CHRONOS_2_LEVELS,
        "use_reg_token": True,
        "use_arcsinh": True,
        "max_output_patches": 2,
    }
    config = Chronos2CoreConfig(
        **(SHAPE | shape),
        chronos_config=chronos,
        chronos_pipeline_class="Chronos2Pipeline",
        architectures=["Chronos2Model"],
    )
    return Chronos2Model(config)


NETWORKS: dict[str, Callable[..., Any]] = {
    "chronos-t5": chronos_t5,
    "chronos-bolt": chronos_bolt,
    "chronos-2": chronos_2,
    "timesfm-2.5": timesfm_2_5,
    "timesfm-3": timesfm_3,
    "toto-2": toto_2,
    "toto-1": toto_1,
    "moirai-1.1": moirai_1,
    "moirai-2": moirai_2,
}


# The layers of a network, where they are not `encoder.block` and `decoder.block`.
BLOCKS: dict[str, Callable[[Any], torch.nn.ModuleList]] = {
    "timesfm-2.5": lambda net: net.model.layers,
    "timesfm-3": lambda net: net.transformer_stack.layers,
    "toto-1": lambda net: net.model.transformer.layers,
    "toto-2": lambda net: net.transformer.layers,
    "moirai-1.1": lambda net: net.encoder.layers,
    "moirai-2": lambda net: net.encoder.layers,
}


def enliven(net: torch.nn.Module, seed: int = 0, size: float = 1.0) -> None:
    """Re-randomise every weight so that no part starts dead: matrices, norms and biases."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "shared" in name:
                weight.copy_(2 * noise)  # embeddings of T5: logits of about this size
            elif weight.ndim > 1:
                weight.copy_(noise * size * weight.shape[-1] ** -0.5)
            elif "norm" in name or "_ln." in name:
                weight.copy_(1 + 0.3 * noise)
            else:
                weight.copy_(0.1 * noise)


def write_checkpoint(family: str, folder: Path, seed: int = 0, **shape: int) -> Path:
    """A live random network of a family as a checkpoint: config.json and model.safetensors."""
    net = NETWORKS[family](**shape)
    enliven(net, seed)
    net.save_pretrained(folder)
    return folder


def contexts(count: int = 5, length: int = 48, seed: int = 0) -> list[np.ndarray]:
    """Random walks with a season, one with missing values, one shorter than the others."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)
    made = [
        10 + np.sin(2 * np.pi * time / 12 + row) * 3 + rng.normal(size=length).cumsum() * 0.5
        for row in range(count)
    ]
    made[1][5:9] = np.nan
    made[-1] = made[-1][length // 3 :]
    return made
