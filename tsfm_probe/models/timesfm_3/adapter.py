"""TimesFM 3.0 (after Das et al. 2024, arXiv 2310.10688): attention over time, then over variates.

The network is that of the package `timesfm`, an optional extra.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from tsfm_probe.data.series import Forecast
from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.models import checkpoint
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.timesfm import TimesFM3Body
from tsfm_probe.models.groups import members
from tsfm_probe.models.maps import maps
from tsfm_probe.models.reading import Quantiles, levels_of
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span, masked, patches
from tsfm_probe.models.timesfm_3.anatomy import anatomy
from tsfm_probe.models.timesfm_3.given import Given, given
from tsfm_probe.models.timesfm_3.reading import reading, stitched
from tsfm_probe.models.twin import Twin

SIZES = ("input_patch_len", "output_patch_len")
NUMBERS = ("linear_detrending_threshold", "value_clip")
LONGEST = 15360  # the most values that the published model is given


class TimesFM3(Model):
    """A TimesFM 3.0 checkpoint, used as its package's TimesFM3Forecaster does if not told more.

    That is one pass with the quantiles sorted: no average with the forecast of the mirrored
    series, and no floor at zero, which the package's Evaluator adds for benchmarks.

    The package pads a batch on the left. Its rotary embedding stands before a norm with weights, so
    that a forecast depends on where a series starts, and on its neighbours. Here every series
    starts at position 0 and goes on as far into the masked future as the batch is long, which
    causal attention does not look back from: each is forecast as the package does it alone.

    Series of a group are the variates of one member of the batch, in the order in which they are
    given, which matters where `use_rope_var` is set.
    """

    family = "timesfm-3"
    encoding_stacks = frozenset()
    draws_samples = False
    linear_readout = False
    body = TimesFM3Body(anatomy)
    notice = "the weights that are published of TimesFM 3.0 are for non-commercial use only"

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "TimesFM3":
        """Read the checkpoint strictly; ModelError if it does not fit or the package is missing."""
        if dtype not in ("auto", "float32"):
            raise UsageError(
                f"dtype {dtype!r} was asked for",
                "TimesFM 3.0 computes in float32",
                "allowed are auto, float32",
            )
        network = _package().TimesFM3Torch
        build = partial(_built, network)
        net = checkpoint.read_own(build, source, device, "float32", body=cls.body)
        return cls(name, source, net, anatomy(net))

    @property
    def context_length(self) -> int:
        patch = self.net.input_patch_len
        return -(-LONGEST // patch) * patch

    def encode(self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None) -> Given:
        net = self.net
        threshold = net.linear_detrending_threshold if net.use_linear_detrending else 0.0
        together = members(groups, len(contexts))
        return given(contexts, together, self.context_length, net.input_patch_len, threshold)

    @torch.no_grad()
    def decode(self, state: Given, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        stride, reach = self._strides
        made = self._pass(state, horizon)["logits"].cpu()
        later = torch.arange(self._chunks(horizon)) * (stride // self.net.input_patch_len)
        chunks = [
            one[:, last + later, :reach] for one, last in zip(made, state.known - 1, strict=True)
        ]
        found = stitched(torch.stack(chunks), stride)[:, :, :horizon]
        level, rise = rearrange(state.trend, "batch variate line -> line batch variate 1 1")
        steps = rearrange(torch.arange(1, horizon + 1), "time -> time 1")
        values = found.sort(dim=-1).values + (level + rise * steps)
        there = state.places >= 0
        ordered = values[there][state.places[there].argsort()]
        return levels_of(ordered, self.net.quantiles)

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        stream = self._pass(self.encode(contexts), horizon)["__call__:transformer_output"]
        return self.net.output_head(stream)

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Quantiles:
        return reading(self.net, self.encode(contexts), *self._strides, self._chunks(horizon))

    @property
    def _strides(self) -> tuple[int, int]:
        """Steps from one prediction that is used to the next, and steps that are used of each."""
        patch, native = self.net.input_patch_len, self.net.output_patch_len
        return (patch, min(2 * patch, native)) if self.net.use_stitching else (native, native)

    def _chunks(self, horizon: int) -> int:
        """Predictions that make up a forecast: the horizon is rounded up to the native length."""
        stride, reach = self._strides
        native = self.net.output_patch_len
        whole = -(-horizon // native) * native
        return -(-(whole - reach) // stride) + 1

    def _future(self, horizon: int) -> int:
        """Steps of masked future that those predictions reach over."""
        return (self._chunks(horizon) - 1) * self._strides[0] + self.net.output_patch_len

    def _pass(self, state: Given, horizon: int) -> dict[str, Tensor]:
        """What the network gives for these contexts and as much masked future as is needed.

        "logits": [batch, variate, patch, step, level], scaled back.
        "__call__:transformer_output": the final stream [batch, variate, patch, d].
        """
        patch = self.net.input_patch_len

        def patches(values: Tensor, beyond: float) -> Tensor:
            longer = functional.pad(values, (0, self._future(horizon)), value=beyond)
            words = "batch variate (time step) -> batch variate time step"
            return rearrange(longer, words, step=patch).to(self.device)

        values, masked = patches(state.values, 0.0), patches(state.masked, True)
        asked = torch.arange(values.shape[2]) >= rearrange(state.known, "batch -> batch 1")
        # No `freeze_after`: values that are masked leave the running statistics as they are.
        return self.net(
            {"values": values, "masks": masked, "patch_is_target": torch.ones_like(masked[..., 0])},
            patch_cpm_mask=asked.to(self.device),
            return_aux_outputs=True,
        )

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        patch = self.net.input_patch_len
        ahead = masked(length, patch, self._future(horizon) // patch)
        return (*patches(length, patch, self.context_length), *ahead)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        return self.net.output_head

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        steps = min(context, self.context_length) + self._future(horizon)
        return float(maps(self.net) * -(-steps // self.net.input_patch_len))

    def deviation_from_upstream(self, contexts: Sequence[np.ndarray], horizon: int) -> float | None:
        if self.kept:  # upstream reads a folder, and no network that parts were cut from
            return None
        ours = self.forecast(contexts, horizon).values
        with redirect_stdout(StringIO()), TemporaryDirectory() as saved:
            folder = self.source.folder  # the hub's client prints that it reads one
            if isinstance(self.source, Twin):
                folder = Path(saved)
                self.save(folder)
            upstream = _package().TimesFM3Forecaster.from_pretrained(
                str(folder), device=str(self.device), local_files_only=True
            )
        found = [upstream.predict(one, horizon, return_quantiles=True) for one in contexts]
        quantiles = torch.from_numpy(np.stack([one.quantiles for one in found]))
        theirs = levels_of(quantiles, self.net.quantiles).values
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _package() -> ModuleType:
    try:
        import timesfm3
    except ModuleNotFoundError as error:
        raise ModelError(
            "a TimesFM 3.0 checkpoint was to be loaded",
            "the package timesfm, 3.0.2 or later, is not installed",
            "pip install 'tsfm-probe[timesfm3]'",
        ) from error
    return timesfm3


def _built(network: Any, config: dict[str, Any]) -> Any:
    """The network of a config.json, whose unknown fields it ignores as the package does."""
    known = inspect.signature(network.__init__).parameters
    fields = {name: value for name, value in config.items() if name in known}
    _refuse_unusable(fields)
    net = network(**fields)
    shape = net.transformer_config.transformer
    if not shape.causal_attention:
        raise ValueError("causal_attention false: a forecast would depend on its neighbours")
    if shape.num_heads < 1 or shape.model_dims % shape.num_heads:
        raise ValueError(f"model_dims {shape.model_dims} for num_heads {shape.num_heads}")
    return net


def _refuse_unusable(fields: Mapping[str, Any]) -> None:
    """ValueError for fields of which the package would only notice, if at all, in a forecast."""
    transform = fields.get("input_transform", "identity")
    if transform != "identity":
        raise ValueError(f"input_transform {transform!r}: the package does not compute it")
    for name, value in fields.items():
        if name in SIZES and (type(value) is not int or value < 1):
            raise ValueError(f"{name} {value!r} is no positive whole number")
        if name in NUMBERS and (type(value) not in (int, float) or not 0 <= value < np.inf):
            raise ValueError(f"{name} {value!r} is no positive number")
        if name.startswith("use_") and type(value) is not bool:
            raise ValueError(f"{name} {value!r} is neither true nor false")
    levels = fields.get("quantiles")
    if levels is not None and (not levels or np.diff([0.0, *levels, 1.0]).min() <= 0):
        raise ValueError(f"quantiles {levels!r} do not rise between 0 and 1")
