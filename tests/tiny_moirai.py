"""Tiny Moirai networks with random weights, in their published format."""

from typing import Any

import numpy as np
import torch

from tsfm_probe.models.moirai.moirai_1 import Network1
from tsfm_probe.models.moirai.moirai_2 import Network2

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
SHAPE = {"d_model": 256, "num_layers": 2, "max_seq_len": 8, "scaling": True}
DROPOUT = {"attn_dropout_p": 0.3, "dropout_p": 0.3}  # which nothing may apply
COMPONENTS = [
    {"_target_": "uni2ts.distribution.student_t.StudentTOutput"},
    {"_target_": "uni2ts.distribution.normal.NormalFixedScaleOutput", "scale": 0.001},
    {"_target_": "uni2ts.distribution.negative_binomial.NegativeBinomialOutput"},
    {"_target_": "uni2ts.distribution.log_normal.LogNormalOutput"},
]


def moirai_1(**shape: Any) -> Network1:
    """A Moirai 1.1: patches of 4, 8 or 16, 8 tokens, 2 layers with 4 heads of 64."""
    mixture = {
        "_target_": "uni2ts.distribution.mixture.MixtureOutput",
        "components": COMPONENTS,
    }
    return Network1(SHAPE | DROPOUT | {"patch_sizes": [4, 8, 16], "distr_output": mixture} | shape)


def moirai_2(**shape: Any) -> Network2:
    """A Moirai 2.0: patch 8, 8 tokens, native horizon 16, 2 layers with 4 heads of 64."""
    own = {"patch_size": 8, "num_predict_token": 2, "d_ff": 48, "quantile_levels": LEVELS}
    return Network2(SHAPE | DROPOUT | own | shape)


def settled(net: torch.nn.Module) -> None:
    """Live random weights that are the same on every machine and release.

    The width of a Moirai network is 64 times its heads, so that one with four heads is too large
    to be kept with the tests; NumPy promises never to change this generator.
    """
    generator = np.random.RandomState(0)
    with torch.no_grad():
        for name, weight in sorted(net.named_parameters()):
            drawn = torch.from_numpy(generator.standard_normal(weight.shape)).float()
            if "norm" in name:
                drawn = 1 + 0.3 * drawn
            elif weight.ndim > 1:
                drawn = drawn * weight.shape[-1] ** -0.5
            weight.copy_(drawn)
