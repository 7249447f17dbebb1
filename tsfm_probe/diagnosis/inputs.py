"""What a diagnosis forecasts, and what the forecasts are compared with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from tsfm_probe.behaviour.likeness import References
from tsfm_probe.behaviour.period import dominant_period, filled
from tsfm_probe.behaviour.season import season_of
from tsfm_probe.data.series import Window
from tsfm_probe.data.stimuli import SETS, Size, Stimulus, stimuli
from tsfm_probe.errors import DataError, UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.sweep import Sweep
from tsfm_probe.surgery.plan import Trial

PARROTING, BIAS = "parroting", "seasonality bias"
INDICES = (PARROTING, BIAS)
COPIED = ("motif", "patches")
"""Sets on which a head's part in parroting is judged."""
FREE = ("autoregressive", "walk", "flow")
"""Sets without a period, on which a head's part in the seasonality bias is judged."""
OWN = "series"
START = pd.to_datetime("2000-01-01")
FEWEST = 32  # values in which a parrot can look for something


@dataclass(frozen=True, eq=False)
class Inputs:
    """Contexts of some sets, all with one horizon, as windows that a sweep forecasts.

    windows, stimuli, references: one for each context; they belong together.
    seasons: steps of the season that a forecast could take from it, None where there is none.
    """

    windows: tuple[Window, ...]
    stimuli: tuple[Stimulus, ...]
    references: tuple[References, ...]
    seasons: tuple[int | None, ...]

    @classmethod
    def built_in(
        cls, size: Size, count: int = 64, sets: Iterable[str] = tuple(SETS), seed: int = 0
    ) -> "Inputs":
        """The first `count` contexts of every set; UsageError for an unknown set or a bad size."""
        found = [one for name in sets for one in stimuli(name, count, size, seed)]
        return cls._of([window(one) for one in found], found, seed)

    @classmethod
    def own(cls, windows: Iterable[Window], seed: int = 0) -> "Inputs":
        """Windows of the user's own series in their place, as the set OWN.

        Those with fewer than FEWEST values are left out; DataError if none is left.
        """
        given = list(windows)
        kept = [one for one in given if len(filled(one.seen)) >= FEWEST]
        if not kept:
            raise DataError(
                f"a diagnosis on {len(given)} windows",
                f"none has {FEWEST} values before it",
                "longer series, or the built-in contexts",
            )
        found = [
            Stimulus(OWN, number, one.seen, one.target, dominant_period(one.seen))
            for number, one in enumerate(kept)
        ]
        return cls._of(kept, found, seed)

    @classmethod
    def _of(cls, windows: Sequence[Window], found: Sequence[Stimulus], seed: int) -> "Inputs":
        return cls(
            tuple(windows),
            tuple(found),
            tuple(References.of(one.context, one.truth, seed=seed) for one in found),
            tuple(season_of(one.context, len(one.truth)) for one in found),
        )

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def horizon(self) -> int:
        """Steps of every forecast."""
        return len(self.windows[0].target)

    @cached_property
    def sets(self) -> dict[str, np.ndarray]:
        """The places of the windows of each set."""
        names = np.array([one.name for one in self.stimuli])
        return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}

    @cached_property
    def series(self) -> np.ndarray:
        """The number of the series that each window belongs to: [window].

        Windows of one series are not independent, so that whole series are resampled.
        """
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(one.series, len(numbers)) for one in self.windows])

    def at_season(self, steps: int) -> "Inputs":
        """The same with one season for all contexts, whatever they suggest.

        A season that a model sees in everything is not that of the context, so that the bias at
        the context's own misses it; `indices.by_season` shows which it may be.
        """
        return replace(self, seasons=(steps,) * len(self))

    def judging(self, measure: str) -> np.ndarray:
        """On which windows heads are judged by an index of INDICES: [window].

        Of a user's series the bias is judged on those in which no period is found.
        """
        if measure == PARROTING:
            return np.array([one.name in (*COPIED, OWN) for one in self.stimuli])
        return np.array(
            [one.name in FREE or (one.name == OWN and one.period is None) for one in self.stimuli]
        )

    def judging_heads(self) -> "Inputs":
        """The windows on which heads are judged by either index; DataError if there is none."""
        kept = np.flatnonzero(np.any([self.judging(one) for one in INDICES], axis=0)).tolist()
        if not kept:
            raise DataError(
                "heads were to be judged by parroting and seasonality bias",
                f"the sets are {', '.join(self.sets)}",
                f"needed are {', '.join((*COPIED, *FREE))}, or some of them",
            )
        return self.chosen(kept)

    def chosen(self, places: Sequence[int]) -> "Inputs":
        """The windows at these places, in this order."""
        return Inputs(
            tuple(self.windows[place] for place in places),
            tuple(self.stimuli[place] for place in places),
            tuple(self.references[place] for place in places),
            tuple(self.seasons[place] for place in places),
        )

    def sweep(
        self,
        model: Model,
        seed: int = 0,
        samples: int = 0,
        batch_size: int = 0,
        scale: float = 0.0,
    ) -> Sweep:
        """The forecaster of these windows; UsageError if the model does not read all of them."""
        refuse_long(model, max(len(one.context) for one in self.stimuli))
        return Sweep(
            model, self.windows, self.horizon, "zero", seed, samples, batch_size, scale=scale
        )


def refuse_long(model: Model, context: int) -> None:
    """UsageError for a context of which a model reads the end alone: it cannot copy the rest."""
    if context > model.context_length:
        raise UsageError(
            f"a diagnosis with a context of {context}",
            allowed=f"{model.name} reads {model.context_length} values at most",
        )


def points(sweep: Sweep, trial: Trial) -> np.ndarray:
    """The medians of forecasts under a trial: [window, horizon], all NaN where one is broken."""
    found = sweep.forecasts(trial)[..., LEVELS.index(0.5)]
    return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, np.nan)


def window(one: Stimulus) -> Window:
    """A stimulus as a window of a series of its own, all of which a model sees."""
    return Window(
        series=f"{one.name}-{one.number}",
        index=0,
        history=one.context,
        context=len(one.context),
        target=one.truth,
        season=one.period or 1,
        start=START,
        freq="D",
    )
