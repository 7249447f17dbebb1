"""What the heads of one attention look at, in time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.diagnosis.prompts import held
from tsfm_probe.models.base import Model
from tsfm_probe.models.passes import Pass
from tsfm_probe.models.spans import END, FED, MASKED, REGISTER, VALUES, Span
from tsfm_probe.surgery.attention import attention


@dataclass(frozen=True, eq=False)
class Sight:
    """The attention of all heads of one part, with the time that its tokens stand for.

    shares: [head, row, query, key], how much a query attends to a key.
    queries, keys: what the tokens stand for. own: whether queries and keys are the same tokens.
    length: values of each context. final: whether the forecast is read from these queries.
    """

    shares: Tensor
    queries: tuple[Span, ...]
    keys: tuple[Span, ...]
    own: bool
    length: int
    final: bool

    @cached_property
    def size(self) -> int:
        """Steps of a token that holds values; 1 where there is none."""
        return max((one.end - one.start for one in held(self.keys)), default=1)

    @cached_property
    def visible(self) -> Tensor:
        """Which keys a query may attend to: [query, key].

        Later tokens of its own are those to which some head attends in some row: none where the
        network is causal.
        """
        queries, keys = len(self.queries), len(self.keys)
        if not self.own:
            return torch.ones(queries, keys, dtype=torch.bool)
        earlier = torch.ones(queries, keys, dtype=torch.bool).tril()
        return earlier | (self.shares > 0).flatten(0, 1).any(0)

    @cached_property
    def causal(self) -> bool:
        """Whether no token sees a later one of its own, so that it predicts what comes next."""
        return self.own and not bool(self.visible.triu(1).any())

    @cached_property
    def predicted(self) -> Tensor:
        """The first step that each query predicts, of `size`: [query].

        It is the one after its own; a masked token predicts its own steps, but after the others
        where the network is causal.
        """
        own = [one.kind == MASKED and not self.causal for one in self.queries]
        pairs = zip(self.queries, own, strict=True)
        return torch.tensor([one.start if masked else one.end for one, masked in pairs])

    @cached_property
    def read(self) -> Tensor:
        """Which queries the lag profile is that of: [query].

        Those from which the forecast is read; where it is not from any, those that hold values.
        """
        if not self.final:
            return torch.tensor([one.kind == VALUES for one in self.queries])
        made = torch.tensor([one.kind not in (END, REGISTER) for one in self.queries])
        return made & (self.predicted >= self.length)

    @cached_property
    def seen(self) -> Tensor:
        """Which keys are visible and hold values: [query, key]."""
        return self.visible & torch.tensor([one.kind in (VALUES, FED) for one in self.keys])

    @cached_property
    def edges(self) -> Tensor:
        """The first step of each key and the one after its last: [2, key]."""
        return torch.tensor([[one.start for one in self.keys], [one.end for one in self.keys]])

    def within(self, first: Tensor, end: Tensor) -> Tensor:
        """The share of each seen key that lies in a stretch of time: [..., query, key].

        first, end: [..., query].
        """
        start, stop = self.edges
        common = torch.minimum(end[..., None], stop) - torch.maximum(first[..., None], start)
        return common.clamp_min(0) / (stop - start).clamp_min(1) * self.seen

    def steps(self, weights: Tensor) -> Tensor:
        """How many steps of time such shares [..., query, key] make up: [..., query]."""
        return weights.double() @ (self.edges[1] - self.edges[0]).double()

    def excess(self, weights: Tensor) -> Tensor:
        """The mass on a set of stretches beyond chance: [head, row, query].

        weights: [row, query, key] or [query, key], the share of each seen key that lies in them.
        The mass is the attention times these shares. Chance is what as much time has in the mean of
        all seen keys. NaN where none is seen.
        """
        mass = self._mass(weights)
        whole = self._mass(self.seen)
        share = self.steps(weights) / self.steps(self.seen)
        return mass - whole * share.to(self.shares)

    def _mass(self, weights: Tensor) -> Tensor:
        weights = weights.to(self.shares).expand(self.shares.shape[1:])
        return torch.einsum("hrqk,rqk->hrq", self.shares, weights)

    @cached_property
    def top(self) -> Tensor:
        """The seen key that each query attends to most: [head, row, query]; -1 where none is."""
        found = self.shares.masked_fill(~self.seen, -1).argmax(-1)
        return found.masked_fill(~self.seen.any(-1), -1)


def timely(anatomy: Anatomy) -> tuple[Address, ...]:
    """The attentions along time: not those over series that are forecast together."""
    return tuple(at for at in anatomy.attentions if anatomy[at].along == "time")


def across(anatomy: Anatomy) -> tuple[Address, ...]:
    """The attentions that are left out, as they attend to other series and not along time."""
    return tuple(at for at in anatomy.attentions if anatomy[at].along != "time")


def passes(model: Model, contexts: Sequence[np.ndarray], truth: np.ndarray) -> Iterator[Pass]:
    """The passes that the spans of a model tell of: one, or one for each token of a decoder.

    truth: [series, horizon], which is fed back whatever is forecast.
    """
    return islice(model.trace(contexts, truth.shape[1], truth), runs(model, contexts, truth))


def runs(model: Model, contexts: Sequence[np.ndarray], truth: np.ndarray) -> int:
    """How many passes these are."""
    spans = model.spans(model.anatomy.reads.name, len(contexts[0]), truth.shape[1])
    return 1 + sum(one.kind == FED for one in spans)


def sights(
    model: Model, contexts: Sequence[np.ndarray], truth: np.ndarray
) -> Mapping[Address, Sight]:
    """What all heads of a model look at, by attention along time (see `timely`).

    contexts: [time] of one length. truth: [series, horizon].
    """
    anatomy, length = model.anatomy, len(contexts[0])
    chosen = timely(anatomy)
    maps = attention(anatomy, chosen, lambda: list(passes(model, contexts, truth)))
    found = {}
    for at in chosen:
        queries = model.spans(at.stack, length, truth.shape[1])
        keys = model.spans(anatomy[at].keys_from or at.stack, length, truth.shape[1])
        heads = [one for one in anatomy.heads if one.whole == at]
        shares = [joined(maps[one], len(queries), len(keys)) for one in heads]
        final = at.stack == anatomy.reads.name
        own = not anatomy[at].keys_from
        found[at] = Sight(torch.stack(shares), queries, keys, own, length, final)
    return found


def joined(maps: Sequence[Tensor], queries: int, keys: int) -> Tensor:
    """The first maps that together have so many queries, as one: [row, query, key], fp32.

    Keys that were not there yet get no attention.
    """
    missing = [keys - one.shape[-1] for one in maps]
    whole = [pad(one.float().cpu(), (0, some)) for one, some in zip(maps, missing, strict=True)]
    return torch.cat(whole, dim=1)[:, :queries]
