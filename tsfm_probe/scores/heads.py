"""The weights of all heads of one attention, in double precision, in one of three variants."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tsfm_probe.anatomy import Component
from tsfm_probe.errors import ModelError

VARIANTS = ("plain", "folded", "rotary")
"""How much of what stands around the weights is multiplied into them.

plain: nothing, as in Bao et al. 2026. folded: the gains of the norms in front of the maps, and what
queries and keys are multiplied with for each dimension. rotary: that, and the turn of a query
against a key a number of tokens earlier. What depends on data (the root mean square that a norm
divides by) and biases are in none of them.
"""


@dataclass(frozen=True, eq=False)
class Heads:
    """All heads of one attention in a variant; each matrix is made when it is first asked for.

    component: an attention, with a `rotary` in the variant of that name, where `lag` counts.
    ModelError if a weight is not finite.
    """

    component: Component
    variant: str = "plain"
    lag: float = 0.0

    @cached_property
    def query(self) -> Tensor:
        """[head, head_dim, d]."""
        return self._rows("q")

    @cached_property
    def key(self) -> Tensor:
        """[head, head_dim, d of the stream that is read]; equal where heads share their keys."""
        rows = self._rows("k")
        if self.variant != "rotary":
            return rows
        assert self.component.rotary is not None
        return self.component.rotary(self.lag).to(rows) @ rows

    @cached_property
    def value(self) -> Tensor:
        """[head, head_dim, d of the stream that is read]; equal where heads share their values."""
        return self._rows("v")

    @cached_property
    def output(self) -> Tensor:
        """[head, d, head_dim]; folded: with the gain of a norm behind it."""
        component = self.component
        assert component.mix is not None  # a component with heads has one
        weight = component.scale * component.mix.weight.detach().double()
        if self.variant != "plain" and component.gain is not None:
            # The factor of a norm at a write whose root mean square is one.
            ones = component.mix.weight.detach().new_ones(1, len(weight))
            weight = weight * component.gain(ones).detach().double().reshape(-1, 1)
        return self._finite(torch.stack(weight.chunk(component.heads, dim=1)))

    def _rows(self, name: str) -> Tensor:
        projection = self.component.projections[name]
        rows = [self.component.rows(name, head).detach() for head in range(self.component.heads)]
        stacked = self._finite(projection.scale * torch.stack(rows).double())
        if self.variant != "plain" and projection.gain is not None:
            stacked = stacked * projection.gain.detach().double()
        if self.variant == "folded" and projection.factor is not None:
            stacked = stacked * projection.factor.detach().double()[:, None]
        return stacked

    def _finite(self, weight: Tensor) -> Tensor:
        if weight.sum().isfinite():  # much faster than to look at each
            return weight
        raise ModelError(f"the heads of {self.component.at} were to be scored", "a weight is NaN")
