"""A family in one file, as CONTRIBUTING.md has it: a small transformer over patches of a series."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from einops import rearrange
from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection, Stack
from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.models.own import OwnNetwork
from tsfm_probe.models.reading import LEVELS, Quantiles
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span


class ToyNetwork(OwnNetwork):
    """Patches of 8 values in, nine quantiles of the next patch out."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        width = config["d_model"]
        self.embed = nn.Linear(8, width)
        self.blocks = nn.ModuleList(ToyBlock(width) for _ in range(config["layers"]))
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.out = nn.Linear(width, 8 * len(LEVELS), bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """[series, time] to [series, 1, level * step]; missing values are zero."""
        stream = self.embed(rearrange(values, "series (patch step) -> series patch step", step=8))
        for block in self.blocks:
            stream = stream + block.attend(block.norm_1(stream))
            stream = stream + block.down(block.up(block.norm_2(stream)).relu())
        return self.out(self.norm(stream)[:, -1:])


class ToyBlock(nn.Module):
    """One layer: attention with 4 heads, then an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.RMSNorm(width, eps=1e-6), nn.RMSNorm(width, eps=1e-6)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, 32), nn.Linear(32, width, bias=False)

    def attend(self, normed: Tensor) -> Tensor:
        """[series, patch, d] to the same."""
        q, k, v = (
            rearrange(one(normed), "series patch (head d) -> series head patch d", head=4)
            for one in (self.q, self.k, self.v)
        )
        mixed = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return self.o(rearrange(mixed, "series head patch d -> series patch (head d)"))


class Toy(Model):
    """The adapter: how it forecasts, and where its parts are."""

    family, encoding_stacks, draws_samples, linear_readout = "toy", frozenset(), False, True
    context_length = 48

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "Toy":
        net = checkpoint.read_own(ToyNetwork, source, device, dtype)
        parts = []
        for layer, block in enumerate(net.blocks):
            maps = {name: Projection(getattr(block, name), 4) for name in "qkv"}
            at = Address("encoder", layer, "time"), Address("encoder", layer, "mlp")
            parts += [Component(at[0], block.o, block.o, 4, maps), Component(at[1], block.down)]
        stack = Stack("encoder", tuple(block.norm_1 for block in net.blocks), net.norm)
        return cls(name, source, net, Anatomy(parts, [stack], net.out))

    def encode(self, contexts: Sequence[np.ndarray], groups: Any = None) -> Sequence[np.ndarray]:
        return contexts

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        return self.net(left_padded([*contexts, np.zeros(48)], 48)[:-1].nan_to_num())

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Quantiles:
        axes = "series 1 (level step) -> series step level"
        return Quantiles(LEVELS, lambda raw: rearrange(raw, axes, step=8), lambda one: one, 8)

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        return tuple(Span("values", end - 8, end) for end in range(length - 40, length + 1, 8))

    def decode(self, state: Any, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        found = (one.quantiles(one.prediction) for one in self.trace(state, horizon))
        return Forecast(np.concatenate(list(found), axis=1), LEVELS)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        scale = self.net.norm.weight * (stream.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
        return lambda part: self.net.out(part * scale)

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        return float(self.parameters * 6 * -(-horizon // 8))
