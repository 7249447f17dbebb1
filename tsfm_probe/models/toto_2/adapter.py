"""Toto 2.0 (Khwaja et al. 2026, arXiv 2605.20119) as a model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection, Stack
from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.body import Silent
from tsfm_probe.models.cut.own import Toto2Body
from tsfm_probe.models.maps import maps
from tsfm_probe.models.reading import LEVELS, Quantiles, levels_of
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span, masked, patches
from tsfm_probe.models.toto_2.attention import Sight
from tsfm_probe.models.toto_2.network import Layer, Toto2Network
from tsfm_probe.models.toto_2.past import Past, Scale

AXES = "batch variate time d"


class Toto2(Model):
    """A Toto 2.0 checkpoint; a token predicts the patch after its own.

    Any horizon is forecast in one pass, with masked patches where the future is. Settings are those
    of upstream's GluonTS model, which keep forecasts from exploding: missing values are
    filled forward, scales rest on at least 8 observations, and far quantiles are cut off.
    """

    family = "toto-2"
    encoding_stacks = frozenset()
    draws_samples = False
    linear_readout = False
    body = Toto2Body(lambda net: _anatomy(net))

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "Toto2":
        """Read the checkpoint strictly; ModelError if it does not fit."""
        net = checkpoint.read_own(Toto2Network, source, device, dtype, body=cls.body)
        net.transformer.measure()
        return cls(name, source, net, _anatomy(net))

    @property
    def context_length(self) -> int:
        return self.net.shape.context_length

    def encode(self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None) -> Past:
        past = Past.read(contexts, groups, self.context_length, self.net.shape.patch_size)
        return past.to(self.device)

    def decode(self, state: Past, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        scale = Scale.of(state, self.net.shape.patch_size)
        with torch.no_grad():
            raw = self._raw(state, scale, self._patches(horizon)).float()
        axes = "batch variate patch (step level) -> batch variate (patch step) level"
        scaled = rearrange(raw, axes, level=len(LEVELS))
        values = rearrange(
            scale.restored(state, scaled), "batch variate ... -> (batch variate) ..."
        )
        return levels_of(values[:, :horizon], LEVELS)

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        state = self.encode(contexts)
        scale = Scale.of(state, self.net.shape.patch_size)
        return self._raw(state, scale, self._patches(horizon))

    def _patches(self, horizon: int) -> int:
        """Patches that hold a horizon."""
        return -(-horizon // self.net.shape.patch_size)

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Quantiles:
        state = self.encode(contexts)
        scale = Scale.of(state, self.net.shape.patch_size)

        def split(prediction: Tensor) -> Tensor:
            pattern = "series patch (step level) -> series (patch step) level"
            return rearrange(prediction, pattern, level=len(LEVELS)).sort(dim=-1).values

        def restore(values: Tensor) -> Tensor:
            return scale.restored(state, values[:, None])[:, 0]

        steps = self._patches(horizon) * self.net.shape.patch_size
        return Quantiles(LEVELS, split, restore, steps)

    def _raw(self, state: Past, scale: Scale, count: int) -> Tensor:
        """The prediction of `count` patches; nothing reads the masked token of the last of them."""
        patches = scale.patches(state, count - 1)
        empty = reduce(
            ~state.observed,
            "batch variate (patch step) -> batch variate patch",
            "min",
            step=self.net.shape.patch_size,
        )
        empty = functional.pad(empty, (0, count - 1))
        sight = Sight.of(empty, state.ids)
        return self.net(patches.to(next(self.net.parameters()).dtype), sight, count)

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        patch = self.net.shape.patch_size
        ahead = masked(length, patch, -(-horizon // patch) - 1)
        return (*patches(length, patch, self.context_length), *ahead)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        factor = self.net.transformer.out_norm.factor(stream)
        return lambda part: self.net.readout(part * factor)

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        count, net = self._patches(horizon), self.net
        tokens = -(-min(context, self.context_length) // net.shape.patch_size) + count - 1
        return float(maps(net.patch_proj, net.transformer) * tokens + maps(net.readout) * count)


def _anatomy(net: Any) -> Anatomy:
    components = []
    for number, layer in enumerate(net.transformer.layers):
        if not isinstance(layer.attn, Silent):
            components.append(_attention(layer, number, net.shape.across_variates(number)))
        if not isinstance(layer.ffn, Silent):
            at = Address("decoder", number, "mlp")
            value, gate = layer.ffn.fc1.weight.chunk(2)
            matrices = {"gate": gate, "value": value, "out": layer.ffn.fc2.weight}
            components.append(Component(at, layer.mlp_write, axes=AXES, matrices=matrices))
    starts = tuple(layer.norm1 for layer in net.transformer.layers)
    stack = Stack("decoder", starts, net.transformer.out_norm, AXES)
    return Anatomy(components, [stack], net.readout)


def _attention(layer: Layer, number: int, across_variates: bool) -> Component:
    attention, shape = layer.attn, layer.attn.shape
    sets = {"q": shape.num_heads, "k": shape.groups, "v": shape.groups}
    query, key = attention.factors()
    factors = {"q": query, "k": key, "v": None}

    def rotary(lag: float) -> Tensor:
        return query[:, None] * attention.turned(lag) * key

    along = "variate" if across_variates else "time"
    return Component(
        Address("decoder", number, along),
        layer.attention_write,
        attention.out_proj,
        shape.num_heads,
        {
            name: Projection(
                attention.in_proj,
                sets[name],
                span,
                scale=attention.in_proj.scale,
                gain=layer.norm1.weight,
                factor=factors[name],
            )
            for name, span in attention.spans.items()
        },
        AXES,
        along=along,
        scale=attention.out_proj.scale,
        gain=layer.attention_write.gain,
        rotary=None if across_variates else rotary,
    )
