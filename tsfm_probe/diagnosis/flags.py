"""Which heads the weights alone speak against: no series, no forward pass."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from tsfm_probe.address import Address
from tsfm_probe.models.base import Model
from tsfm_probe.scores.weights import LAGS, scored

COLUMNS = ("address", "flag", "value", "rank")
PLAIN, FOLDED = "stable rank (plain)", "stable rank (folded)"
WITHIN = "stable rank (plain, in its attention)"
COPYING, COPYING_FOLDED = "OV copying (plain)", "OV copying (folded)"
ROTARY = "stable rank (rotary)"
COMBINED = "combined"
FLAGS = (PLAIN, WITHIN, FOLDED, ROTARY, COPYING, COPYING_FOLDED, COMBINED)
TOGETHER = (FOLDED, ROTARY, COPYING_FOLDED)
SCORES = {
    ("stable-rank", "plain"): PLAIN,
    ("stable-rank", "folded"): FOLDED,
    ("stable-rank", "rotary"): ROTARY,
    ("ov-copying", "plain"): COPYING,
    ("ov-copying", "folded"): COPYING_FOLDED,
}
LOW = {PLAIN: True, FOLDED: True, ROTARY: True, COPYING: False, COPYING_FOLDED: False}
Values = dict[str, float]


def flags(model: Model, lags: tuple[float, ...] = LAGS) -> pd.DataFrame:
    """One row per head and flag that it can have: columns COLUMNS, of FLAGS.

    value: the score itself; rank: from 0 to 1, the share of the others that it is suspected more
    than; equals share theirs. Suspicious are a low stable rank (Bao et al. 2026, arXiv 2602.01605,
    who rank the heads of each attention by themselves, as WITHIN does; `rotary` is the mean over
    lags) and high OV copying, which cross-attention has in models with a vocabulary alone.
    combined: value is the mean of a head's ranks by what it has of TOGETHER.
    """
    values = _scored(model, lags)
    ranks = {flag: _shares(own, LOW[flag]) for flag, own in values.items()}
    values[WITHIN], ranks[WITHIN] = values[PLAIN], _within(values[PLAIN])
    beside = [ranks[flag] for flag in TOGETHER if flag in ranks]
    heads = [str(at) for at in model.anatomy.heads]
    values[COMBINED] = {
        head: float(np.mean([own[head] for own in beside if head in own])) for head in heads
    }
    ranks[COMBINED] = _shares(values[COMBINED], low=False)
    rows = [
        (head, flag, values[flag][head], ranks[flag][head])
        for flag in FLAGS
        for head in heads
        if head in values.get(flag, {})
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def flagged(table: pd.DataFrame, flag: str) -> list[Address]:
    """The heads by one flag, the most suspected first; equal ones as they stand in the network."""
    rows = [one for one in table.to_dict("records") if one["flag"] == flag]
    rows.sort(key=lambda one: -one["rank"])
    return [Address.parse(str(one["address"])) for one in rows]


def _scored(model: Model, lags: tuple[float, ...]) -> dict[str, Values]:
    """The value of every flag that is a score."""
    frames = [scored(model, ("stable-rank", "ov-copying"), one) for one in ("plain", "folded")]
    if any(model.anatomy[at].rotary is not None for at in model.anatomy.attentions):
        frames.append(scored(model, ("stable-rank",), "rotary", lags))
    every: dict[tuple[str, str], list[float]] = {}
    for row in pd.concat(frames).to_dict("records"):
        flag = SCORES[str(row["method"]), str(row["variant"])]
        every.setdefault((flag, str(row["address"])), []).append(float(row["value"]))
    found: dict[str, Values] = {}
    for (flag, head), values in every.items():
        found.setdefault(flag, {})[head] = float(np.mean(values))
    return found


def _shares(values: Values, low: bool) -> Values:
    """Rank from 0 to 1 of each head, the lowest value or else the highest first; one alone: 0.5."""
    given = np.array(list(values.values()))
    ranks = rankdata(-given if low else given) - 1
    shares = ranks / (len(ranks) - 1) if len(ranks) > 1 else np.array([0.5])
    return dict(zip(values, shares.tolist(), strict=True))


def _within(values: Values) -> Values:
    """The same with each head ranked among those of its own attention."""
    homes: dict[Address, Values] = {}
    for head, value in values.items():
        homes.setdefault(Address.parse(head).whole, {})[head] = value
    return {head: one for own in homes.values() for head, one in _shares(own, low=True).items()}
