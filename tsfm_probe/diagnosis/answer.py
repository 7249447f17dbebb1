"""All that is known of each head, side by side."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tsfm_probe.diagnosis.causal import HEAD, RATE
from tsfm_probe.diagnosis.probe import Frames

COLUMNS = ("address", "group", "score", "value", "low", "high", "shade", "sure")
EFFECT, ATTENTION, FLAG = "without it", "attention", "weights"
TOLD = (
    "prefix matching", "copying", "retrieval", "contiguity before", "contiguity after",
    "periodicity", "recency", "primacy", "relative entropy",
)  # fmt: skip


def matrix(frames: Frames) -> pd.DataFrame:
    """Every score of every head that was asked for: columns COLUMNS.

    group: EFFECT, the change of an index without the head; ATTENTION, of TOLD; FLAG, the suspicion
    that a flag has of it. shade: from -1 to 1, more for what speaks for degenerate behaviour: the
    drop of an index and the score over the largest of all heads, the rank of a flag from -1 to 1.
    sure: whether an index is surely other without the head (q below RATE).
    """
    parts = []
    if "causal" in frames:
        parts += list(_effects(frames["causal"]))
    if "heads" in frames:
        parts += list(_scores(frames["heads"]))
    if "flags" in frames:
        rows = frames["flags"]
        shade = 2 * rows["rank"] - 1
        parts.append(rows.assign(group=FLAG, score=rows["flag"], shade=shade, sure=False))
    if not parts:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    found = [one.reindex(columns=pd.Index(COLUMNS)) for one in parts]
    return pd.concat(found, ignore_index=True).astype({"low": float, "high": float, "sure": bool})


def _effects(causal: pd.DataFrame) -> Iterator[pd.DataFrame]:
    heads = causal.loc[causal["kind"] == HEAD]
    for measure, rows in heads.groupby("measure", sort=False):
        yield rows.assign(
            group=EFFECT,
            score=str(measure),
            value=rows["change"],
            shade=-_over_largest(rows["change"]),
            sure=rows["q"] < RATE,
        )


def _scores(heads: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for name in TOLD:
        rows = heads.loc[heads["score"] == name]
        if len(rows):
            yield rows.assign(group=ATTENTION, shade=_over_largest(rows["value"]), sure=False)


def _over_largest(values: pd.Series) -> pd.Series:
    largest = float(np.abs(values.to_numpy(float)).max(initial=0.0))
    return values / largest if largest > 0 else values * 0.0
