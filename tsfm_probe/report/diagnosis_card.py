"""The behaviour card: how much everyone parrots and swings, in all, by step and by season."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from tsfm_probe.report import diagnosis_dots as dots
from tsfm_probe.report import diagnosis_lines as lines
from tsfm_probe.report.diagnosis_people import LOOKS, MODEL, NAIVE, PARROT, TRUTH, TWIN, keys
from tsfm_probe.report.plates import Key, Plate

PARROTING, BIAS = "parroting", "seasonality bias"
FOLLOWED = (MODEL, TWIN, NAIVE)
"""Whose curves are drawn: those of the others are known."""
NOTHING_COPIED = "shuffled-motif"


def card(indices: pd.DataFrame, free: Sequence[str]) -> Plate:
    """Both indices of everyone on every set; free: sets that have no period.

    indices: who, set, measure, value, low, high, count.
    """
    sets = list(dict.fromkeys(indices["set"].astype(str)))
    panels = [_rows(indices, PARROTING, sets, "Parroting index", (0.0, 1.0))]
    without = [one for one in sets if one in free]
    if without:
        panels.append(_rows(indices, BIAS, without, "Seasonality bias", (-0.2, 0.2)))
    who = [one for one in LOOKS if (indices["who"] == one).any()]
    signs = [
        Line2D([], [], linestyle="none", marker=LOOKS[one].sign, ms=4.5, label=one,
               color=LOOKS[one].print)
        for one in who
    ]  # fmt: skip
    return Plate(
        name="card",
        title="How it behaves, beside forecasters that are known",
        caption="Means over the contexts of each set with 95\u00a0% intervals. Left: 1 is a copy "
        "of what followed the likest motif of the context, 0 no more like it than chance. Right: "
        "the share of a forecast that swings at its context's likeliest period, less that of what "
        "came, on sets that have none: above 0 it sees a season where there is none.",
        alternative=f"Two dot plots of {', '.join(who)} on {', '.join(sets)}",
        keys=keys(who),
        panels=tuple(dots.chart(one) for one in panels),
        below=None,
        print=dots.printed(panels, signs),
    )


def steps(found: pd.DataFrame, copied: Sequence[str]) -> Plate | None:
    """The parroting index by step (who, set, step, value, low, high) on sets that are copied."""
    sets = [
        one for one in dict.fromkeys(found["set"].astype(str)) if one in (*copied, NOTHING_COPIED)
    ]
    if not sets:
        return None
    panels = [
        _curves(found.loc[found["set"] == one], "step", one, "Step", "Parroting index", 1)
        for one in sets
    ]
    return Plate(
        name="steps",
        title="The parroting index, step by step",
        caption="Distances of a step are root mean squares over the contexts of a set, whose "
        "bootstrap gives the model's band (95\u00a0%). On the shuffled motif there is "
        "nothing to copy.",
        alternative=f"{len(sets)} line charts by step: {', '.join(sets)}",
        keys=keys(_who(found), line=True),
        panels=tuple(lines.chart(one) for one in panels),
        below=None,
        print=lines.printed(panels),
    )


def seasons(found: pd.DataFrame, free: Sequence[str]) -> Plate | None:
    """The bias at every season (who, set, period, value, low, high) on sets without a period."""
    sets = [one for one in dict.fromkeys(found["set"].astype(str)) if one in free]
    if not sets:
        return None
    panels = [
        _curves(found.loc[found["set"] == one], "period", one, "Season, steps", "Excess", 0)
        for one in sets
    ]
    return Plate(
        name="seasons",
        title="The bias at every season",
        caption="By how much the share of a forecast at a season exceeds that of what came, "
        "whatever the context suggests: a season that is seen in everything stands out above 0. "
        "The share is that of three frequencies, so that neighbours stand out with it; at the "
        "longest, it is how slow a forecast is.",
        alternative=f"{len(sets)} line charts by season: {', '.join(sets)}",
        keys=keys(_who(found), line=True),
        panels=tuple(lines.chart(one) for one in panels),
        below=None,
        print=lines.printed(panels),
    )


def order(found: pd.DataFrame) -> Plate:
    """Copying by the number of matching values (matched, value, low, high, beyond and so on)."""
    places = np.arange(len(found), dtype=float)
    names = found["matched"].astype(str)
    curves = []
    for title, name, who in (
        ("parroting index", "value", MODEL),
        ("beyond the same context without a match", "beyond", PARROT),
    ):
        ends = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
        y, low, high = (found[one].to_numpy(float) for one in (name, *ends))
        look = LOOKS[who]
        curves.append(lines.Curve(title, places, y, low, high, look.colour, look.print))
    ticks = tuple(zip(places.tolist(), names, strict=True))
    panel = lines.Lines("", "Matching values", "Parroting index", tuple(curves), ticks)
    return Plate(
        name="order",
        title="How many values must match",
        caption="Contexts are noise in which the last values, so many and no more, have been there "
        "once before. The index tells how much the forecast is what followed them, with 95\u00a0% "
        "intervals; at 0 nothing matches.",
        alternative="Line chart of the parroting index by the number of matching values",
        keys=tuple(Key("━", one.colour, one.name) for one in curves),
        panels=(lines.chart(panel, 320),),
        below=None,
        print=lines.printed([panel]),
    )


def _who(found: pd.DataFrame) -> list[str]:
    return [one for one in FOLLOWED if (found["who"] == one).any()]


def _rows(
    indices: pd.DataFrame, measure: str, sets: Sequence[str], title: str, least: tuple[float, float]
) -> dots.Rows:
    rows = indices.loc[(indices["measure"] == measure) & indices["set"].isin(sets)]
    found = []
    for name in sets:
        own = {str(one["who"]): one for one in rows.loc[rows["set"] == name].to_dict("records")}
        placed = [
            _dot(own[who], who)
            for who in LOOKS
            if who in own and not (measure == BIAS and who == TRUTH)
        ]
        found.append((name, tuple(placed)))
    every = [dot for _, placed in found for dot in placed]
    return dots.Rows(title, title, tuple(found), 0.0, dots.ends(every, least))


def _dot(row: dict, who: str) -> dots.Dot:  # pyright: ignore[reportMissingTypeArgument]
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    label = f"{who} on {row['set']}\n{value:+.3f} ({low:+.3f} to {high:+.3f})"
    return dots.Dot(value, low, high, LOOKS[who], f"{label}\n{row['count']} contexts")


def _curves(
    rows: pd.DataFrame, axis: str, title: str, across: str, up: str, first: int
) -> lines.Lines:
    """The curves of FOLLOWED along an axis, which counts from `first`."""
    found = []
    for who in _who(rows):
        own = rows.loc[rows["who"] == who].sort_values(axis)
        y, low, high = (own[name].to_numpy(float) for name in ("value", "low", "high"))
        look = LOOKS[who]
        x, colours = own[axis].to_numpy(float) + first, (look.colour, look.print)
        found.append(lines.Curve(who, x, y, low, high, *colours, shaded=who == MODEL))
    return lines.Lines(title, across, up, tuple(found))
