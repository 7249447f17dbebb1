"""Moirai 2.0-R (Salesforce 2025): a decoder over patches that forecasts quantiles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.own import MoiraiBody
from tsfm_probe.models.maps import maps
from tsfm_probe.models.moirai.anatomy import anatomy, frozen_norm
from tsfm_probe.models.moirai.encoder import Encoder, refuse_unusable, whole
from tsfm_probe.models.moirai.tokens import Batch, Tokens, batches, causal_mean, patched
from tsfm_probe.models.own import OwnNetwork
from tsfm_probe.models.reading import LEVELS, Quantiles, levels_of
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span, patches

NOTICE = "the published weights are licensed CC BY-NC 4.0: not for commercial use"


class ResidualBlock(nn.Module):
    """An MLP with one hidden layer beside a linear map."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden_layer = nn.Linear(inputs, hidden)
        self.output_layer = nn.Linear(hidden, outputs)
        self.residual_layer = nn.Linear(inputs, outputs)

    def forward(self, given: Tensor) -> Tensor:
        """The last axis of [..., inputs] as [..., outputs]."""
        hidden = functional.silu(self.hidden_layer(given))
        return self.output_layer(hidden) + self.residual_layer(given)


class Network2(OwnNetwork):
    """The network of Moirai 2.0-R with the weight names of the published one."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        refuse_unusable(config)
        d_model, self.patch = config["d_model"], whole(config["patch_size"], "patch_size")
        self.ahead = whole(config.get("num_predict_token", 1), "num_predict_token")
        self.levels: Sequence[float] = config.get("quantile_levels", LEVELS)
        if not self.levels or np.diff([0.0, *self.levels, 1.0]).min() <= 0:
            raise ValueError(f"quantile_levels {self.levels!r} do not rise between 0 and 1")
        self.in_proj = ResidualBlock(2 * self.patch, d_model, d_model)
        self.encoder = Encoder(d_model, config["d_ff"], config["num_layers"], causal=True)
        outputs = self.ahead * len(self.levels) * self.patch
        self.out_proj = ResidualBlock(d_model, d_model, outputs)

    def forward(self, tokens: Tokens) -> Tensor:
        """What follows the last token of each variate: [row, variate, (patch level value)]."""
        given = torch.cat([tokens.scaled, tokens.observed.float()], dim=-1)
        embedded = self.in_proj(given.to(self.out_proj.output_layer.weight.dtype))
        stream = self.encoder(embedded, tokens.time, tokens.real)
        return self.out_proj(stream[:, -embedded.shape[2] :])

    def quantiles(self, tokens: Tokens) -> Tensor:
        """The same in units of the series: [row, time, variate, level, patch]."""
        pattern = "row variate (time level patch) -> row time variate level patch"
        found = rearrange(self(tokens).float(), pattern, time=self.ahead, patch=self.patch)
        return found * tokens.scale[..., None] + tokens.loc[..., None]


@dataclass(frozen=True, eq=False)
class Given:
    """Contexts as they are forecast. count: how many series there are."""

    batches: list[Batch]
    count: int


class Moirai2(Model):
    """A Moirai 2.0-R checkpoint.

    What is missing is filled with the causal mean of its own series, alone or in a group. So does
    upstream's predictor with a single series; several it fills with zeros, for want of a filling of
    more than one. Upstream also stops with an error where several series are forecast beyond the
    native horizon; here they are forecast as one is.
    """

    family = "moirai-2"
    encoding_stacks = frozenset()
    draws_samples = False
    linear_readout = False
    body = MoiraiBody(lambda net: anatomy(net.encoder, net.out_proj))
    notice = NOTICE

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "Moirai2":
        """Read the checkpoint strictly; ModelError if it does not fit."""
        net = checkpoint.read_own(Network2, source, device, dtype, body=cls.body)
        return cls(name, source, net, anatomy(net.encoder, net.out_proj))

    @property
    def context_length(self) -> int:
        return self.net.config["max_seq_len"] * self.net.patch

    def encode(self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None) -> Given:
        return Given(batches(contexts, groups, self.context_length, causal_mean), len(contexts))

    @torch.no_grad()
    def decode(self, state: Given, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        values = torch.empty(state.count, horizon, len(self.net.levels))
        for batch in state.batches:
            found = self._quantiles(patched(batch.to(self.device), self.net.patch), horizon)
            values[batch.places] = found.cpu()
        return levels_of(values, self.net.levels)

    def _quantiles(self, tokens: Tokens, horizon: int) -> Tensor:
        """Quantiles [row, variate, horizon, level].

        Past the native horizon each quantile is a path that is read again, and the quantiles of
        what all paths forecast are the next ones.
        """
        found, paths = [self.net.quantiles(tokens)], tokens.repeated(len(self.net.levels))
        while sum(one.shape[1] for one in found) * self.net.patch < horizon:
            read = rearrange(
                found[-1], "row time variate path patch -> (row path) time variate patch"
            )
            paths = paths.followed_by(read, observed=True)
            found.append(self._pooled(self.net.quantiles(paths)))
        values = torch.cat(found, dim=1)
        pattern = "row time variate level patch -> row variate (time patch) level"
        return rearrange(values, pattern)[:, :, :horizon]

    def _pooled(self, values: Tensor) -> Tensor:
        """Quantiles over all paths of what each path forecasts, shaped as Network2.quantiles."""
        levels = torch.tensor(self.net.levels, device=values.device)
        pattern = "(row path) time variate level patch -> row time variate patch (path level)"
        pooled = torch.quantile(rearrange(values, pattern, path=len(levels)), levels, dim=-1)
        return rearrange(pooled, "level row time variate patch -> row time variate level patch")

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        return self.net(self._tokens(contexts))

    def _tokens(self, contexts: Sequence[np.ndarray]) -> Tokens:
        """What one pass reads of series that are each on their own."""
        (batch,) = self.encode(contexts).batches
        return patched(batch.to(self.device), self.net.patch)

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Quantiles:
        net, tokens = self.net, self._tokens(contexts)

        def split(prediction: Tensor) -> Tensor:
            pattern = "series 1 (time level patch) -> series (time patch) level"
            return rearrange(prediction, pattern, time=net.ahead, patch=net.patch)

        def restore(values: Tensor) -> Tensor:
            return values * tokens.scale[:, 0] + tokens.loc[:, 0]

        return Quantiles(net.levels, split, restore, net.ahead * net.patch)

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        return patches(length, self.net.patch, self.context_length)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        normed = frozen_norm(self.net.encoder.norm, stream)
        return lambda part: self.net.out_proj(normed(part))

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        net, total = self.net, 0
        read = -(-min(context, self.context_length) // net.patch)
        for start in range(0, -(-horizon // net.patch), net.ahead):
            made = maps(net.in_proj, net.encoder) * (read + start) + maps(net.out_proj)
            total += made * (len(net.levels) if start else 1)
        return float(total)
