"""What the config.json of a Toto 2.0 checkpoint says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

LARGEST_RATIO = 100.0
"""Larger than any residual_attn_ratio of a context that can be read."""
LONGEST = 4096
"""Values of a context where a config does not tell: those that Toto-2.0-4m was trained on."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a network, under the names and with the defaults of the published format.

    Fields that do not change a forecast (dropout_p, heads_per_group) are left out.
    """

    patch_size: int
    d_model: int
    num_heads: int
    num_layers: int
    layer_group_size: int
    num_variate_layers_per_group: int
    variate_layer_first: bool
    residual_attn_ratio: float
    residual_mult: float = 1.0
    norm_eps: float = 5e-5
    attn_bias: bool = False
    mlp_bias: bool = False
    num_output_patches: int = 1
    pre_norm: bool = True
    d_ff: int | None = None
    qk_dim: int | None = None
    v_dim: int | None = None
    num_groups: int | None = None
    qk_norm: bool = True
    norm_include_weight: bool = False
    qk_norm_include_weight: bool | None = None
    per_dim_scale: bool = False
    use_xpos: bool = False

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "Shape":
        """The shape in a config.json; TypeError or ValueError if it cannot be used."""
        names = {one.name for one in fields(cls)}
        shape = cls(**{name: value for name, value in config.items() if name in names})
        shape._refuse_unusable()
        return shape

    def _refuse_unusable(self) -> None:
        for one in fields(self):
            value, kinds = getattr(self, one.name), get_args(one.type) or (one.type,)
            kind = float if float in kinds and type(value) is int else type(value)
            least = 0 if one.name == "num_variate_layers_per_group" else math.ulp(0.0)
            if kind not in kinds or (kind in (int, float) and not least <= value < math.inf):
                raise ValueError(f"{one.name} {value!r} cannot be used")
        if self.residual_attn_ratio > LARGEST_RATIO:
            raise ValueError(f"residual_attn_ratio {self.residual_attn_ratio} is too large")
        self._refuse_mismatched()

    def _refuse_mismatched(self) -> None:
        if self.num_output_patches != 1 or not self.pre_norm:
            raise ValueError("num_output_patches must be 1 and pre_norm true")
        if self.num_layers % self.layer_group_size:
            raise ValueError(f"{self.num_layers} layers in groups of {self.layer_group_size}")
        if self.num_variate_layers_per_group > self.layer_group_size:
            raise ValueError(
                f"num_variate_layers_per_group {self.num_variate_layers_per_group} is more than "
                f"layer_group_size {self.layer_group_size}"
            )
        if self.num_heads % self.groups:
            raise ValueError(f"{self.num_heads} heads in {self.groups} groups")
        if not self.query or self.query % 4:
            raise ValueError(f"the rotated half of {self.query} columns must be pairs")

    @property
    def query(self) -> int:
        """Columns of one head's queries and keys."""
        return self.qk_dim or self.d_model // self.num_heads

    @property
    def value(self) -> int:
        """Columns of one head's values."""
        return self.v_dim or self.query

    @property
    def groups(self) -> int:
        """Sets of keys and values, each shared by as many heads."""
        return self.num_groups or self.num_heads

    @property
    def inner(self) -> int:
        """Columns inside an MLP: 8/3 of the width, rounded up to a multiple of 8."""
        return self.d_ff or (int(4 * self.d_model * 2 / 3) + 7) // 8 * 8

    @property
    def weighted_queries(self) -> bool:
        """Whether the norms of queries and keys have weights."""
        own = self.qk_norm_include_weight
        return self.norm_include_weight if own is None else own

    def across_variates(self, layer: int) -> bool:
        """Whether a layer attends across the series of a group, not across time."""
        place, many = layer % self.layer_group_size, self.num_variate_layers_per_group
        return place < many if self.variate_layer_first else place >= self.layer_group_size - many

    @property
    def context_length(self) -> int:
        """Values of a context that the network was trained on.

        The config does not name them, but its residual_attn_ratio is sqrt(S / log S) for contexts
        of S patches, which grows from S = 3 on. LONGEST where it is not of that form.
        """
        patches, wanted = 3, self.residual_attn_ratio**2
        while patches / math.log(patches) < 0.999 * wanted:
            patches += 1
        if patches / math.log(patches) > 1.001 * wanted:
            return LONGEST // self.patch_size * self.patch_size
        return patches * self.patch_size

    def taus(self, layer: int) -> tuple[float, float]:
        """How much attention and MLP of a layer weigh against the stream that they are added to.

        The rule of u-muP (Blake et al. 2024, arXiv 2407.17465, appendix G): all attentions weigh
        the same in the final stream, all MLPs the same, in the ratio residual_attn_ratio.
        """
        mlp = self.residual_mult**2 * 2 / (1 + self.residual_attn_ratio**2)
        attention = self.residual_attn_ratio**2 * mlp
        before = self.num_layers + layer * (attention + mlp)
        return math.sqrt(attention / before), math.sqrt(mlp / (before + attention))
