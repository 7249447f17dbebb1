"""Whether heads attend to where a copy would read: a share of attention beyond chance."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.data.stimuli import Stimulus
from tsfm_probe.diagnosis.sight import Sight
from tsfm_probe.models.reading import Bins, Reading, nearest_unit

ALIKE = 0.1
"""Deviations of a context by which a forecast may differ from what it is a copy of."""


def matching(sight: Sight, prompts: Sequence[Stimulus]) -> Mapping[str, Tensor]:
    """How much heads attend to what a copy would say, and to its neighbours: [head, row] each.

    prompts: one for each row, that repeat with a period. What a query predicts, some periods
    earlier, is its target: the head of an induction circuit attends to what came the last times
    (Olsson et al. 2022, In-context Learning and Induction Heads, arXiv 2209.11895, whose prefix
    matching is the attention to all earlier repeats). Mean over the queries that see a target, of
    the attention to all of them beyond chance (see Sight.excess).
    prefix matching: to the targets. contiguity before, after: to the token before each of them
    and the one after (Ji-An et al. 2024, arXiv 2405.14992, after the lag-CRP of human recall).
    """
    return {
        "prefix matching": _mean(sight, prompts, 0),
        "contiguity before": _mean(sight, prompts, -sight.size),
        "contiguity after": _mean(sight, prompts, sight.size),
    }


def periodicity(sight: Sight, prompts: Sequence[Stimulus]) -> Tensor:
    """How much heads attend to multiples of the period of periodic prompts, beyond chance.

    [head, row], mean over all queries that see one.
    """
    return _mean(sight, prompts, 0)


def _mean(sight: Sight, prompts: Sequence[Stimulus], shift: int) -> Tensor:
    weights = earlier(sight, prompts, shift)
    some = sight.steps(weights) >= sight.size
    return sight.excess(weights).masked_fill(~some, torch.nan).nanmean(-1)


def earlier(sight: Sight, prompts: Sequence[Stimulus], shift: int = 0) -> Tensor:
    """The share of each seen key that is predicted, any whole periods later: [row, query, key].

    shift: steps by which the stretches lie later than that.
    """
    period = torch.tensor([one.period or sight.length for one in prompts])[:, None, None]
    size = period.clamp_max(sight.size)

    def before(time: Tensor) -> Tensor:
        """How many steps of the stretches lie before a time, but for a constant."""
        since = (time - shift - sight.predicted[:, None]).clamp_max(0)
        times = since.div(period, rounding_mode="floor")
        return times * size + torch.minimum(since - times * period, size)

    start, end = sight.edges
    return (before(end) - before(start)) / (end - start).clamp_min(1) * sight.seen


def retrieval(
    sight: Sight, prompts: Sequence[Stimulus], forecast: np.ndarray, reading: Reading
) -> Tensor:
    """How often heads attend most to the token of a needle that is said: [head, row].

    After the retrieval score of Wu et al. 2024 (Retrieval Head, arXiv 2404.15574): the share of
    the tokens that are forecast at which the value that a head attends to most lies in the needle
    (the motif of the prompt) and is what is forecast.
    forecast: [row, step]. It is the same where both are in one bin; where a reading has no bins,
    where they differ by less than a tenth of the context's deviation (root mean square).
    """
    first = sight.predicted - sight.length
    queries = (sight.read & (first + sight.size <= forecast.shape[1])).nonzero()[:, 0]
    step = torch.arange(sight.size)
    said = torch.from_numpy(forecast)[:, first[queries, None] + step]
    contexts = torch.from_numpy(np.stack([one.context for one in prompts]))
    start, end = sight.edges
    there = contexts[:, (start[:, None] + step).clamp_max(sight.length - 1)]
    motif = torch.tensor([one.motif or (0, 0) for one in prompts])
    needle = (motif[:, :1] <= start) & (end <= motif[:, 1:]) & (end - start == sight.size)
    found = (_alike(said, there, contexts.std(1), reading) & needle[:, None]).float()
    top = sight.top[:, :, queries]
    copied = found.expand(len(top), *found.shape).gather(-1, top.clamp_min(0)[..., None])[..., 0]
    return copied.masked_fill(top < 0, torch.nan).nanmean(-1)


def _alike(said: Tensor, there: Tensor, unit: Tensor, reading: Reading) -> Tensor:
    """Whether what is said is what is there: [row, query, key].

    said: [row, query, step]; there: [row, key, step]. unit: [row], the contexts' deviation.
    """
    if isinstance(reading, Bins):
        bins = reading.values[:, None]
        one, other = (nearest_unit(bins, values[..., 0]) for values in (said, there))
        return one[..., None] == other[:, None]
    distance = (said[:, :, None] - there[:, None]).square().mean(-1).sqrt()
    return distance < ALIKE * unit[:, None, None]
