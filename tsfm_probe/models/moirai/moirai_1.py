"""Moirai 1.1-R (Woo et al. 2024, arXiv 2402.02592): masked patches, mixture forecasts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor

from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.own import MoiraiBody
from tsfm_probe.models.draws import uniforms
from tsfm_probe.models.maps import maps
from tsfm_probe.models.moirai.anatomy import anatomy, frozen_norm
from tsfm_probe.models.moirai.mixture import Mixture
from tsfm_probe.models.moirai.moirai_2 import NOTICE
from tsfm_probe.models.moirai.network_1 import Network1
from tsfm_probe.models.moirai.tokens import Batch, Tokens, batches, patched, zeros
from tsfm_probe.models.reading import LEVELS, Mixtures
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span, masked, patches

Draw = Callable[[Mixture, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Given:
    """Contexts and their groups, as they were given."""

    contexts: Sequence[np.ndarray]
    groups: Sequence[int] | None


class Moirai1(Model):
    """A Moirai 1.1-R (or 1.0-R) checkpoint.

    Every patch size can be used on every series. Here the usual one is the middle one, 32 of the
    published 8 to 128, which its authors take on GIFT-Eval for every frequency: a forecast is one
    pass, and an edit cannot change what is compared. Upstream's own default tries every size, and
    `patch_size = None` asks for it: the size of a group is then the one whose forecast of the last
    `horizon` values, from those before them, has the highest likelihood (the usual one where there
    are no values before them). Missing values are read as zeros before scaling, as upstream does.
    """

    family = "moirai-1.1"
    encoding_stacks = frozenset()
    draws_samples = True
    linear_readout = False
    body = MoiraiBody(lambda net: anatomy(net.encoder, net.param_proj))
    notice = NOTICE
    patch_size: int | None

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "Moirai1":
        """Read the checkpoint strictly; ModelError if it does not fit."""
        net = checkpoint.read_own(Network1, source, device, dtype, body=cls.body)
        model = cls(name, source, net, anatomy(net.encoder, net.param_proj))
        model.patch_size = net.usual
        return model

    @property
    def context_length(self) -> int:
        return self.net.config["max_seq_len"] * self.net.usual

    @property
    def default_samples(self) -> int:
        return 100

    def encode(self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None) -> Given:
        return Given(contexts, groups)

    @torch.no_grad()
    def decode(self, state: Given, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        samples = samples or self.default_samples
        uniform = rearrange(
            uniforms(state.contexts, seed, samples, 2 * horizon),
            "series sample (step two) -> two series sample step",
            two=2,
        )
        paths = self._paths(
            state, horizon, samples, lambda mixture, places: mixture.inverse(*uniform[:, places])
        )
        at = torch.tensor(LEVELS, dtype=paths.dtype)
        values = torch.quantile(paths, at, dim=1)
        return Forecast(rearrange(values, "level series time -> series time level").numpy(), LEVELS)

    def _paths(self, state: Given, horizon: int, samples: int, draw: Draw) -> Tensor:
        """Sample paths [series, sample, horizon] in fp64.

        draw: gives [series, sample, horizon] of a mixture and the places of its series.
        """
        paths = torch.empty(len(state.contexts), samples, horizon, dtype=torch.float64)
        length = self.context_length
        for batch in batches(state.contexts, state.groups, length + horizon, zeros):
            for size, rows in self._sizes(batch, horizon):
                taken = batch.taken(rows)
                tokens = patched(taken.between(-length, None).to(self.device), size)
                places = taken.places.flatten()
                paths[places] = draw(self.net.mixture(tokens, horizon), places)
        return paths

    def _sizes(self, batch: Batch, horizon: int) -> list[tuple[int, Tensor]]:
        """The patch sizes, each with the rows that are forecast with it."""
        chosen = torch.full((len(batch.places),), self.patch_size or self.net.usual)
        long = batch.present.sum(dim=1) > horizon
        if self.patch_size is None and long.any():
            taken, sizes = batch.taken(long), torch.tensor(self.net.sizes)
            losses = torch.stack([self._loss(taken, size, horizon) for size in self.net.sizes])
            chosen[long] = sizes[losses.argmin(dim=0)]
        return [(int(size), (chosen == size).nonzero()[:, 0]) for size in chosen.unique()]

    def _loss(self, batch: Batch, size: int, horizon: int) -> Tensor:
        """How unlikely the last `horizon` values are, from those before them: [row].

        Minus the mean log density of what was observed in a series, summed over the series.
        """
        known, after = batch.between(None, -horizon), batch.between(-horizon, None)
        pattern = "row time variate -> (row variate) time"
        values, observed = (rearrange(one, pattern) for one in (after.values, after.observed))
        mixture = self.net.mixture(patched(known.to(self.device), size), horizon)
        density = mixture.log_density(values.to(self.device)).cpu().where(observed, 0.0)
        mean = density.sum(dim=1) / observed.sum(dim=1).clamp_min(1)
        return -mean.unflatten(0, batch.places.shape).sum(dim=1)

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        tokens = self._tokens(contexts)
        return self.net(tokens, -(-horizon // tokens.values.shape[-1]))

    def _tokens(self, contexts: Sequence[np.ndarray]) -> Tokens:
        """What one pass reads of series that are each on their own."""
        (batch,) = batches(contexts, None, self.context_length, zeros)
        return patched(batch.to(self.device), self.patch_size or self.net.usual)

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Mixtures:
        tokens = self._tokens(contexts)
        size = tokens.values.shape[-1]
        steps = -(-horizon // size) * size

        def mixture(prediction: Tensor) -> Mixture:
            return self.net.read(prediction, tokens, steps)

        def drawn(prediction: Tensor, choice: Tensor, place: Tensor) -> Tensor:
            rows = {"series": len(prediction), "step": steps}
            both = (repeat(one, "sample -> series sample step", **rows) for one in (choice, place))
            values = mixture(prediction).inverse(*both)
            return rearrange(values, "series sample step -> series step sample")

        return Mixtures(
            lambda prediction: mixture(prediction).centre,
            lambda prediction, truth: mixture(prediction).log_density(truth),
            drawn,
            steps,
        )

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        size = self.patch_size or self.net.usual
        ahead = masked(length, size, -(-horizon // size))
        return (*patches(length, size, self.context_length), *ahead)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        normed = frozen_norm(self.net.encoder.norm, stream)
        return lambda part: self.net.param_proj(normed(part), self.patch_size or self.net.usual)

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        size, net = self.patch_size or self.net.usual, self.net
        read, ahead = -(-min(context, self.context_length) // size), -(-horizon // size)
        width = net.in_proj.weight.shape[1]
        numbers = sum(one.count for one in net.param_proj.maps)
        ends = size * width * (read + numbers * ahead)
        return float(maps(net.encoder) * (read + ahead) + ends)
