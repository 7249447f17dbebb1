"""What the numbers say of the claim: a verdict for each family and level, and over all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from tsfm_probe.verdict import percent

from .compared import ENDS, HIGH, LOW, MIDDLE
from .cuts import LAYER
from .frames import groups, records, where
from .measured import ALL
from .running import MEASURED
from .study import RANDOM

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
MOST, ANY, ORDER = "middle layers", "some layer", "order"
CLAIMS = {
    MOST: "Most layers of the middle are redundant, each of them as a whole",
    ANY: "There is a layer that can be removed as a whole",
    ORDER: "Lowest stable rank first is the better order to cut heads in",
}
Judge = Callable[[pd.DataFrame, pd.DataFrame], tuple[str, str]]


@dataclass(frozen=True)
class Verdict:
    """What follows for one claim.

    model: "" over all of them. level: what intervals are over (see Measured.levels), "" over all.
    claim: of CLAIMS. word: HOLDS, FAILS or OPEN. reason: the numbers, in words.
    """

    model: str
    level: str
    claim: str
    word: str
    reason: str


def verdicts(cuts: pd.DataFrame, ratios: pd.DataFrame, limit: float) -> tuple[Verdict, ...]:
    """For each claim one over all, then of each model one over all levels and one for each.

    cuts: see measured.every_cut. ratios: see compared.compared; both of all models.
    """
    judges: dict[str, Judge] = {MOST: partial(_most, limit=limit), ANY: _any, ORDER: _order}
    found: list[Verdict] = []
    for claim, judge in judges.items():
        each: list[Verdict] = []
        for (model, level), rows in groups(cuts, ("model", "level")):
            beside = where(ratios, {"model": model, "level": level})
            layers = where(rows, {"kind": LAYER})
            if len(where(beside, {"one": LOW}) if claim == ORDER else layers):
                each.append(Verdict(model, level, claim, *judge(layers, beside)))
        if each:
            found += _with_wholes(claim, each)
    return tuple(found)


def _with_wholes(claim: str, each: Sequence[Verdict]) -> list[Verdict]:
    """Those of single levels, behind that of their model, and all behind that over all models."""
    families = dict.fromkeys(one.model for one in each)
    found = []
    for model in families:
        own = [one for one in each if one.model == model]
        reason = "; ".join(f"{one.level}: {one.word}" for one in own)
        found += [Verdict(model, "", claim, _together(own), reason), *own]
    words = [one.word for one in found if not one.level]
    word = FAILS if FAILS in words else HOLDS if set(words) == {HOLDS} else OPEN
    counts = [f"of {len(families)} families {_counted(words)}"]
    for level in dict.fromkeys(one.level for one in each):
        counts.append(f"{level}: {_counted([one.word for one in each if one.level == level])}")
    return [Verdict("", "", claim, word, "; ".join(counts)), *found]


def _together(own: Sequence[Verdict]) -> str:
    """A claim fails that fails at one level; it holds if it is shown over configurations."""
    words = {one.level: one.word for one in own}
    return FAILS if FAILS in words.values() else words.get(ALL, OPEN)


def _counted(words: Sequence[str]) -> str:
    return ", ".join(f"{one} in {words.count(one)}" for one in (HOLDS, FAILS, OPEN))


def shown(layers: pd.DataFrame) -> pd.DataFrame:
    """Of each layer whether it is in the middle, redundant by all metrics, harmful by one."""
    words = layers.pivot(index="trial", columns="metric", values="verdict")
    middle = layers.drop_duplicates("trial").set_index("trial")["middle"].astype(bool)
    return pd.DataFrame(
        {
            "middle": middle.reindex(words.index),
            "redundant": (words == "redundant").all(axis=1),
            "harmful": (words == "harmful").any(axis=1),
        }
    ).reindex(middle.index)


def _most(layers: pd.DataFrame, ratios: pd.DataFrame, limit: float) -> tuple[str, str]:
    found = shown(layers)
    inside, others = (where(found, {"middle": one}) for one in (True, False))
    good, bad = int(inside["redundant"].sum()), int(inside["harmful"].sum())
    word = HOLDS if 2 * good > len(inside) else FAILS if 2 * bad > len(inside) else OPEN
    reason = (
        f"of {len(inside)} middle layers {good} are shown to be redundant at {limit:g} % and {bad} "
        f"harmful to cut, of the {len(others)} others {int(others['redundant'].sum())} and "
        f"{int(others['harmful'].sum())}; {changes(where(layers, {'middle': True}))}"
    )
    depth = said(where(ratios, {"one": MIDDLE, "other": ENDS}))
    return word, reason + (f"; errors without a middle layer over without another: {depth}")


def _any(layers: pd.DataFrame, ratios: pd.DataFrame) -> tuple[str, str]:
    found = shown(layers)
    names = [str(one).partition(" ")[2] for one in where(found, {"redundant": True}).index]
    word = HOLDS if names else FAILS if len(found) == found["harmful"].sum() else OPEN
    return word, f"shown to be redundant: {', '.join(names) or 'none'}; {changes(layers)}"


def changes(layers: pd.DataFrame) -> str:
    """The least and the most that one of these cuts changes each metric."""
    parts = []
    for metric in MEASURED:
        rows = sorted(records(where(layers, {"metric": metric})), key=lambda one: one["ratio"])
        both = [f"{percent(one['ratio'])} ({cut(one['trial'])})" for one in (rows[0], rows[-1])]
        parts.append(f"{metric} {' to '.join(both)}")
    return "one layer changes " + ", ".join(parts)


def cut(trial: str) -> str:
    """What a trial cuts, without the word for its kind."""
    return trial.partition(" ")[2]


def _order(layers: pd.DataFrame, ratios: pd.DataFrame) -> tuple[str, str]:
    """Better or worse is what both metrics show to be so.

    It holds if better than highest first and than every random order, and does not if worse than
    highest first or than every random order.
    """
    rows = records(where(ratios, {"one": LOW, "share": 0.0}))
    single = [one for one in rows if one["other"].startswith(f"{RANDOM}-")]
    against = [one for one in rows if one["other"] == HIGH]
    better = all(one["high"] < 1 for one in (*against, *single))
    worse = any(part and all(one["low"] > 1 for one in part) for part in (against, single))
    word = FAILS if worse else HOLDS if better else OPEN
    parts = [
        f"against {called} {said(where(ratios, {'one': LOW, 'other': other, 'share': 0.0}))}"
        for other, called in ((HIGH, "highest first"), (RANDOM, "random orders"))
    ]
    mase = [one for one in single if one["metric"] == "MASE"]
    beaten = f"lower MASE than {sum(one['estimate'] < 1 for one in mase)} of {len(mase)}"
    return word, f"errors with the lowest first {'; '.join(parts)}; {beaten} random orders"


def said(rows: pd.DataFrame) -> str:
    """Ratios as changes with their intervals."""
    return ", ".join(f"{one['metric']} {with_interval(one)}" for one in records(rows))


def with_interval(row: Mapping[str, Any]) -> str:
    """A ratio as a change with its interval."""
    estimate = row["estimate"] if "estimate" in row else row["ratio"]
    return f"{percent(estimate)} ({percent(row['low'])} to {percent(row['high'])})"
