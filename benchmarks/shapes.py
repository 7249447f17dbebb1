"""Random networks of the published shapes, for benchmarks: no published weight is in them."""

import math
from typing import Any

import torch
from chronos.chronos2 import Chronos2Model
from chronos.chronos2.config import Chronos2CoreConfig
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from transformers import (
    T5Config,
    T5ForConditionalGeneration,
    TimesFm2_5Config,
    TimesFm2_5ModelForPrediction,
)

from tsfm_probe.models.moirai.moirai_1 import Network1
from tsfm_probe.models.moirai.moirai_2 import Network2
from tsfm_probe.models.toto_1.network import Toto1Network
from tsfm_probe.models.toto_2.network import Toto2Network

# Layers of one stack, width, heads of 64 values, width of the feed-forward layers.
T5_SIZES = {
    "tiny": (4, 256, 4, 1024),
    "mini": (4, 384, 8, 1536),
    "small": (6, 512, 8, 2048),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
}
CHRONOS_2_SIZES = {
    "chronos-2": (12, 768, 12, 3072),
    "chronos-2-synth": (12, 768, 12, 3072),
    "chronos-2-small": (6, 512, 8, 2048),
}
MOIRAI_SIZES = {"small": (6, 384), "base": (12, 768), "large": (24, 1024)}
TENTHS = [one / 10 for one in range(1, 10)]
TOKENS: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
T5 = {
    "tokenizer_class": "MeanScaleUniformBins",
    "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
    "context_length": 512, "prediction_length": 64, "n_tokens": 4096, "n_special_tokens": 2,
    "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True, "model_type": "seq2seq",
    "num_samples": 20, "temperature": 1.0, "top_k": 50, "top_p": 1.0,
}  # fmt: skip
BOLT = {
    "context_length": 2048, "prediction_length": 64, "input_patch_size": 16,
    "input_patch_stride": 16, "quantiles": TENTHS, "use_reg_token": True,
}  # fmt: skip
CHRONOS_2 = {
    "context_length": 8192, "output_patch_size": 16, "input_patch_size": 16,
    "input_patch_stride": 16, "use_reg_token": True, "use_arcsinh": True, "max_output_patches": 64,
    "quantiles": [0.01, *[round(0.05 * one, 2) for one in range(1, 20)], 0.99],
}  # fmt: skip
TOTO_1 = {
    "patch_size": 64, "stride": 64, "embed_dim": 768, "num_layers": 12, "num_heads": 12,
    "mlp_hidden_dim": 3072, "dropout": 0.1, "spacewise_every_n_layers": 12,
    "scaler_cls": "<class 'model.scaler.CausalPatchStdMeanScaler'>",
    "output_distribution_classes": ["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
    "spacewise_first": False, "output_distribution_kwargs": {"k_components": 24},
    "use_memory_efficient_attention": True, "stabilize_with_global": True,
    "scale_factor_exponent": 10.0,
}  # fmt: skip
TOTO_2_4M = {
    "patch_size": 32, "d_model": 256, "num_heads": 4, "num_groups": 4, "num_layers": 4,
    "layer_group_size": 4, "num_variate_layers_per_group": 1, "variate_layer_first": False,
    "d_ff": 688, "qk_dim": 64, "v_dim": 64, "norm_eps": 1e-4, "attn_bias": True, "mlp_bias": False,
    "qk_norm": False, "norm_include_weight": False, "per_dim_scale": True, "use_xpos": True,
    "residual_mult": 0.75, "residual_attn_ratio": math.sqrt(128 / math.log(128)),
}  # fmt: skip
DISTRIBUTION = "uni2ts.distribution"
MIXTURE = {
    "_target_": f"{DISTRIBUTION}.mixture.MixtureOutput",
    "components": [
        {"_target_": f"{DISTRIBUTION}.student_t.StudentTOutput"},
        {"_target_": f"{DISTRIBUTION}.normal.NormalFixedScaleOutput", "scale": 0.001},
        {"_target_": f"{DISTRIBUTION}.negative_binomial.NegativeBinomialOutput"},
        {"_target_": f"{DISTRIBUTION}.log_normal.LogNormalOutput"},
    ],
}


def network(name: str, seed: int = 0) -> Any:
    """A random network of the published shape that this short name stands for."""
    torch.manual_seed(seed)
    family, _, size = name.rpartition("-")
    if name in CHRONOS_2_SIZES:
        return _chronos_2(*CHRONOS_2_SIZES[name])
    if family in ("chronos-t5", "chronos-bolt"):
        return _t5(family, *T5_SIZES[size])
    if name == "timesfm-2.5":
        return TimesFm2_5ModelForPrediction(TimesFm2_5Config())
    if name == "timesfm-3":
        from timesfm3 import TimesFM3Torch  # an optional extra

        return TimesFM3Torch()
    if name == "toto-1":
        return Toto1Network(TOTO_1)
    if name == "toto-2-4m":
        return Toto2Network(TOTO_2_4M)
    if family == "moirai-1.1":
        return Network1(
            _moirai(*MOIRAI_SIZES[size])
            | {"patch_sizes": [8, 16, 32, 64, 128], "distr_output": MIXTURE}
        )
    if name != "moirai-2-small":
        raise ValueError(f"the published shape of {name} is not known here")
    own = {"patch_size": 16, "num_predict_token": 4, "d_ff": 1024, "quantile_levels": TENTHS}
    return Network2(_moirai(*MOIRAI_SIZES["small"]) | own)


def _t5(family: str, layers: int, width: int, heads: int, inner: int) -> Any:
    shape: dict[str, Any] = {"d_model": width, "d_kv": 64, "d_ff": inner, "num_heads": heads}
    config: Any = T5Config(
        **shape, **TOKENS, num_layers=layers, vocab_size=4096 if family == "chronos-t5" else 2
    )
    if family == "chronos-t5":
        config.chronos_config = T5
        return T5ForConditionalGeneration(config)
    config.chronos_config = BOLT
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.architectures = ["ChronosBoltModelForForecasting"]
    return ChronosBoltModelForForecasting(config)


def _chronos_2(layers: int, width: int, heads: int, inner: int) -> Chronos2Model:
    config = Chronos2CoreConfig(
        d_model=width,
        d_kv=64,
        d_ff=inner,
        num_heads=heads,
        num_layers=layers,
        chronos_config=CHRONOS_2,
        chronos_pipeline_class="Chronos2Pipeline",
        architectures=["Chronos2Model"],
    )
    return Chronos2Model(config)


def _moirai(layers: int, width: int) -> dict[str, Any]:
    shape = {"d_model": width, "num_layers": layers, "max_seq_len": 512, "scaling": True}
    return shape | {"attn_dropout_p": 0.0, "dropout_p": 0.0}
