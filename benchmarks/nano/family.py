"""What a family's configuration file gives to the training loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Stage:
    """One part of the curriculum.

    until: share of the run at which it ends.
    motifs: share of series that are repeated motifs; the others are drawn from the pool.
    aligned: share of motifs whose period is a whole number of tokens.
    longest, shortest: bounds of a motif's period, in steps.
    batches: length of context -> series in a batch and how often it is drawn.
    noisy, smooth, leaning, wandering: shares of motifs, as in `motifs.Wish`.
    """

    until: float
    motifs: float
    aligned: float
    longest: int
    batches: Mapping[int, tuple[int, float]]
    shortest: int = 4
    noisy: float = 0.5
    smooth: float = 0.0
    leaning: float = 0.15
    wandering: float = 0.0


@dataclass(frozen=True)
class Family:
    """The architecture, loss and curriculum of one nano model.

    token: steps that one token of the network holds.
    horizon: steps of a training target.
    rate: peak learning rate.
    about: what the network is, for its card.
    built: a new network, given a seed.
    loss: mean loss of a batch, given the network, contexts [series, time] with NaN where nothing
    is known, and targets [series, horizon].
    finish: how the same network goes on where that is asked for (`--finish`): with another
    curriculum, peak rate or loss.
    """

    name: str
    token: int
    horizon: int
    rate: float
    stages: tuple[Stage, ...]
    about: str
    built: Callable[[int], Any]
    loss: Callable[[Any, Tensor, Tensor], Tensor]
    finish: "Family | None" = None
