"""Toto 1.0 (Cohen et al. 2025, arXiv 2505.14766) as a model: forecasts and anatomy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection, Stack
from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.models.cut.body import Silent
from tsfm_probe.models.cut.own import Toto1Body
from tsfm_probe.models.draws import uniforms
from tsfm_probe.models.maps import maps
from tsfm_probe.models.reading import LEVELS, Mixtures
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span, patches
from tsfm_probe.models.toto_1.attention import Memory, Sight
from tsfm_probe.models.toto_1.mixture import Mixture
from tsfm_probe.models.toto_1.network import Toto1Network
from tsfm_probe.models.toto_1.reading import moderate, reading
from tsfm_probe.models.toto_1.rotary import Rotary, rotary_form
from tsfm_probe.models.toto_1.scaler import Scale, normalise

AXES = "batch variate time d"
CONSTANTS = tuple(
    f"rotary_emb.{name}" for name in ("freqs", "scale", "dummy", "cached_freqs", "cached_scales")
)
# The names of the MLP in a fused implementation of it, under which weights may be published.
FUSED = {".mlp.0.w12.": ".mlp.0.", ".mlp.0.w3.": ".mlp.2."}


@dataclass(frozen=True, eq=False)
class Prepared:
    """Contexts as the network reads them.

    contexts: as they were given. patches: [series, patch, step], normalised. scale: of the last
    patch. start: [series], the first patch in which a series of the group has a value.
    together: [series, series], which are of one group; None where each is on its own.
    """

    contexts: Sequence[np.ndarray]
    patches: Tensor
    scale: Scale
    start: Tensor
    together: Tensor | None


Choose = Callable[[Mixture, int], Tensor]
"""Chooses values [sample, series, step] from the mixtures of the steps from a given one on."""


class Toto1(Model):
    """A Toto 1.0 checkpoint.

    All series of a batch are variates of one batch element, and those of other groups are hidden
    from each other. The context runs once; sample paths grow from it patch by patch with a
    key-value cache, as upstream forecasts by default.

    Upstream lets tokens look at patches that are padding throughout and counts positions from
    there, so that a series forecast beside a longer one differs from the series alone. Here each
    group starts with the patch of its first value.
    """

    family = "toto-1"
    encoding_stacks = frozenset()
    draws_samples = True
    linear_readout = False
    body = Toto1Body(lambda net: _anatomy(net))

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "Toto1":
        """Read the checkpoint strictly; ModelError if it does not fit."""
        net = checkpoint.read_own(
            Toto1Network, source, device, dtype, CONSTANTS, _renamed, cls.body
        )
        return cls(name, source, net, _anatomy(net))

    @property
    def context_length(self) -> int:
        return 4096  # what the published network was trained with

    @property
    def default_samples(self) -> int:
        return 256  # what upstream's documentation and evaluations draw

    def encode(
        self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None
    ) -> Prepared:
        values = left_padded(contexts, self.context_length).double()
        size = self.net.shape.patch
        padded = functional.pad(values, (-values.shape[-1] % size, 0), value=torch.nan)
        patches = rearrange(padded, "series (patch step) -> series patch step", step=size)
        seen = ~patches.isnan()
        normalised, scale = normalise(patches.nan_to_num(0.0), seen, self.net.shape.exponent)
        group = torch.tensor(list(range(len(contexts)) if groups is None else groups))
        together = group[:, None] == group
        inhabited = (together.int() @ seen.any(-1).int()) > 0
        inhabited[:, -1] = True  # a group without any value has one patch
        start = inhabited.int().argmax(-1)
        related = together if together.sum() > len(group) else None
        return Prepared(contexts, normalised, scale, start, related)

    @torch.no_grad()
    def decode(self, state: Prepared, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        samples = samples or self.default_samples
        uniform = uniforms(state.contexts, seed, samples, 2 * horizon)
        pairs = rearrange(uniform, "series sample (step two) -> two sample series step", two=2)

        def draw(mixture: Mixture, step: int) -> Tensor:
            return mixture.drawn(*pairs[..., step : step + mixture.weight.shape[-2]])

        paths = self._paths(state, horizon, draw)
        values = np.quantile(paths.numpy(), LEVELS, axis=0)
        return Forecast(rearrange(values, "level series time -> series time level"), LEVELS)

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        state = self.encode(contexts)
        return self._output(state, state.patches[None], 0, self.net.memories())

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Mixtures:
        return reading(self.net, self.encode(contexts).scale)

    def _output(
        self, state: Prepared, patches: Tensor, start: int, memories: Sequence[Memory]
    ) -> Tensor:
        """The network's output after patches [batch, series, time, step] from `start` on."""
        context = torch.arange(state.patches.shape[1])
        token = start + torch.arange(patches.shape[2])
        inhabited = context >= state.start[:, None, None]
        # A padding token sees itself, so that its softmax is defined; none is ever looked at.
        sees = (inhabited & (context <= token[:, None])) | (context == token[:, None])
        positions = (token - state.start[:, None]).float().to(self.device)
        rotary = Rotary(positions, self.net.shape.width // self.net.shape.heads)
        together = None if state.together is None else state.together.to(self.device)
        sight = Sight(rotary, sees.to(self.device), together)
        return self.net(patches.to(next(self.net.parameters())), sight, memories)

    def _paths(self, state: Prepared, horizon: int, choose: Choose) -> Tensor:
        """Sample paths [sample, series, horizon], fp64."""
        size, memories = self.net.shape.patch, self.net.memories()
        patches, scale, start = state.patches[None], state.scale, 0
        paths: list[Tensor] = []
        for step in range(0, horizon, size):
            output = self._output(state, patches, start, memories)
            mixture = self.net.mixture(output, min(size, horizon - step))
            paths.append(moderate(scale.restored(choose(mixture, step).cpu().double())))
            if step + size < horizon:
                start += patches.shape[2]
                read = paths[-1].nan_to_num(0.0)
                scale = scale.after(read, torch.ones_like(read))
                patches = rearrange(
                    scale.normalised(read), "sample series step -> sample series 1 step"
                )
        return torch.cat(paths, dim=-1)

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        return patches(length, self.net.shape.patch, self.context_length)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        return self.net.model.unembed

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        size, model = self.net.shape.patch, self.net.model
        tokens = -(-min(context, self.context_length) // size)
        later = (-(-horizon // size) - 1) * (samples or self.default_samples)
        each = maps(model.patch_embed, model.transformer) * (tokens + later)
        steps = min(size, horizon) + max(0, horizon - size) * (samples or self.default_samples)
        ends = maps(model.unembed) * (1 + later) + maps(model.output_distribution) * steps
        return float(each + ends)


def _renamed(name: str) -> str:
    name = name if name.startswith("model.") else f"model.{name}"
    for theirs, ours in FUSED.items():
        name = name.replace(theirs, ours)
    return name


def _anatomy(net: Toto1Network) -> Anatomy:
    components = []
    layers: Any = net.model.transformer.layers
    for place, layer in enumerate(layers):
        if not isinstance(layer.attention, Silent):
            components.append(_attention(place, layer))
        if not isinstance(layer.mlp, Silent):
            gate, value = layer.mlp[0].weight.chunk(2)
            matrices = {"gate": gate, "value": value, "out": layer.mlp[2].weight}
            mlp = Address("decoder", place, "mlp")
            components.append(Component(mlp, layer.mlp[2], axes=AXES, matrices=matrices))
    starts = tuple(layer.norm1 for layer in layers)
    stack = Stack("decoder", starts, net.model.transformer.last, AXES)
    return Anatomy(components, [stack], net.model.unembed)


def _attention(place: int, layer: Any) -> Component:
    attention, mix = layer.attention, layer.attention.wO
    size, heads = mix.in_features, attention.heads
    projections = {
        name: Projection(
            attention.wQKV,
            heads,
            slice(part * size, (part + 1) * size),
            "row head",
            gain=layer.norm1.scale,
        )
        for part, name in enumerate("qkv")
    }
    at, along = Address("decoder", place, attention.part), attention.part
    turn = partial(rotary_form, size // heads) if along == "time" else None
    return Component(at, mix, mix, heads, projections, AXES, along=along, rotary=turn)
