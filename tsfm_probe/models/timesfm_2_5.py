"""TimesFM 2.5 (Das et al. 2024, arXiv 2310.10688): a causal decoder over patches of one series."""

from collections.abc import Callable, Sequence
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
from tsfm_probe.errors import ModelError
from tsfm_probe.models import checkpoint, rotation, timesfm_keys
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.models.cut.body import Silent
from tsfm_probe.models.cut.timesfm import TimesFM25Body
from tsfm_probe.models.maps import maps
from tsfm_probe.models.reading import Quantiles, levels_of
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span, patches
from tsfm_probe.models.timesfm_given import Given, filled
from tsfm_probe.models.timesfm_reading import reading, uncrossed
from tsfm_probe.models.timesfm_stream import CONSTANT, Read, read

SIZES = (
    *("patch_length", "context_length", "horizon_length", "output_quantile_len"),
    *("head_dim", "num_attention_heads", "num_key_value_heads", "num_hidden_layers"),
)


class TimesFM25(Model):
    """A TimesFM 2.5 checkpoint, forecast as its publishers show it.

    That is the package's ForecastConfig with normalize_inputs, use_continuous_quantile_head,
    force_flip_invariance, infer_is_positive and fix_quantile_crossing all on; config.json can turn
    the second to fourth off. Past the native length the median is read again. A pass of the
    network follows for the negated series, so that each part runs twice.
    """

    family = "timesfm-2.5"
    encoding_stacks = frozenset()
    draws_samples = False
    linear_readout = False
    body = TimesFM25Body(lambda net: _anatomy(net))

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "TimesFM25":
        """Read the checkpoint of transformers or of the package strictly; ModelError otherwise."""
        net = checkpoint.read(timesfm_keys.reader(source), source, device, dtype, (), cls.body)
        _refuse_other_forecasts(net.config)
        net.set_attn_implementation("eager")
        return cls(name, source, net, _anatomy(net))

    @property
    def context_length(self) -> int:
        return self.net.config.context_length

    def encode(self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None) -> Given:
        kept = [filled(one)[-self.context_length :] for one in contexts]
        loc, scale = np.array([[one.mean(), one.std()] for one in kept]).T
        safe = np.where(scale < CONSTANT, 1.0, scale)
        normed = [(one - mean) / size for one, mean, size in zip(kept, loc, safe, strict=True)]
        values = left_padded(normed, self.context_length).double().to(self.device)
        lacking = -values.shape[-1] % self.net.config.patch_length
        values = functional.pad(values, (lacking, 0), value=torch.nan)
        positive = np.array([(one >= 0).all() for one in kept])
        told = (torch.from_numpy(one).to(self.device) for one in (loc, scale, positive))
        each = (rearrange(one, "series -> series 1 1") for one in told)
        return Given(values.nan_to_num(), values.isnan(), *each)

    @torch.no_grad()
    def decode(self, state: Given, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        config = self.net.config
        found = self._quantiles(state.values, state.padded, horizon)
        if config.force_flip_invariance:
            flipped = self._quantiles(-state.values, state.padded, horizon)
            found = (found - flipped.flip(-1)) / 2
        found = uncrossed(found, config.decode_index - 1) * state.scale + state.loc
        if config.infer_is_positive:
            found = torch.where(state.positive, found.clamp_min(0), found)
        return levels_of(found, config.quantiles)

    def _quantiles(self, values: Tensor, padded: Tensor, horizon: int) -> Tensor:
        """Quantiles [series, horizon, level] on the scale of the values.

        Each pass adds a native length to the values: the median of the pass before it. The distance
        of the other quantiles from it is that of the quantile head, which reads the context alone
        and reaches as far as it was made for; beyond, it is the point head's.
        """
        config = self.net.config
        first = read(self.net.model, values, padded)
        found = [self._point(first)]
        while len(found) * config.horizon_length < horizon:
            values = torch.cat([values, self._median(found[-1])], dim=-1)
            padded = functional.pad(padded, (0, config.horizon_length))
            found.append(self._point(read(self.net.model, values, padded)))
        joined = torch.cat(found, dim=1)[:, :horizon]
        if not config.use_continuous_quantile_head:
            return joined
        raw = self.net.output_projection_quantiles(first.stream[:, -1:])
        spread = self._scaled(raw, first)[:, :horizon]
        distance = spread - self._median(spread)[..., None]
        near, far = joined.tensor_split([distance.shape[1]], dim=1)
        return torch.cat([self._median(near)[..., None] + distance, far], dim=1)

    def _point(self, given: Read) -> Tensor:
        return self._scaled(self.net.output_projection_point(given.stream), given)

    def _scaled(self, raw: Tensor, given: Read) -> Tensor:
        """A head's output after the last patch as [series, time, level], without the mean."""
        levels = 1 + len(self.net.config.quantiles)
        last = rearrange(raw[:, -1], "series (time level) -> series time level", level=levels)
        return last[..., 1:] * given.scale[:, -1, None, None] + given.loc[:, -1, None, None]

    def _median(self, quantiles: Tensor) -> Tensor:
        return quantiles[..., self.net.config.decode_index - 1]

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        given = self.encode(contexts)
        return self.net.output_projection_point(
            read(self.net.model, given.values, given.padded).stream
        )

    def taught(self, contexts: Sequence[np.ndarray], path: np.ndarray) -> Tensor:
        """What both heads make of every patch, since a forecast is read from both."""
        if not self.net.config.use_continuous_quantile_head:
            return self.predict(contexts)
        given = self.encode(contexts)
        stream = read(self.net.model, given.values, given.padded).stream
        heads = (self.net.output_projection_point, self.net.output_projection_quantiles)
        return torch.cat([head(stream) for head in heads], dim=-1)

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Quantiles:
        return reading(self.net.config, self.encode(contexts))

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        return patches(length, self.net.config.patch_length, self.context_length)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        return self.net.output_projection_point

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        config = self.net.config
        patches = -(-min(context, self.context_length) // config.patch_length)
        more = config.horizon_length // config.patch_length
        passes = range(-(-horizon // config.horizon_length))
        distances = maps(self.net.output_projection_quantiles)
        distances *= config.use_continuous_quantile_head
        each = maps(self.net.model, self.net.output_projection_point)
        once = each * sum(patches + more * one for one in passes)
        return float((1 + config.force_flip_invariance) * (once + distances))

    @torch.no_grad()
    def deviation_from_upstream(self, contexts: Sequence[np.ndarray], horizon: int) -> float:
        """The first native length alone, which is all that upstream forecasts.

        Upstream gets each series alone, because it clamps all of a batch or none.
        """
        ours = self.forecast(contexts, min(horizon, self.net.config.horizon_length)).values
        theirs = np.concatenate([self._upstream(one) for one in contexts])[:, : ours.shape[1]]
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

    def _upstream(self, context: np.ndarray) -> np.ndarray:
        config = self.net.config
        given = torch.from_numpy(filled(context)).float().to(self.device)[-self.context_length :]
        length = len(given) + -len(given) % config.patch_length
        found = self.net(past_values=[given], forecast_context_len=length).full_predictions
        return levels_of(
            uncrossed(found[..., 1:], config.decode_index - 1), config.quantiles
        ).values


def _refuse_other_forecasts(config: Any) -> None:
    """Refuse shapes of which upstream does not say how they are forecast."""
    small = [name for name in SIZES if getattr(config, name) < 1]
    if small:
        told = ", ".join(f"{name} {getattr(config, name)}" for name in small)
        raise ModelError("positive sizes were looked for in config.json", told)
    mirrored = [round(1 - level, 9) for level in reversed(config.quantiles)]
    centre = len(config.quantiles) // 2
    if [round(one, 9) for one in config.quantiles] != mirrored or config.decode_index != centre + 1:
        raise ModelError(
            "levels that mirror each other around the median were looked for in config.json",
            f"quantiles {list(config.quantiles)}, decode_index {config.decode_index}",
        )
    for name in ("horizon_length", "context_length"):
        if getattr(config, name) % config.patch_length:
            raise ModelError(
                f"a {name} of whole patches was looked for in config.json",
                f"{getattr(config, name)}, patch_length {config.patch_length}",
            )


def _anatomy(net: Any) -> Anatomy:
    components = []
    for layer, block in enumerate(net.model.layers):
        if not isinstance(block.self_attn, Silent):
            components.append(_attention(net, layer, block))
        if not isinstance(block.mlp, Silent):
            matrices = {"in": block.mlp.fc1.weight, "out": block.mlp.fc2.weight}
            at, write = Address("decoder", layer, "mlp"), block.post_feedforward_layernorm
            components.append(Component(at, write, matrices=matrices))
    starts = tuple(block.input_layernorm for block in net.model.layers)
    stack = Stack("decoder", starts, net.output_projection_point)
    return Anatomy(components, [stack], net.output_projection_point)


def _attention(net: Any, layer: int, block: Any) -> Component:
    attention, norm = block.self_attn, block.input_layernorm.weight
    size, rates = attention.head_dim, net.model.rotary_emb.inv_freq
    heads = attention.o_proj.in_features // size
    shared = attention.k_proj.out_features // size
    key = attention.k_norm.weight.detach()
    query = (attention.q_norm.weight * functional.softplus(attention.scaling)).detach()
    return Component(
        Address("decoder", layer, "time"),
        block.post_attention_layernorm,
        attention.o_proj,
        heads,
        {
            "q": Projection(attention.q_proj, heads, gain=norm, factor=query),
            "k": Projection(attention.k_proj, shared, gain=norm, factor=key),
            "v": Projection(attention.v_proj, shared, gain=norm),
        },
        gain=partial(_norm_factor, block.post_attention_layernorm),
        rotary=lambda lag: rotation.halves(rates, lag) * (query * key),
    )


def _norm_factor(norm: Any, value: Tensor) -> Tensor:
    """What an RMS norm multiplies a value [row, time, d] with."""
    mean_square = value.float().pow(2).mean(-1, keepdim=True)
    return norm.weight * torch.rsqrt(mean_square + norm.variance_epsilon)
