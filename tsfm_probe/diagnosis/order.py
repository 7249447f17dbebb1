"""How many values must match before a model copies what followed them.

Transformers that are trained on Markov chains form statistical induction heads, first of lower and
then of higher order (Edelman et al. 2024, arXiv 2402.11004), and an induction head in its simplest
form needs a single matching token (Olsson et al. 2022, In-context Learning and Induction Heads,
arXiv 2209.11895). Here contexts are noise in which the last k values, and no more, have been there
once before: a model of order k or below goes on as it went on there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsfm_probe.behaviour.likeness import References
from tsfm_probe.data.stimuli import Size, Stimulus
from tsfm_probe.diagnosis.inputs import points, refuse_long, window
from tsfm_probe.diagnosis.means import DRAWS, means
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import UNTOUCHED
from tsfm_probe.probes.sweep import Sweep

MATCHED = (1, 2, 4, 8, 16, 32)
COLUMNS = (
    "matched", "value", "low", "high", "beyond", "beyond_low", "beyond_high", "count",
)  # fmt: skip
ALIGNED = 64  # patches of every family divide it, so that a match is one in patches as well
UNLIKE = 0.1  # of half the range of the values: values closer than this could be taken for equal
ENOUGH = 0.5  # of the copying at the largest k
CONTROLS = 8
SIZE = Size(512, 8)
Forecaster = Callable[[Sequence[np.ndarray], int], np.ndarray]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Matches:
    """Which contexts are made.

    size: of context and forecast; the later steps of a forecast follow a longer match, so that a
    short one tells more. count: contexts for every number of matched values. matched: those
    numbers, from the fewest; 0, the control, is always done first. aligned: the matched values and
    the end of the context are a whole number of this many values apart.
    """

    size: Size = SIZE
    count: int = 64
    matched: tuple[int, ...] = MATCHED
    aligned: int = ALIGNED

    @property
    def lags(self) -> np.ndarray:
        """How far from the end of the context what follows the match may begin."""
        length, most = self.size.context, max(self.matched)
        first, last = most + self.size.horizon, length - most - 1
        found = np.arange(self.aligned, last + 1, self.aligned)
        found = found[found >= first]
        if not len(found):
            raise UsageError(
                f"{most} values that match in a context of {length}",
                f"what follows them has no place a multiple of {self.aligned} before the end",
                f"a context of {-(-first // self.aligned) * self.aligned + most + 1} or more",
            )
        return found


def copying_order(
    model: Model,
    asked: Matches | None = None,
    *,
    seed: int = 0,
    samples: int = 0,
    batch_size: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """How much a model copies after so many matching values: see `by_matched`.

    UsageError if the model does not read the whole context. progress: told (done, all, number of
    values) after each number.
    """
    asked = asked or Matches()
    refuse_long(model, asked.size.context)

    def forecast(contexts: Sequence[np.ndarray], horizon: int) -> np.ndarray:
        windows = [
            window(Stimulus("match", number, one, np.zeros(horizon)))
            for number, one in enumerate(contexts)
        ]
        return points(Sweep(model, windows, horizon, "zero", seed, samples, batch_size), UNTOUCHED)

    return by_matched(forecast, asked, seed, progress=progress)


def by_matched(
    forecast: Forecaster,
    asked: Matches,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """How much a forecaster copies what followed the match, by the number of values in it.

    forecast: takes contexts [time] and a horizon, gives point forecasts [context, horizon].
    Returns columns COLUMNS: value is the mean over contexts of the parroting index whose parrot is
    what followed the match and whose controls are other stretches of the context; beyond: by how
    much it exceeds that of the same context, but for the match; with their 95 % bootstrap
    intervals. Noise and places are the same for every number.
    """
    numbers, indices = (0, *asked.matched), np.empty((1 + len(asked.matched), asked.count))
    for place, number in enumerate(numbers):
        made = [match(asked, number, one, seed) for one in range(asked.count)]
        found = forecast([one.context for one in made], asked.size.horizon)
        pairs = zip(made, found, strict=True)
        indices[place] = [_references(one, seed).likeness(point).index for one, point in pairs]
        if progress:
            progress(place + 1, len(numbers), str(number))
    series = np.arange(asked.count)
    ends = means(np.concatenate([indices, indices - indices[0]]), series, seed, draws)[:, :3]
    columns = np.concatenate(np.split(ends, 2), axis=1).tolist()
    counts = (~np.isnan(indices)).sum(axis=1).tolist()
    rows = [
        (number, *row, count) for number, row, count in zip(numbers, columns, counts, strict=True)
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def smallest(found: pd.DataFrame) -> int | None:
    """The fewest matching values after which copying is there, None where it never is.

    It is there if the intervals of the index and of its excess over the control lie above 0, and
    the excess is at least half of that at the largest number, where it has to be there too.
    """
    names = ("matched", "low", "beyond_low", "beyond")
    number, low, beyond_low, beyond = (found[name].to_numpy(dtype=float) for name in names)
    there = (low > 0) & (beyond_low > 0) & (beyond >= ENOUGH * beyond[-1])
    return int(number[np.argmax(there)]) if there[-1] else None


def match(asked: Matches, number: int, place: int, seed: int) -> Stimulus:
    """Noise in which the last `number` values have been there once before.

    The values lie on a grid, in any order, none of them twice and none but its match within UNLIKE
    of the last one; the ones before the match and before the last values are UNLIKE, too.
    place: number of the context; it gives the noise and the lag, together with the seed.
    """
    length, horizon = asked.size.context, asked.size.horizon
    rng = np.random.default_rng([seed, place])
    lag = int(rng.choice(asked.lags))
    grid = np.linspace(-1, 1, length + length // 4)
    last = float(rng.choice(grid))
    far = grid[np.abs(grid - last) > UNLIKE]
    context = np.append(rng.choice(far, length - 1, replace=False), last)
    start, before = length - lag - number, length - number - 1
    others = np.flatnonzero(np.abs(context[:before] - context[before]) > UNLIKE)
    swapped = [start - 1, int(rng.choice(others))]
    context[swapped] = context[swapped[::-1]]
    context[start : start + number] = context[length - number :]
    follows = context[start + number : start + number + horizon]
    return Stimulus(
        "match", place, context, follows, motif=(start, start + number), copied=start + number
    )


def _references(one: Stimulus, seed: int) -> References:
    """What followed the match as the parrot, other stretches of the context as its controls."""
    assert one.copied is not None
    horizon, context = len(one.truth), one.context
    starts = np.arange(len(context) - horizon + 1)
    starts = starts[np.abs(starts - one.copied) >= horizon]
    rng = np.random.default_rng([seed, one.number, 1])
    picked = rng.choice(starts, min(CONTROLS, len(starts)), replace=False)
    stretches = np.stack([context[first : first + horizon] for first in picked])
    flat = np.full(horizon, context[-1])
    return References(one.truth, stretches, flat, one.truth, float(context.std()))
