"""The network of Toto 2.0, whose stream keeps its units.

Upstream's residual rule is x <- (tau f(norm x) + x) / sqrt(1 + tau^2), which shrinks the stream at
every sublayer. Here the stream is y = x c, with c the product of all sqrt(1 + tau^2) so far: then
y <- y + c tau f(norm y), where the norm's eps is multiplied by c^2. It is the same network, and
what a sublayer writes is added and stays.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tsfm_probe.models.own import OwnNetwork
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.models.toto_2.attention import Attention, Sight
from tsfm_probe.models.toto_2.shape import Shape
from tsfm_probe.models.toto_2.units import (
    GatedMLP,
    ResidualMLP,
    RootMeanSquareNorm,
    UnitLinear,
    Write,
)


class Layer(nn.Module):
    """Attention and MLP, each on the norm of the stream; the names are the published ones."""

    attn_tau: Tensor
    mlp_tau: Tensor

    def __init__(self, shape: Shape, number: int) -> None:
        super().__init__()
        self.eps = shape.norm_eps
        self.norm1, self.norm2 = (
            RootMeanSquareNorm(shape.d_model, shape.norm_eps, shape.norm_include_weight)
            for _ in range(2)
        )
        self.attn = Attention(shape, shape.across_variates(number))
        self.ffn = GatedMLP(shape.d_model, shape.inner, shape.mlp_bias)
        self.attention_write, self.mlp_write = Write(), Write()
        for name, tau in zip(("attn_tau", "mlp_tau"), shape.taus(number), strict=True):
            self.register_buffer(name, torch.tensor(tau))

    def forward(self, x: Tensor, sight: Sight) -> Tensor:
        x = x + self.attention_write(self.attn(self.norm1(x), sight))
        return x + self.mlp_write(self.ffn(self.norm2(x)))

    def measure(self, unit: float) -> float:
        """Take the unit of the stream that enters, set what depends on it, give the next one."""
        for norm, write, tau in (
            (self.norm1, self.attention_write, float(self.attn_tau)),
            (self.norm2, self.mlp_write, float(self.mlp_tau)),
        ):
            norm.eps = self.eps * unit**2
            write.factor = unit * tau
            unit *= math.sqrt(1 + tau**2)
        return unit


class Transformer(nn.Module):
    """All layers and the final norm."""

    layers: Any  # a list of Layer

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape, number) for number in range(shape.num_layers))
        self.out_norm = RootMeanSquareNorm(shape.d_model, shape.norm_eps, shape.norm_include_weight)
        self.eps = shape.norm_eps

    def forward(self, x: Tensor, sight: Sight) -> Tensor:
        for layer in self.layers:
            x = layer(x, sight)
        return self.out_norm(x)

    def measure(self) -> None:
        """Set the units of the stream from the taus of the layers."""
        unit = 1.0
        for layer in self.layers:
            unit = layer.measure(unit)
        self.out_norm.eps = self.eps * unit**2


class Toto2Network(OwnNetwork):
    """Patches of scaled values to quantiles of the next patch; the names are the published ones.

    `transformer.measure` must be called once the weights are there.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        shape = self.shape = Shape.read(config)
        hidden = 4 * shape.d_model
        self.patch_proj = ResidualMLP(2 * shape.patch_size, hidden, shape.d_model)
        self.transformer = Transformer(shape)
        predicted = shape.patch_size * len(LEVELS)
        readout = ResidualMLP(shape.d_model, hidden, predicted, power=1.0)
        self.output_head = nn.ModuleDict({"param_projection": nn.ModuleDict({"proj": readout})})

    def start(self) -> None:
        """Weights of unit size, as u-muP has them, and no biases."""
        for module in self.modules():
            if isinstance(module, UnitLinear):
                nn.init.normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def readout(self) -> nn.Module:
        """The map from the final norm's output to the prediction."""
        return self.output_head.get_submodule("param_projection.proj")

    def forward(self, patches: Tensor, sight: Sight, count: int) -> Tensor:
        """What the last `count` tokens predict: [batch, variate, patch, (step level)].

        patches: [batch, variate, patch, (part step)], scaled values and then 1.0 where missing.
        """
        final = self.transformer(self.patch_proj(patches), sight)
        return self.readout(final[..., -count:, :])
