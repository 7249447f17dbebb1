"""Chronos-Bolt: a T5 over patches that forecasts quantiles directly, from one decoder token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting, ChronosBoltPipeline
from einops import rearrange, repeat
from torch import Tensor

from tsfm_probe.anatomy import Anatomy
from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint, t5
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.models.cut.t5 import T5Body
from tsfm_probe.models.maps import maps, memory_maps
from tsfm_probe.models.reading import LEVELS, Quantiles, levels_of
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import REGISTER, START, Span, patches

SHARED = ("embed_tokens.weight",)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Encoded contexts.

    padded: [series, time]. hidden, embedded: [series, patch, d]. mask: [series, patch].
    loc, scale: [series, 1] of the instance normalisation.
    """

    padded: Tensor
    hidden: Tensor
    embedded: Tensor
    mask: Tensor
    loc: Tensor
    scale: Tensor


class ChronosBolt(Model):
    """A Chronos-Bolt checkpoint. Past the native length nine quantile paths are read again."""

    family = "chronos-bolt"
    encoding_stacks = frozenset({"encoder"})
    draws_samples = False
    linear_readout = False
    body = T5Body(lambda net: _anatomy(net))

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "ChronosBolt":
        """Read the checkpoint strictly; ModelError if it does not fit."""
        net = checkpoint.read(
            ChronosBoltModelForForecasting, source, device, dtype, SHARED, cls.body
        )
        return cls(name, source, net, _anatomy(net))

    @property
    def context_length(self) -> int:
        return self.net.chronos_config.context_length

    @torch.no_grad()
    def encode(
        self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None
    ) -> Encoded:
        return self._encode(left_padded(contexts, self.context_length).to(self.device))

    def _encode(self, padded: Tensor) -> Encoded:
        hidden, (loc, scale), embedded, mask = self.net.encode(context=padded)
        return Encoded(padded, hidden, embedded, mask, loc, scale)

    def _raw(self, state: Encoded) -> Tensor:
        """What the network gives for the next native length, not scaled back: [series, 1, ...]."""
        return self.net.output_patch_embedding(
            self.net.decode(state.embedded, state.mask, state.hidden)
        )

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        padded = left_padded(contexts, self.context_length)
        return self._raw(self._encode(padded.to(self.device)))

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Quantiles:
        padded = left_padded(contexts, self.context_length).to(self.device)
        _, (loc, scale) = self.net.instance_norm(padded)
        levels = self.net.chronos_config.quantiles

        def split(prediction: Tensor) -> Tensor:
            pattern = "series 1 (level time) -> series time level"
            return rearrange(prediction, pattern, level=len(levels))

        def restore(values: Tensor) -> Tensor:
            return values * scale[..., None] + loc[..., None]

        return Quantiles(levels, split, restore, self.net.chronos_config.prediction_length)

    def _quantiles(self, state: Encoded) -> Tensor:
        """Quantiles of the next native length: [series, level, time]."""
        flat = self._raw(state)[:, 0]
        flat = self.net.instance_norm.inverse(flat, (state.loc, state.scale))
        return rearrange(
            flat, "series (level time) -> series level time", level=self.net.num_quantiles
        )

    @torch.no_grad()
    def decode(self, state: Encoded, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        levels = self.net.chronos_config.quantiles
        found = [self._quantiles(state)]
        paths = repeat(state.padded, "series time -> series path time", path=len(levels))
        while sum(one.shape[-1] for one in found) < horizon:
            paths = torch.cat([paths, found[-1]], dim=-1)
            found.append(self._reread(paths))
        values = torch.cat(found, dim=-1)[..., :horizon]
        return levels_of(rearrange(values, "series level time -> series time level"), levels)

    def _reread(self, paths: Tensor) -> Tensor:
        """Quantiles [series, level, time] after paths [series, path, time], over all of them."""
        flat = self._encode(rearrange(paths, "series path time -> (series path) time"))
        pooled = rearrange(
            self._quantiles(flat),
            "(series path) level time -> series time (path level)",
            path=paths.shape[1],
        )
        at = torch.tensor(self.net.chronos_config.quantiles, device=pooled.device)
        values = torch.quantile(pooled.float(), at, dim=-1)
        return rearrange(values, "level series time -> series level time")

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        if stack == "decoder":
            return (Span(START, length, length),)
        config = self.net.chronos_config
        read = patches(length, config.input_patch_size, self.context_length)
        return (*read, Span(REGISTER, length, length)) if config.use_reg_token else read

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        normed = t5.frozen_norm(self.net.decoder.final_layer_norm, stream)
        return lambda part: self.net.output_patch_embedding(normed(part))

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        config, cross = self.net.chronos_config, memory_maps(self.anatomy)
        reader, once = self.net.input_patch_embedding, self.net.output_patch_embedding
        total = 0
        for start in range(0, horizon, config.prediction_length):
            patches = -(-min(context + start, self.context_length) // config.input_patch_size)
            encoder = (maps(self.net.encoder.block) + cross) * (patches + config.use_reg_token)
            decoder = maps(self.net.decoder.block) - cross + maps(once)
            made = maps(reader) * patches + encoder + decoder
            total += made * (len(config.quantiles) if start else 1)
        return float(total)

    def upstream(self) -> ChronosBoltPipeline:
        """The upstream pipeline around the same network."""
        return ChronosBoltPipeline(self.net)

    def deviation_from_upstream(self, contexts: Sequence[np.ndarray], horizon: int) -> float:
        ours = self.forecast(contexts, horizon).values
        given = left_padded(contexts, self.context_length)
        theirs, _ = self.upstream().predict_quantiles(given, horizon, list(LEVELS))
        return float(np.abs(ours - theirs.numpy()).max() / np.abs(theirs.numpy()).max())


def _anatomy(net: Any) -> Anatomy:
    return t5.anatomy(net.encoder, net.decoder, net.output_patch_embedding)
