"""How groups of cuts compare: one order with another, the middle of a network with its ends."""

import numpy as np
import pandas as pd

from tsfm_probe.bootstrap import log_ratios
from tsfm_probe.evaluate.paired import paired

from .cuts import HEADS, LAYER
from .frames import groups, where
from .measured import Measured
from .running import MEASURED
from .study import RANDOM

LOW, HIGH = "stable-rank", "stable-rank-desc"
MIDDLE, ENDS = "middle layers", "other layers"
COLUMNS = ("one", "other", "share", "estimate", "low", "high")


def compared(found: Measured) -> pd.DataFrame:
    """Ratios of errors between groups of cuts, with 95 % intervals, at every level.

    Columns: model, level (see Measured.levels), metric, COLUMNS: the error of `one` over that of
    `other`; share: of the heads that are cut, 0 for all shares together and for layers.
    """
    parts = []
    for metric in MEASURED:
        for level, values in found.levels(metric).items():
            rows = values.merge(found.cuts, left_on="trial", right_on="name")
            both = pd.concat([_orders(rows), _depths(rows)])
            parts.append(both.assign(model=found.model, level=level, metric=metric))
    named = ["model", "level", "metric", *COLUMNS]
    return pd.concat(parts).loc[:, named].reset_index(drop=True)


def _orders(rows: pd.DataFrame) -> pd.DataFrame:
    """Lowest stable rank first over highest first, and over random orders."""
    rows = where(rows, {"kind": HEADS})
    ours = where(rows, {"order": LOW})
    made = []
    for other in (HIGH, RANDOM):
        if not {LOW, other} <= set(rows["order"]):
            continue
        values = _matched(rows, other)
        for share in (0.0, *sorted(values["share"].unique())):
            some = where(values, {"share": share}) if share else values
            made.append(_ratio(some, LOW, other) | {"share": share})
    for (seed,), theirs in groups(where(rows, {"order": RANDOM}), ("seed",)):
        both = pd.concat([ours, theirs])
        named = both.assign(trial=both["order"], window=both["share"])
        made.append(_ratio(named, LOW, RANDOM) | {"other": f"{RANDOM}-{seed}", "share": 0.0})
    return pd.DataFrame(made, columns=pd.Index(COLUMNS))


def _matched(rows: pd.DataFrame, other: str) -> pd.DataFrame:
    """The order LOW beside each seed of another: columns trial, group, window, value, share."""
    theirs = where(rows, {"order": other}).assign(trial=other)
    seeds = theirs.loc[:, ["seed"]].drop_duplicates()
    ours = where(rows, {"order": LOW}).drop(columns="seed").merge(seeds, how="cross")
    both = pd.concat([ours.assign(trial=LOW), theirs])
    window = both["seed"].astype(str) + " " + both["share"].astype(str)
    return both.assign(window=window).loc[:, ["trial", "group", "window", "value", "share"]]


def _depths(rows: pd.DataFrame) -> pd.DataFrame:
    """The geometric mean of the cuts of middle layers over that of all other layers."""
    rows = where(rows, {"kind": LAYER})
    if rows["middle"].nunique() < 2:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    named = np.where(rows["middle"].astype(bool), MIDDLE, ENDS)
    logs = log_ratios(rows["value"].to_numpy(), np.ones(len(rows)))
    logged = rows.assign(trial=named, window=0, value=logs)
    mean = logged.groupby(["trial", "group", "window"], as_index=False)["value"].agg(_strict)
    made = _ratio(mean.assign(value=np.exp(mean["value"])), MIDDLE, ENDS) | {"share": 0.0}
    return pd.DataFrame([made], columns=pd.Index(COLUMNS))


def _strict(values: pd.Series) -> float:
    """The mean, undefined where one of the values is."""
    return float(values.mean(skipna=False))


def _ratio(values: pd.DataFrame, one: str, other: str) -> dict[str, object]:
    both = paired(values, other).set_index("trial").loc[one]
    ends = {name: float(both[name]) for name in ("estimate", "low", "high")}
    return {"one": one, "other": other, **ends}
