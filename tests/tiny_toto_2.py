"""A tiny random Toto 2.0: patch 8, context 48, one layer across time and one across variates."""

import math
from pathlib import Path
from typing import Any

import torch

from tsfm_probe.models.toto_2.network import Toto2Network
from tsfm_probe.models.toto_2.units import UnitLinear

SHAPE = {
    "patch_size": 8,
    "d_model": 24,
    "num_heads": 4,
    "num_groups": 2,  # queries in groups that share keys and values
    "num_layers": 2,
    "layer_group_size": 2,
    "num_variate_layers_per_group": 1,
    "variate_layer_first": False,
    "d_ff": 32,
    "qk_dim": 12,
    "v_dim": 8,  # heads that are together wider than the stream
    "norm_eps": 1e-4,
    "attn_bias": True,
    "mlp_bias": False,
    "qk_norm": False,
    "norm_include_weight": True,
    "per_dim_scale": True,
    "use_xpos": True,
    "residual_mult": 0.75,
    "residual_attn_ratio": math.sqrt(6 / math.log(6)),  # says that it was trained on 6 patches
}


def toto_2(**fields: Any) -> Any:
    """The network, with these fields of its config changed."""
    return _UnitSize(SHAPE | fields)


class _UnitSize(Toto2Network):
    """Saved with weights that make everything about as large as its input, the readout too."""

    def save_pretrained(self, folder: Path) -> None:
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, UnitLinear):
                    module.weight.div_(module.scale)
        super().save_pretrained(folder)
