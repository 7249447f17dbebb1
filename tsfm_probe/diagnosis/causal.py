"""What each head does to parroting and to the seasonality bias: the change without it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsfm_probe.address import Address
from tsfm_probe.bootstrap import adjusted
from tsfm_probe.diagnosis.indices import judging
from tsfm_probe.diagnosis.inputs import INDICES, Inputs, points
from tsfm_probe.diagnosis.means import means
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import UNTOUCHED
from tsfm_probe.surgery.plan import Plan, Trial

HEAD, NOISE = "head", "noise"
COLUMNS = (
    "kind", "address", "measure", "change", "low", "high", "p", "q",
    "beyond", "beyond_low", "beyond_high", "count",
)  # fmt: skip
SEEDS = 2  # other seeds that the untouched model is run with
# So many that one head alone can pass Benjamini and Hochberg.
LEAST_DRAWS, DRAWS_PER_HEAD = 10_000, 100
RATE = 0.05
Progress = Callable[[int, int, str], None]


def causal(
    model: Model,
    inputs: Inputs,
    *,
    only: str = "",
    seed: int = 0,
    samples: int = 0,
    batch_size: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The change of both indices without each head: columns COLUMNS, heads as they run.

    Each context is paired with its own forecast by the untouched model; parroting is judged on the
    sets that repeat a motif, the bias on those without a period (see Inputs.judging).
    change: mean over the contexts of the index without the head, less the index with it; low,
    high: its 95 % bootstrap interval; p: two-sided, that there is none; q: p adjusted over the
    heads of a measure (Benjamini and Hochberg 1995). beyond: the change less the mean change
    without any other head of the same attention that was tried, with its interval; NaN without
    one. count: contexts with an index under both.
    Rows of kind NOISE are the untouched model under other seeds, where forecasts are drawn.
    only: a pattern of addresses. progress: told (done, all, name of the last trial).
    """
    judged = inputs.judging_heads()
    trials = [*Plan.each(model.anatomy, HEAD, only)]
    noise = range(1, SEEDS + 1) if model.draws_samples else ()
    trials += [Trial(f"{NOISE}-{one}", NOISE, (), one) for one in noise]
    sweep = judged.sweep(model, seed, samples, batch_size)
    base = judging(judged, points(sweep, UNTOUCHED))
    changes = np.empty((len(INDICES), len(trials), len(judged)))
    for number, trial in enumerate(trials):
        changes[:, number] = judging(judged, points(sweep, trial)) - base
        if progress:
            progress(number + 1, len(trials), trial.name)
    frames = [
        _judged(trials, measure, rows, judged.series, seed)
        for measure, rows in zip(INDICES, changes, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def _judged(
    trials: Sequence[Trial], measure: str, changes: np.ndarray, series: np.ndarray, seed: int
) -> pd.DataFrame:
    """The rows of one measure; changes: [trial, window]."""
    draws = max(LEAST_DRAWS, DRAWS_PER_HEAD * len(trials))
    found = means(changes, series, seed, draws)
    beyond = means(_beyond(trials, changes), series, seed)
    heads = np.array([one.kind == HEAD for one in trials])
    columns = {
        "kind": [one.kind for one in trials],
        "address": [one.name for one in trials],
        "measure": measure,
        **dict(zip(("change", "low", "high", "p"), found.T, strict=True)),
        "q": adjusted(np.where(heads, found[:, 3], np.nan)),
        **dict(zip(("beyond", "beyond_low", "beyond_high"), beyond.T[:3], strict=True)),
        "count": (~np.isnan(changes)).sum(axis=1),
    }
    return pd.DataFrame(columns, columns=pd.Index(COLUMNS))


def _beyond(trials: Sequence[Trial], changes: np.ndarray) -> np.ndarray:
    """Each head's change less the mean of those of its neighbours: [trial, window]."""
    homes: list[Address | None] = [one.at[0].whole if one.at else None for one in trials]
    found = np.full(changes.shape, np.nan)
    for number, home in enumerate(homes):
        others = [one for one, at in enumerate(homes) if at == home and one != number]
        if home is not None and others:
            known = ~np.isnan(changes[others])
            total = np.where(known, changes[others], 0).sum(axis=0)
            count = known.sum(axis=0)
            mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
            found[number] = changes[number] - mean
    return found


def responsible(effects: pd.DataFrame, measure: str) -> list[Address]:
    """The heads without which an index is surely lower, the largest drop first.

    effects: as `causal` gives them. That is a change below 0 with a q below RATE.
    """
    sure = {
        str(one["address"])
        for one in effects.to_dict("records")
        if _of(one, measure) and one["q"] < RATE and one["change"] < 0
    }
    return [at for at in by_change(effects, measure) if str(at) in sure]


def by_change(effects: pd.DataFrame, measure: str) -> dict[Address, float]:
    """Every head's change of an index, the largest drop first; without those that have none."""
    found = {
        Address.parse(str(one["address"])): float(one["change"])
        for one in effects.to_dict("records")
        if _of(one, measure)
    }
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def _of(row: Mapping[Any, Any], measure: str) -> bool:
    return row["kind"] == HEAD and row["measure"] == measure and not math.isnan(row["change"])
