"""What the tables of attribution come to: numbers of whole forecasts, layers that stand out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tsfm_probe.attribution.effects import REMAINDER, SUMMED
from tsfm_probe.attribution.lens import crystallisation
from tsfm_probe.attribution.overthinking import critical
from tsfm_probe.attribution.probe import Frames
from tsfm_probe.attribution.total import agreement

PARTS = ("path", "kind", "address", "effect", "size", "share")
LAYERS = ("layer", "measure", "value")


@dataclass(frozen=True, eq=False)
class Answer:
    """What the tables come to; whatever was not asked for is empty.

    parts: columns PARTS, see `parts`. layers: columns LAYERS, means over all steps and cases.
    crystallised: the first layer whose forecast stands (see lens.crystallisation), "" if no error
    is known. critical: the critical layer of overthinking, "" if there is none.
    agreement: of direct and total effects (see total.agreement).
    """

    parts: pd.DataFrame
    layers: pd.DataFrame
    crystallised: str
    critical: str
    agreement: Mapping[str, float]

    @classmethod
    def of(cls, frames: Frames, seed: int = 0) -> "Answer":
        """From the tables of all stages, by name."""
        totals = frames.get("totals")
        motifs = frames.get("overthinking")
        return cls(
            parts(frames["effects"]) if "effects" in frames else _empty(PARTS),
            _layers(frames["lens"]) if "lens" in frames else _empty(LAYERS),
            _crystallised(frames["errors"]) if "errors" in frames else "",
            "" if motifs is None else critical(motifs),
            {} if totals is None or totals.empty else agreement(totals, seed),
        )


def parts(effects: pd.DataFrame) -> pd.DataFrame:
    """Columns PARTS: every write and the remainder, the largest first, for each path.

    effect, size: means over all steps and cases (see Effects.table). share: of the size, in the sum
    of all sizes of the path.
    """
    rows = effects.loc[effects["kind"].isin((*SUMMED, REMAINDER))]
    weighed = rows.assign(effect=rows["effect"] * rows["count"], size=rows["size"] * rows["count"])
    summed = weighed.groupby(["path", "kind", "address"], sort=False)[["effect", "size", "count"]]
    found = summed.sum().reset_index()
    found["effect"] /= found["count"]
    found["size"] /= found["count"]
    whole = found.groupby("path")["size"].transform("sum")
    found["share"] = (found["size"] / whole).fillna(0.0)
    first = found["path"].map({path: at for at, path in enumerate(found["path"].unique())})
    ordered = found.assign(first=first).sort_values(
        ["first", "size"], ascending=[True, False], kind="stable", ignore_index=True
    )
    return ordered[list(PARTS)]


def _layers(lens: pd.DataFrame) -> pd.DataFrame:
    weighed = lens.assign(value=lens["value"] * lens["count"])
    groups = weighed.groupby(["layer", "measure"], sort=False)[["value", "count"]]
    found = groups.sum().reset_index()
    return found.assign(value=found["value"] / found["count"]).loc[:, list(LAYERS)]


def _crystallised(errors: pd.DataFrame) -> str:
    means = {
        str(layer): float(rows["error"].mean())
        for layer, rows in errors.groupby("layer", sort=False)
    }
    if any(map(math.isnan, means.values())):
        return ""
    return list(means)[crystallisation(list(means.values()))]


def _empty(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(columns=pd.Index(columns))
