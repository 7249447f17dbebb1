"""Chronos-2 (Ansari et al. 2025, arXiv 2510.15821): one stack with time and group attention."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from chronos.chronos2 import Chronos2Model, Chronos2Pipeline
from einops import rearrange
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Stack
from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint, rotation, t5
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.models.cut.body import Silent
from tsfm_probe.models.cut.chronos_2 import Chronos2Body
from tsfm_probe.models.groups import members
from tsfm_probe.models.maps import maps
from tsfm_probe.models.reading import LEVELS, Quantiles, levels_of
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import REGISTER, Span, masked, patches


@dataclass(frozen=True, eq=False)
class Given:
    """Contexts as they are forecast.

    padded: [series, time]. groups: the places of the series of each group.
    """

    padded: Tensor
    groups: list[list[int]]


class Chronos2(Model):
    """A Chronos-2 checkpoint; a series is a group of its own if nothing else is asked for.

    Nothing is encoded ahead, since its one stack reads the context and the masked future together.
    """

    family = "chronos-2"
    encoding_stacks = frozenset()
    draws_samples = False
    linear_readout = False
    body = Chronos2Body(lambda net: _anatomy(net))

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "Chronos2":
        """Read the checkpoint strictly; ModelError if it does not fit."""
        net = checkpoint.read(Chronos2Model, source, device, dtype, (), cls.body)
        return cls(name, source, net, _anatomy(net))

    @property
    def context_length(self) -> int:
        return self.net.chronos_config.context_length

    def encode(self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None) -> Given:
        return Given(left_padded(contexts, self.context_length), members(groups, len(contexts)))

    def decode(self, state: Given, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        tasks = [state.padded[places] for places in state.groups]
        size = len(state.padded)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "We recommend keeping prediction length")
            found = self.upstream().predict(tasks, prediction_length=horizon, batch_size=size)
        levels = self.net.chronos_config.quantiles
        values = torch.empty(size, horizon, len(levels))
        for places, one in zip(state.groups, found, strict=True):
            values[places] = rearrange(one.float(), "series level time -> series time level")
        return levels_of(values, levels)

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        padded = left_padded(contexts, self.context_length).to(self.device)
        patches = self._patches(horizon)
        stream = self.net.encode(padded, num_output_patches=patches)[0][0]
        return self.net.output_patch_embedding(stream[:, -patches:])

    def _patches(self, horizon: int) -> int:
        """Patches of the future that one pass reads for a horizon, as many as it can."""
        config = self.net.chronos_config
        return min(-(-horizon // config.output_patch_size), config.max_output_patches)

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Quantiles:
        padded = left_padded(contexts, self.context_length).to(self.device)
        _, (loc, scale) = self.net.instance_norm(padded)
        config = self.net.chronos_config

        def split(prediction: Tensor) -> Tensor:
            pattern = "series patch (level time) -> series (patch time) level"
            return rearrange(prediction, pattern, level=len(config.quantiles))

        def restore(values: Tensor) -> Tensor:
            return self.net.instance_norm.inverse(values, (loc[..., None], scale[..., None]))

        steps = self._patches(horizon) * config.output_patch_size
        return Quantiles(config.quantiles, split, restore, steps)

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        config = self.net.chronos_config
        read = patches(length, config.input_patch_size, self.context_length)
        register = (Span(REGISTER, length, length),) if config.use_reg_token else ()
        ahead = masked(length, config.output_patch_size, self._patches(horizon))
        return (*read, *register, *ahead)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        normed = t5.frozen_norm(self.net.encoder.final_layer_norm, stream)
        return lambda part: self.net.output_patch_embedding(normed(part))

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        config, net, total, start = self.net.chronos_config, self.net, 0, 0
        while start < horizon:
            read = -(-min(context + start, self.context_length) // config.input_patch_size)
            ahead = self._patches(horizon - start)
            made = maps(net.input_patch_embedding) * (read + ahead)
            made += maps(net.encoder.block) * (read + config.use_reg_token + ahead)
            made += maps(net.output_patch_embedding) * ahead
            total += made * (len(LEVELS) if start else 1)  # upstream reads paths of nine levels
            start += ahead * config.output_patch_size
        return float(total)

    def upstream(self) -> Chronos2Pipeline:
        """The upstream pipeline around the same network."""
        return Chronos2Pipeline(self.net)

    def deviation_from_upstream(self, contexts: Sequence[np.ndarray], horizon: int) -> float:
        ours = self.forecast(contexts, horizon).values
        given = [torch.from_numpy(np.asarray(one, dtype=np.float32)) for one in contexts]
        theirs, _ = self.upstream().predict_quantiles(
            given, prediction_length=horizon, quantile_levels=list(LEVELS)
        )
        expected = np.stack([one[0].numpy() for one in theirs])
        return float(np.abs(ours - expected).max() / np.abs(expected).max())


def _anatomy(net: Any) -> Anatomy:
    components: list[Component] = []
    for layer, block in enumerate(net.encoder.block):
        over_time, over_group, last = block.layer
        if not isinstance(over_time.self_attention, Silent):
            time = _attention(Address("encoder", layer, "time"), over_time)
            rotary = partial(rotation.halves, over_time.self_attention.rope_embed.inv_freq)
            components.append(replace(time, rotary=rotary))
        if not isinstance(over_group.self_attention, Silent):
            group = _attention(Address("encoder", layer, "group"), over_group)
            components.append(replace(group, axes="time batch d", along="batch"))
        if not isinstance(last.mlp, Silent):
            components.append(t5.mlp(Address("encoder", layer, "mlp"), last.mlp))
    starts = tuple(block.layer[0].layer_norm for block in net.encoder.block)
    stack = Stack("encoder", starts, net.encoder.final_layer_norm)
    return Anatomy(components, [stack], net.output_patch_embedding)


def _attention(at: Address, one: Any) -> Component:
    return t5.component(at, one.self_attention, one.layer_norm.weight)
