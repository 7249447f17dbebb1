"""A tiny Toto 1.0 in its published format."""

from typing import Any

from tsfm_probe.models.toto_1.network import Toto1Network

CONFIG: dict[str, Any] = {
    "patch_size": 8,
    "stride": 8,
    "embed_dim": 32,
    "num_layers": 2,
    "num_heads": 4,
    "mlp_hidden_dim": 24,
    "dropout": 0.1,
    "spacewise_every_n_layers": 2,
    "scaler_cls": "<class 'model.scaler.CausalPatchStdMeanScaler'>",
    "output_distribution_classes": ["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
    "spacewise_first": False,
    "output_distribution_kwargs": {"k_components": 3},
    "use_memory_efficient_attention": True,
    "stabilize_with_global": True,
    "scale_factor_exponent": 10.0,
}


def toto_1(**shape: Any) -> Toto1Network:
    """A Toto 1.0: patch 8, a time and a variate layer of 4 heads, 3 components."""
    return Toto1Network(CONFIG | shape)
