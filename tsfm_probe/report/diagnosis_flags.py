"""What flags from weights alone are worth: the area under the curve of each, and a table."""

from math import isnan
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tsfm_probe.report import diagnosis_dots as dots
from tsfm_probe.report import palette
from tsfm_probe.report.diagnosis_people import Look
from tsfm_probe.report.plates import Key, Plate

RANDOM, MODEL = "random order", palette.VERDICTS["redundant"]
COLUMNS = (
    "flag", "of", "heads", "true", "precision at true", "at 5", "AUC", "Spearman",
    "verdict",
)  # fmt: skip
VERDICTS = {
    "holds": palette.VERDICTS["redundant"],
    "reversed": palette.VERDICTS["harmful"],
    "not shown": palette.VERDICTS["uncertain"],
}


def plate(found: pd.DataFrame) -> Plate | None:
    """The AUC of each flag for each index; None where no head surely causes any."""
    panels = [_panel(str(name), rows) for name, rows in found.groupby("measure", sort=False)]
    panels = [one for one in panels if one.placed]
    if not panels:
        return None
    used = {str(one) for one in found["verdict"]}
    marks = {name: mark for name, mark in VERDICTS.items() if name in used}
    signs: list[Artist] = [
        Line2D([], [], linestyle="none", marker=mark.sign, ms=4.5, color=mark.colour, label=name)
        for name, mark in marks.items()
    ]
    signs.append(Patch(color=palette.NOISE_BAND, alpha=0.22, label="95 % of random orders"))
    return Plate(
        name="validation",
        title="Do the weights alone tell these heads?",
        caption="The chance that a head without which the index surely drops is suspected more "
        "than another (area under the ROC curve) with its 95\u00a0% interval: 0.5 is no better "
        "than chance, 1 tells them all.",
        alternative="Dot plots of the area under the curve of every flag",
        keys=(
            *(Key(mark.glyph, mark.colour, name) for name, mark in marks.items()),
            Key("▮", palette.faded(palette.NOISE_BAND, 0.45), "95\u00a0% of random orders"),
        ),
        panels=tuple(dots.chart(one, 30) for one in panels),
        below=None,
        print=dots.printed(panels, signs, 0.22),
    )


def rows(found: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """The table: columns COLUMNS."""
    return tuple(
        (
            str(one["flag"]),
            str(one["measure"]),
            str(one["heads"]),
            str(one["true"]),
            *(_number(one[name]) for name in ("at_true", "at_five")),
            _interval(one, "auc"),
            _interval(one, "spearman"),
            "–" if one["verdict"] != one["verdict"] else str(one["verdict"]) or "–",
        )
        for one in found.to_dict("records")
    )


def _panel(measure: str, rows: pd.DataFrame) -> dots.Rows:
    chance = rows.loc[rows["flag"] == RANDOM, ["auc_low", "auc_high"]].to_numpy(float)
    band = (float(chance[0, 0]), float(chance[0, 1])) if np.isfinite(chance).all() else None
    flags = [
        (str(one["flag"]), (_dot(one),)) for one in rows.to_dict("records") if one["flag"] != RANDOM
    ]
    return dots.Rows(measure.capitalize(), "AUC", tuple(flags), 0.5, (-0.02, 1.02), band)


def _dot(row: dict[Any, Any]) -> dots.Dot:
    mark = VERDICTS.get(str(row["verdict"]), VERDICTS["not shown"])
    look = Look(mark.colour, mark.colour, mark.symbol, mark.sign, mark.glyph)
    value, low, high = (float(row[name]) for name in ("auc", "auc_low", "auc_high"))
    label = f"{row['flag']}\nAUC {_interval(row, 'auc')}: {row['verdict']}"
    return dots.Dot(value, low, high, look, label)


def _number(value: Any) -> str:
    return "–" if isnan(float(value)) else f"{float(value):.2f}"


def _interval(row: dict[Any, Any], name: str) -> str:
    value, low, high = (_number(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return value if "–" in (value, low) else f"{value} ({low} to {high})"
