"""Across training: how copying and the scores of heads come about, snapshot by snapshot."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from tsfm_probe.data.stimuli import Size
from tsfm_probe.diagnosis.heads import head_scores
from tsfm_probe.diagnosis.indices import forecasts, indices
from tsfm_probe.diagnosis.inputs import PARROTING, Inputs
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Progress
from tsfm_probe.scores.weights import scored

COLUMNS = ("step", "measure", "address", "value", "low", "high")
FORECAST = "parroting"
SCORES = ("prefix matching", "copying", "retrieval")
RANK = "stable rank (plain)"
SETS = ("motif", "patches")
HORIZON, CONTEXT, COUNT = 32, 256, 16
HALF = 0.5
"""Of the last value: a measure has come about where it is reached for good."""
Snapshots = Mapping[int, Callable[[], Model]]


def emergence(
    snapshots: Snapshots, seed: int = 0, count: int = COUNT, progress: Progress | None = None
) -> pd.DataFrame:
    """Measures of every snapshot of one training: columns COLUMNS.

    snapshots: by training step, what loads the model.
    measure: "parroting, motif" and "parroting, patches", the parroting index of the forecasts of a
    set, with an empty address; of SCORES, that of the head which has the highest of the snapshot;
    RANK, the lowest of any head. low, high: 95 % bootstrap intervals over contexts, NaN for RANK.
    """
    rows: list[tuple[object, ...]] = []
    for number, (step, load) in enumerate(sorted(snapshots.items()), 1):
        model = load()
        rows += [
            (step, *row) for row in (*_behaviour(model, seed, count), *_heads(model, seed, count))
        ]
        if progress:
            progress(number, len(snapshots), f"step {step}")
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _behaviour(model: Model, seed: int, count: int) -> list[tuple[object, ...]]:
    size = Size(min(CONTEXT, model.context_length), HORIZON)
    inputs = Inputs.built_in(size, count, SETS, seed)
    made = forecasts(model, inputs, seed=seed)
    found = indices(inputs, {"model": made["model"]}, seed)
    return [
        (f"{FORECAST}, {row['set']}", "", row["value"], row["low"], row["high"])
        for row in found.to_dict("records")
        if row["measure"] == PARROTING
    ]


def _heads(model: Model, seed: int, count: int) -> list[tuple[object, ...]]:
    table = head_scores(model, seed, count)
    rows: list[tuple[object, ...]] = []
    for score in SCORES:
        own = table.loc[table["score"] == score].to_dict("records")
        for row in sorted(own, key=lambda one: -one["value"])[:1]:
            rows.append((score, row["address"], row["value"], row["low"], row["high"]))
    ranks = scored(model, ("stable-rank",)).sort_values("value")
    lowest = ranks.to_dict("records")[0]
    return [*rows, (RANK, lowest["address"], lowest["value"], np.nan, np.nan)]


def emerged(table: pd.DataFrame) -> dict[str, int | None]:
    """By measure, the first step from which on it stays above HALF of its last value.

    None where the interval of the last value holds 0, so that nothing has come about; RANK, which
    falls, is left out.
    """
    found: dict[str, int | None] = {}
    for measure in dict.fromkeys(table["measure"]):
        if measure == RANK:
            continue
        rows = table.loc[table["measure"] == measure].to_dict("records")
        rows.sort(key=lambda one: one["step"])
        enough = HALF * rows[-1]["value"]
        below = [number for number, one in enumerate(rows) if not one["value"] > enough]
        first = rows[below[-1] + 1 if below else 0] if rows[-1]["low"] > 0 else None
        found[str(measure)] = None if first is None else int(first["step"])
    return found
