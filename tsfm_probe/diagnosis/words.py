"""What a diagnosis found, in plain sentences."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from tsfm_probe.diagnosis.causal import HEAD, RATE
from tsfm_probe.diagnosis.inputs import BIAS, COPIED, FREE, INDICES, OWN, PARROTING
from tsfm_probe.diagnosis.order import smallest
from tsfm_probe.diagnosis.probe import MADE, Frames
from tsfm_probe.diagnosis.repair_words import repaired
from tsfm_probe.diagnosis.validation_words import validation

MOST = 3
"""Heads that are named."""
MODEL, TWIN, NAIVE, TRUTH = "model", "random twin", "seasonal naive", "truth"
NEEDLE = "prefix matching"
NAMES = {PARROTING: "parroting", BIAS: "the seasonality bias"}
REPEATED = {
    "motif": "where the end of a context repeats a motif (a stretch of a random walk)",
    "patches": "where noise is repeated",
}
Row = Mapping[str, Any]


def sentences(frames: Frames, data: str) -> list[str]:
    """The answer, a sentence or two per line; of what was not asked for nothing is said.

    data: what the series are called on which accuracy was measured.
    """
    said = []
    if "indices" in frames:
        found, beyond = frames["indices"], frames["against"]
        copied = [one for one in COPIED if one in set(found["set"])]
        said += [_parrots(found, beyond, one) for one in copied]
        said += _elsewhere(found)
        said += [_biased(found, beyond), *_standing_out(frames["seasons"])]
        said += _lacking(frames["twin"])
    if "causal" in frames:
        said += [_behind(frames["causal"], one) for one in INDICES]
    if "heads" in frames:
        said += _attending(frames["heads"])
    if "validation" in frames:
        said += validation(frames["validation"])
    if "repair" in frames:
        said += repaired(frames["repair"], data)
    if "order" in frames:
        said.append(_order(frames["order"]))
    return said


def _parrots(indices: pd.DataFrame, against: pd.DataFrame, name: str) -> str:
    """Whether the model is sure to be nearer to the parrot than forecasters that do not copy.

    Seasonal naive copies, too, where what is repeated has a period.
    """
    rows = _by_who(indices, name, PARROTING)
    own, others = rows[MODEL], {who: rows[who] for who in (TWIN, NAIVE) if who in rows}
    beside = " and ".join(f"{_interval(one)} for its {who}" for who, one in others.items())
    beside = beside.replace(f"its {NAIVE}", NAIVE)
    idle = [who for who in others if who != NAIVE or name == COPIED[0]]
    beyond = [_beyond(against, who, name, PARROTING) for who in idle]
    if min([own["low"], *(one["low"] for one in beyond)]) > 0:
        verdict = "It parrots"
    elif own["high"] <= 0 or min((one["value"] for one in beyond), default=1.0) <= 0:
        verdict = "It does not parrot"
    else:
        verdict = "From so many contexts it cannot be told whether it parrots"
    return (
        f"{verdict} {REPEATED[name]}: its parroting index is "
        f"{_interval(own)}, 0 being chance and 1 a copy, against {beside}."
    )


def _elsewhere(indices: pd.DataFrame) -> list[str]:
    """What it does where nothing is repeated, and on the user's series."""
    said, told = [], []
    for name in ("shuffled-motif", *FREE):
        rows = _by_who(indices, name, PARROTING)
        if MODEL in rows and TRUTH in rows and rows[MODEL]["low"] > max(0, rows[TRUTH]["high"]):
            told.append(f"{name} ({_interval(rows[MODEL])})")
    if told:
        said.append(
            f"It is like a parrot where nothing is repeated too, and more than what came: "
            f"{', '.join(told)}."
        )
    rows = _by_who(indices, OWN, PARROTING)
    if MODEL in rows:
        said.append(
            f"On your series its parroting index is {_interval(rows[MODEL])}, that of what came "
            f"{_interval(rows[TRUTH])}."
        )
    return said


def _biased(indices: pd.DataFrame, against: pd.DataFrame) -> str:
    """On which sets without a period forecasts are surely more seasonal than what came."""
    more, all_sets = [], []
    for name in FREE:
        rows = _by_who(indices, name, BIAS)
        own, twin = rows[MODEL], rows.get(TWIN)
        told = f"{_interval(own, '+')} on {name}"
        told += f" (its random twin {_interval(twin, '+')})" if twin is not None else ""
        beyond = [_beyond(against, who, name, BIAS) for who in rows if who == TWIN]
        if min([own["low"], *(one["low"] for one in beyond)]) > 0:
            more.append(name)
        all_sets.append(told)
    verdict = (
        f"It sees seasons where none are, on {_listed(more)}"
        if more
        else "It is not shown to see seasons where none are"
    )
    return (
        f"{verdict}: the share of its forecasts that swings at the context's likeliest period, "
        f"less that of what came, is {', '.join(all_sets)}."
    )


def _standing_out(seasons: pd.DataFrame) -> list[str]:
    """The one season at which forecasts of sets without a period exceed the truth most."""
    rows = seasons.loc[(seasons["who"] == MODEL) & seasons["set"].isin(FREE)]
    sure = rows.loc[rows["low"] > 0]
    if sure.empty:
        return []
    best: Row = sure.loc[sure["value"].idxmax()].to_dict()
    count = rows["period"].nunique()
    return [
        f"Of {count} seasons, {best['period']} steps stands out most, on {best['set']}: "
        f"{_interval(best, '+')}. Of so many one "
        "does so by chance, and a slow forecast has much at the longest: it is to be judged anew."
    ]


def _lacking(twin: pd.DataFrame) -> list[str]:
    outcome = str(twin["outcome"].iloc[0])
    return [] if outcome == MADE else [f"There is no random twin beside it: {outcome}."]


def _behind(causal: pd.DataFrame, measure: str) -> str:
    """Which heads an index surely drops without."""
    name = NAMES[measure]
    rows = causal.loc[(causal["measure"] == measure) & causal["change"].notna()]
    heads = rows.loc[rows["kind"] == HEAD].sort_values("change", kind="stable")
    noise = rows.loc[rows["kind"] != HEAD, "change"].abs()
    control = f" Another seed alone changes it by up to {noise.max():.2g}." if len(noise) else ""
    if heads.empty:
        return f"No head can be tried for {name}: no context has the index."
    sure = heads.loc[(heads["q"] < RATE) & (heads["change"] < 0)]
    known = f"{len(heads)} heads, false discovery rate {100 * RATE:.0f}\u00a0%"
    if sure.empty:
        first: Row = heads.iloc[0].to_dict()
        return (
            f"No single head is surely behind {name} ({known}): the largest drop without one "
            f"is that of {first['address']}, {_interval(_changed(first), '+')}.{control}"
        )
    named = ", ".join(
        f"{one['address']} ({_interval(_changed(one), '+')})"
        for one in sure.head(MOST).to_dict("records")
    )
    more = f", and {len(sure) - MOST} more" if len(sure) > MOST else ""
    which = "Heads without which it surely drops" if len(sure) > 1 else "The head without which"
    which += "" if len(sure) > 1 else " it surely drops"
    return f"Behind {name}: {which} ({known}): {named}{more}.{control}"


def _attending(heads: pd.DataFrame) -> list[str]:
    """The heads that attend most like one of an induction circuit."""
    rows = heads.loc[heads["score"] == NEEDLE].sort_values("value", ascending=False, kind="stable")
    sure = rows.loc[rows["low"] > 0]
    if rows.empty:
        return []
    if sure.empty:
        return ["No head attends to what a copy would say beyond chance (prefix matching)."]
    named = ", ".join(
        f"{one['address']} ({_interval(one)})" for one in sure.head(MOST).to_dict("records")
    )
    return [
        f"To what a copy would say attends most {named}: prefix matching, the share of attention "
        "beyond chance."
    ]


def _order(found: pd.DataFrame) -> str:
    fewest, most = smallest(found), int(found["matched"].max())
    if fewest is None:
        return (
            f"Order of copying: after up to {most} matching values it does not surely copy what "
            "followed them."
        )
    row: Row = found.loc[found["matched"] == fewest].iloc[0].to_dict()
    values = "one matching value is" if fewest == 1 else f"{fewest} matching values are"
    return (
        f"Order of copying: {values} enough; what followed them is copied with a parroting index "
        f"of {_interval(row)}."
    )


def _by_who(indices: pd.DataFrame, name: str, measure: str) -> dict[str, Row]:
    rows = indices.loc[(indices["set"] == name) & (indices["measure"] == measure)]
    return {str(one["who"]): one for one in rows.to_dict("records")}


def _beyond(against: pd.DataFrame, other: str, name: str, measure: str) -> Row:
    """By how much the model exceeds another, context by context."""
    rows = against.loc[(against["other"] == other) & (against["set"] == name)]
    return rows.loc[rows["measure"] == measure].iloc[0].to_dict()


def _changed(row: Row) -> Row:
    return {**row, "value": row["change"]}


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _interval(row: Row, sign: str = "") -> str:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if math.isnan(value):
        return "unknown"
    ends = "" if math.isnan(low) else f" ({low:{sign}.2f} to {high:{sign}.2f})"
    return f"{value:{sign}.2f}{ends}"
