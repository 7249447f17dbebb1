"""How far back heads look."""

from collections.abc import Mapping

import torch
from torch import Tensor

from tsfm_probe.diagnosis.sight import Sight

LAGS = 32
"""Tokens back, and ahead, that are told one by one."""
TENTH = 0.1


def profile(sight: Sight) -> Mapping[str, Tensor]:
    """Scores of the queries that are read (see Sight.read), and means over them: [head, row] each.

    lag n: the attention to the token n tokens before the one that is predicted: 1 is the last one
    before it; 0 and less are what a network sees that is not causal. Mean over queries that see it
    (Ji-An et al. 2024, arXiv 2405.14992).
    recency, primacy: the attention to the last and to the first tenth of the values that are seen,
    beyond chance (see Sight.excess).
    entropy: of the attention to all visible tokens, in nats. relative entropy: the same over
    the log of their number, so that 1 is to attend to all alike.
    """
    entropy = -torch.special.xlogy(sight.shares, sight.shares).sum(-1)
    most = sight.visible.sum(-1).log()
    start, end = _reach(sight)
    tenth = TENTH * (end - start)
    every = {
        "recency": sight.excess(sight.within(end - tenth, end)),
        "primacy": sight.excess(sight.within(start, start + tenth)),
        "entropy": entropy,
        "relative entropy": entropy / most.where(most > 0, torch.nan),
    }
    scores = {name: one[..., sight.read].nanmean(-1) for name, one in every.items()}
    return scores | {f"lag {lag}": one for lag, one in lags(sight).items()}


def _reach(sight: Sight) -> tuple[Tensor, Tensor]:
    """The first step that each query sees and the one after the last: [query] each."""
    start, end = sight.edges.double()
    return (
        start.where(sight.seen, torch.inf).amin(-1).nan_to_num(posinf=0.0),
        end.where(sight.seen, -torch.inf).amax(-1).nan_to_num(neginf=0.0),
    )


def lags(sight: Sight) -> Mapping[int, Tensor]:
    """The mean attention of the queries that are read, by lag in tokens: [head, row] each."""
    back = (sight.predicted[:, None] - sight.edges[0]).div(sight.size, rounding_mode="floor")
    counted = sight.seen & sight.read[:, None]
    found = {}
    for lag in range(1 - LAGS, LAGS + 1):
        pairs = counted & (back == lag)
        if pairs.any():
            found[lag] = sight.shares[..., pairs].mean(-1)
    return found
