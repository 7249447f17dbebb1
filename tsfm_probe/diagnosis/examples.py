"""A few forecasts of each set beside the parrot's, with where it found what it copies."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tsfm_probe.behaviour.parrot import match, motif_length
from tsfm_probe.behaviour.period import filled, late
from tsfm_probe.diagnosis.inputs import Inputs
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.ablation import UNTOUCHED

COLUMNS = ("set", "series", "window", "role", "step", "level", "value")
CONTEXT, MATCHED, COPIED = "context", "matched", "copied"
MODEL, PARROT, TRUTH = "model", "parrot", "truth"
EACH = 2
Row = tuple[str, str, int, str, int, float, float]


def examples(
    model: Model, inputs: Inputs, each: int = EACH, *, seed: int = 0, samples: int = 0
) -> pd.DataFrame:
    """The first windows of every set: columns COLUMNS, a row for each number.

    role: CONTEXT, of which MATCHED is what the parrot finds most like the end and COPIED what came
    then (see parrot.match), both as they stand there; PARROT, TRUTH, and MODEL at each level (NaN
    for all others). step: 0 is the first that is forecast, the context ends at -1; of a context
    all is told from a horizon before what is matched.
    """
    some = inputs.chosen([place for places in inputs.sets.values() for place in places[:each]])
    said = some.sweep(model, seed, samples).forecasts(UNTOUCHED)
    rows: list[Row] = []
    for place, one in enumerate(some.windows):
        head = (some.stimuli[place].name, one.series, one.index)
        references = some.references[place]
        known = _context(one.seen, some.horizon)
        known |= {
            PARROT: (np.arange(some.horizon), references.parrot),
            TRUTH: (np.arange(some.horizon), references.truth),
        }
        rows += [(*head, role, *row) for role, pair in known.items() for row in _told(*pair)]
        for level, values in zip(LEVELS, said[place].T, strict=True):
            told = _told(np.arange(some.horizon), values, level)
            rows += [(*head, MODEL, *row) for row in told]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _context(seen: np.ndarray, horizon: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Steps and values of the context and of its stretches that the parrot finds and copies."""
    motif = motif_length(seen)
    start = match(filled(seen), motif).start - late(seen)
    ends = {
        CONTEXT: (start - motif - horizon, 0),
        MATCHED: (start - motif, start),
        COPIED: (start, start + horizon),
    }
    steps = {
        role: np.arange(max(first, -len(seen)), min(end, 0)) for role, (first, end) in ends.items()
    }
    return {role: (own, seen[own + len(seen)]) for role, own in steps.items()}


def _told(
    steps: Sequence[int] | np.ndarray, values: np.ndarray, level: float = np.nan
) -> Iterator[tuple[int, float, float]]:
    for step, value in zip(steps, values, strict=True):
        yield int(step), level, float(value)
