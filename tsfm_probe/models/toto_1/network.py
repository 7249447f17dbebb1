"""The network of Toto 1.0, under the published weight names.

One batch element holds series as variates: time layers read each series from the past to the
present, variate layers read the series of one group at the same time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from tsfm_probe.models.own import OwnNetwork
from tsfm_probe.models.toto_1.attention import (
    Attention,
    Memory,
    Sight,
    TimeAttention,
    VariateAttention,
)
from tsfm_probe.models.toto_1.mixture import Mixture, MixtureOutput
from tsfm_probe.models.toto_1.shape import Shape

ATTENTIONS: Mapping[str, type[Attention]] = {"time": TimeAttention, "variate": VariateAttention}
EPSILON = 1e-8


class RootMeanSquareNorm(nn.Module):
    """Divides by the root mean square of the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, stream: Tensor) -> Tensor:
        return stream * torch.rsqrt(stream.pow(2).mean(-1, keepdim=True) + EPSILON) * self.scale


class GatedUnit(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202), the gate first."""

    def forward(self, both: Tensor) -> Tensor:
        gate, value = both.chunk(2, dim=-1)
        return functional.silu(gate) * value


class Layer(nn.Module):
    """Attention of one kind and an MLP, each behind a norm."""

    def __init__(self, attention: Attention, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = RootMeanSquareNorm(width), RootMeanSquareNorm(width)
        self.attention = attention
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * hidden), GatedUnit(), nn.Linear(hidden, width)
        )

    def forward(self, stream: Tensor, sight: Sight, memory: Memory) -> Tensor:
        stream = stream + self.attention(self.norm1(stream), sight, memory)
        return stream + self.mlp(self.norm2(stream))


class PatchEmbedding(nn.Module):
    """From the steps of a patch to a token."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(patch, width)

    def forward(self, patches: Tensor) -> Tensor:
        return self.projection(patches)


class Transformer(nn.Module):
    """The layers; the stream that leaves the last one passes `last`, unchanged."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(ATTENTIONS[part](shape.width, shape.heads), shape.width, shape.hidden)
            for part in shape.parts
        )
        self.last = nn.Identity()

    def forward(self, stream: Tensor, sight: Sight, memories: Sequence[Memory]) -> Tensor:
        for layer, memory in zip(self.layers, memories, strict=True):
            stream = layer(stream, sight, memory)
        return self.last(stream)


class Backbone(nn.Module):
    """Everything that has weights."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(shape.patch, shape.width)
        self.transformer = Transformer(shape)
        self.unembed = nn.Linear(shape.width, shape.patch * shape.width)
        self.output_distribution = MixtureOutput(shape.width, shape.components)


class Toto1Network(OwnNetwork):
    """A Toto 1.0 network.

    config: as in the published config.json; KeyError, TypeError or ValueError if it is no use.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.shape = Shape.of(config)
        self.model = Backbone(self.shape)

    def memories(self) -> list[Memory]:
        """What the layers keep from pass to pass: nothing as yet."""
        return [Memory() for _ in self.model.transformer.layers]

    def forward(self, patches: Tensor, sight: Sight, memories: Sequence[Memory]) -> Tensor:
        """What comes after the last patch: [batch, variate, 1, (step d)].

        patches: [batch, variate, time, step], normalised.
        """
        stream = self.model.patch_embed(patches)
        final = self.model.transformer(stream, sight, memories)
        return self.model.unembed(final[:, :, -1:])

    def mixture(self, output: Tensor, steps: int) -> Mixture:
        """The first steps after the last patch, fields [batch, variate, step, component].

        output: as `forward` gives it.
        """
        each = "batch variate 1 (step d) -> batch variate step d"
        embedded = rearrange(output, each, d=self.shape.width)[:, :, :steps]
        return self.model.output_distribution(embedded)
