"""How long a forecast takes, by an original and a smaller network in turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model

Progress = Callable[[int, int, str], None]
LEAST = 20
WARM = 3
DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Latency:
    """Seconds of the same forecasts by two networks.

    batch: series of one forecast. original, pruned: [round] seconds; both of a round were measured
    one right after the other. threads: that torch computed with on the CPU.
    """

    batch: int
    original: np.ndarray
    pruned: np.ndarray
    threads: int

    @property
    def ratio(self) -> float:
        """The median of the smaller network over that of the original."""
        return float(np.median(self.pruned) / np.median(self.original))

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """The 95 % interval of that ratio, by a bootstrap over rounds (percentiles)."""
        rounds = len(self.original)
        drawn = np.random.default_rng(seed).integers(0, rounds, (DRAWS, rounds))
        ratios = np.median(self.pruned[drawn], axis=1) / np.median(self.original[drawn], axis=1)
        low, high = np.quantile(ratios, (0.025, 0.975))
        return float(low), float(high)


def latency(
    models: tuple[Model, Model],
    contexts: Sequence[np.ndarray],
    horizon: int,
    samples: int = 0,
    repeats: int = LEAST,
    seed: int = 0,
    progress: Progress | None = None,
) -> Latency:
    """Time the forecasts of one batch by the original and the smaller network.

    Both are warmed up, and then each round runs both in a random order, so that what slows the
    machine down for a while slows both. repeats: rounds; UsageError for less than 20.
    """
    if repeats < LEAST:
        raise UsageError(f"{repeats} repeats were asked for", allowed=f"{LEAST} or more")
    seconds, order = np.empty((2, repeats)), np.random.default_rng(seed)
    for _ in range(WARM):
        for model in models:
            timed(model, contexts, horizon, samples)
    for number in range(repeats):
        for which in order.permutation(2):
            seconds[which, number] = timed(models[which], contexts, horizon, samples)
        if progress:
            progress(number + 1, repeats, f"latency of {len(contexts)} series")
    return Latency(len(contexts), seconds[0], seconds[1], torch.get_num_threads())


def timed(model: Model, contexts: Sequence[np.ndarray], horizon: int, samples: int) -> float:
    """Seconds of one forecast, with everything done that the device was given to do."""
    wait(model.device)
    start = perf_counter()
    model.forecast(contexts, horizon, samples=samples)
    wait(model.device)
    return perf_counter() - start


def wait(device: torch.device) -> None:
    """Return when the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
