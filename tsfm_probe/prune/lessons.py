"""Stretches of series on which a smaller network learns what the original predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tsfm_probe.data.synthetic import generated
from tsfm_probe.errors import DataError

KEPT = 0.8
SHORTENED = (1, 2, 4)
ROOM = 512
Lesson = tuple[list[np.ndarray], np.ndarray]
"""Contexts, [time] each, and what follows them: [series, horizon]."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Series from which batches of stretches are drawn at random.

    What follows a context is drawn from the first four fifths of a series to learn from, and from
    the last one, at least `horizon` values, to measure by: the two never overlap.

    series: [time] each, NaN where missing. context: values of a
    context at most; those of one batch are all that long, or half or a quarter of it, where the
    series reach back that far. size: stretches of a batch.
    """

    series: Sequence[np.ndarray]
    context: int
    horizon: int
    size: int = 16

    @classmethod
    def generated(cls, context: int, horizon: int, seed: int, count: int = 32) -> "Lessons":
        """Those of generated series, `count` of each kind."""
        length = context + horizon + max(min(context, ROOM), 4 * horizon)
        return cls([one.values for one in generated(count, length, seed)], context, horizon)

    @classmethod
    def of(cls, series: Sequence[np.ndarray], context: int, horizon: int) -> "Lessons":
        """Those of given series, of which the ones that are too short are left out; DataError."""
        usable = [one for one in series if _cut(one, horizon) > horizon and np.isfinite(one).any()]
        if not usable:
            longest = max(map(len, series), default=0)
            raise DataError(
                f"stretches of {horizon} steps were to be learned from",
                f"the longest of {len(series)} series has {longest} values",
                f"at least {2 * horizon + 1} are needed",
            )
        return cls(usable, context, horizon)

    def batch(self, rng: np.random.Generator, held_out: bool = False) -> Lesson:
        """The next batch; a context without any value is one of zeros."""
        most = max(1, self.context // int(rng.choice(SHORTENED)))
        contexts, paths = list[np.ndarray](), list[np.ndarray]()
        for place in rng.integers(0, len(self.series), self.size):
            one = self.series[place]
            cut = _cut(one, self.horizon)
            ends = (cut + self.horizon, len(one)) if held_out else (self.horizon + 1, cut)
            start = int(rng.integers(ends[0], ends[1] + 1)) - self.horizon
            context = one[max(0, start - most) : start]
            contexts.append(context if np.isfinite(context).any() else np.zeros(len(context)))
            paths.append(one[start : start + self.horizon])
        return contexts, np.stack(paths)


def _cut(values: np.ndarray, horizon: int) -> int:
    """Where the last stretches of a series begin, by which is measured."""
    return min(int(KEPT * len(values)), len(values) - horizon)
