"""The unit-scaled modules of u-muP (Blake et al. 2024, arXiv 2407.17465), in plain torch.

Only the forward scales are here: upstream's modules scale gradients on their way back differently,
for the sake of training, so that theirs are not the derivative of the network.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SILU = math.exp(0.8 * math.log(math.sqrt(2 / (1 - 1 / math.pi))) + 0.2 * math.log(2))
"""What brings SiLU of unit normal input to about unit size."""


class UnitLinear(nn.Linear):
    """A linear map, bias included, times a power of its inputs' number: `scale`.

    power: 1/2 keeps the size of the output at that of the input; 1 is for the last map.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool, power: float = 0.5) -> None:
        super().__init__(inputs, outputs, bias)
        self.scale = inputs**-power

    def forward(self, input: Tensor) -> Tensor:
        return self.scale * super().forward(input)


class RootMeanSquareNorm(nn.Module):
    """A root-mean-square norm (Zhang and Sennrich 2019) over the last axis, with a weight or not.

    eps: added to the mean square; it grows with the unit in which the input is measured.
    """

    weight: Tensor | None

    def __init__(self, width: int, eps: float, weighted: bool) -> None:
        super().__init__()
        self.eps = eps
        self.register_parameter("weight", nn.Parameter(torch.ones(width)) if weighted else None)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor(x)

    def factor(self, x: Tensor) -> Tensor:
        """What the norm multiplies this input with."""
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        factor = (exact.pow(2).mean(-1, keepdim=True) + self.eps).rsqrt().to(x.dtype)
        return factor if self.weight is None else factor * self.weight


class Write(nn.Module):
    """What a sublayer makes, brought to the units of the stream that it is added to."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = 1.0

    def forward(self, made: Tensor) -> Tensor:
        return self.factor * made

    def gain(self, made: Tensor) -> Tensor:
        """The factor, which is the same for everything that is made."""
        return made.new_tensor(self.factor)


class PerDimensionScale(nn.Module):
    """A learnt positive factor for each column of the queries, shared by the heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.per_dim_scale = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * (functional.softplus(self.per_dim_scale) / math.log(2))


class ResidualMLP(nn.Module):
    """A map with one hidden layer beside a linear map; the names are the published ones.

    power: that of the maps to the output (see UnitLinear).
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, power: float = 0.5) -> None:
        super().__init__()
        self.linear1 = UnitLinear(inputs, hidden, True)
        self.linear2 = UnitLinear(hidden, outputs, True, power)
        self.skip_proj = UnitLinear(inputs, outputs, True, power)

    def forward(self, x: Tensor) -> Tensor:
        hidden = SILU * functional.silu(self.linear1(x))
        return (self.linear2(hidden) + self.skip_proj(x)) / math.sqrt(2)


class GatedMLP(nn.Module):
    """The MLP of a layer (SwiGLU; Shazeer 2020); the names are the published ones."""

    def __init__(self, width: int, inner: int, bias: bool) -> None:
        super().__init__()
        self.fc1 = UnitLinear(width, 2 * inner, bias)
        self.fc2 = UnitLinear(inner, width, bias)

    def forward(self, x: Tensor) -> Tensor:
        content, gate = self.fc1(x).chunk(2, dim=-1)
        return self.fc2(content * functional.silu(gate))
