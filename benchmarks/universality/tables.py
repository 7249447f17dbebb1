"""The tables that people read, on the page and in README.md: text in cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tsfm_probe.verdict import percent

from .claims import ANY, MOST, ORDER, Verdict, cut, shown, with_interval
from .compared import ENDS, HIGH, LOW, MIDDLE
from .cuts import BLOCK, LAYER
from .frames import groups, records, where
from .measured import Measured
from .running import MEASURED
from .study import RANDOM


@dataclass(frozen=True)
class Grid:
    """A table: names of the columns, and rows of as many cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def markdown(self) -> str:
        """As lines of a Markdown file."""
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        return "\n".join("| " + " | ".join(one) + " |" for one in lines)


def models(found: Sequence[Measured]) -> Grid:
    """How well the untouched models forecast, and what another seed alone changes."""
    rows = []
    for one in found:
        scores, about = one.scores(), one.record["about"]
        drawn = about["samples"].replace("none are drawn", "none")
        numbers = [f"{scores[metric]:.3f}" for metric in MEASURED]
        weights = f"{int(about['parameters']) / 1e6:.2f} M"
        whole = ", ".join(percent(ratio) for ratio in one.reseeded().values())
        each = ", ".join(
            f"{name} {percent(float(rows['value'].iloc[0] / rows['base'].iloc[0]))}"
            for (name,), rows in groups(where(one.noise, {"metric": "MASE"}), ("configuration",))
        )
        rows.append((one.model, weights, *numbers, drawn, whole or "nothing", each or "nothing"))
    names = ("model", "parameters", *(f"{metric} over naive" for metric in MEASURED), "samples")
    noise = ("another seed changes MASE, CRPS by", "MASE of single configurations by")
    return Grid((*names, *noise), tuple(rows))


def words(judged: Sequence[Verdict]) -> Grid:
    """The verdict of every family on every claim, with those of its levels in brackets."""
    claims = [claim for claim in (MOST, ANY, ORDER) if any(one.claim == claim for one in judged)]
    rows = []
    for model in dict.fromkeys(one.model for one in judged):
        cells = [
            one.word for claim in claims for one in judged
            if (one.model, one.level, one.claim) == (model, "", claim)
        ]  # fmt: skip
        rows.append((model or "all families", *cells))
    return Grid(("model", *claims), tuple(rows))


def layers(cuts: pd.DataFrame, ratios: pd.DataFrame, judged: Sequence[Verdict]) -> Grid:
    """Of each family and level how many layers are redundant, and what the middle costs."""
    rows = []
    for place, own in groups(where(cuts, {"kind": LAYER}), ("model", "level")):
        found = shown(own)
        inside = [one["ratio"] for one in records(where(own, {"metric": "MASE", "middle": True}))]
        beside = {"model": place[0], "level": place[1], "metric": "MASE"}
        rows.append(
            (
                *place,
                _word(judged, *place, MOST),
                *(_counts(where(found, {"middle": one})) for one in (True, False)),
                f"{percent(min(inside))} to {percent(max(inside))}",
                _ratio(where(ratios, {**beside, "one": MIDDLE, "other": ENDS})),
            )
        )
    return Grid(
        (
            *("model", "level", MOST, "redundant, harmful of middle", "of others"),
            *("MASE without one middle layer", "without a middle layer over without another"),
        ),
        tuple(rows),
    )


def orders(ratios: pd.DataFrame, judged: Sequence[Verdict]) -> Grid:
    """Of each family and level how lowest first compares with the other orders."""
    rows = []
    kept = where(ratios, {"one": LOW, "share": 0.0})
    for place, own in groups(kept, ("model", "level")):
        cells = [
            _ratio(where(own, {"other": other, "metric": metric}))
            for other in (HIGH, RANDOM)
            for metric in MEASURED
        ]
        mase = records(where(own, {"metric": "MASE"}))
        single = [one for one in mase if one["other"].startswith(f"{RANDOM}-")]
        beaten = f"{sum(one['estimate'] < 1 for one in single)} of {len(single)}"
        rows.append((*place, _word(judged, *place, ORDER), *cells, beaten))
    names = [f"{metric} against {one}" for one in ("highest", "random") for metric in MEASURED]
    return Grid(("model", "level", ORDER, *names, "random orders beaten"), tuple(rows))


def shares(ratios: pd.DataFrame) -> Grid:
    """The same by how many heads are cut: MASE with lowest first over that with another order."""
    rows = where(ratios, {"one": LOW, "metric": "MASE"})
    rows = rows.loc[rows["share"] > 0, :]
    levels = list(dict.fromkeys(rows["level"]))
    made = []
    for (model, share), own in groups(rows, ("model", "share")):
        cells = [
            _ratio(where(own, {"level": level, "other": other}))
            for level in levels
            for other in (HIGH, RANDOM)
        ]
        made.append((model, f"{100 * float(share):g} %", *cells))
    names = [f"{level}, against {one}" for level in levels for one in ("highest", "random")]
    return Grid(("model", "heads cut", *names), tuple(made))


def blocks(cuts: pd.DataFrame) -> Grid:
    """What blocks of middle layers cost, by level."""
    rows = where(cuts, {"kind": BLOCK, "metric": "MASE"})
    levels = list(dict.fromkeys(rows["level"]))
    made = []
    for (model, trial), own in groups(rows, ("model", "trial")):
        of = {one["level"]: f"{with_interval(one)} {one['verdict']}" for one in records(own)}
        made.append((model, cut(trial), *(of[level] for level in levels)))
    return Grid(("model", "layers cut together", *(f"MASE, {one}" for one in levels)), tuple(made))


def _word(judged: Sequence[Verdict], *place: str) -> str:
    return next(one.word for one in judged if (one.model, one.level, one.claim) == place)


def _counts(found: pd.DataFrame) -> str:
    good, bad = int(found["redundant"].sum()), int(found["harmful"].sum())
    return f"{good}, {bad} of {len(found)}"


def _ratio(rows: pd.DataFrame) -> str:
    return "".join(with_interval(one) for one in records(rows)) or "-"
