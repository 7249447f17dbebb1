"""Behaviour of the original and of the pruned network; errors before and after healing."""

from math import isnan

import pandas as pd
from matplotlib.lines import Line2D

from tsfm_probe.report import diagnosis_dots as dots
from tsfm_probe.report import palette
from tsfm_probe.report.diagnosis_people import Look
from tsfm_probe.report.effects import METRICS, between, percent
from tsfm_probe.report.plates import Key, Plate

FIRST = Look(palette.NOISE_BAND, palette.NOISE_BAND, "diamond", "D", "◆")
SECOND = Look(palette.CURVES[0], palette.CURVES[0], "circle", "o", "●")
PARTS = {"searched": "where it was searched", "confirmed": "unseen windows"}
BEHAVIOUR = ("set", "measure", "original", "pruned", "contexts")
HEALING = ("windows", "error", "before healing", "after healing", "series", "windows of them")


def behaviour(found: pd.DataFrame) -> Plate:
    """Both indices of both networks: measure, set, who, value, low, high, count."""
    looks = {"original": FIRST, "pruned": SECOND}
    panels = []
    for measure in dict.fromkeys(found["measure"].astype(str)):
        rows = []
        here = found.loc[found["measure"] == measure]
        for name, own in here.groupby("set", sort=False):
            placed = [_index(row, looks[str(row["who"])]) for row in own.to_dict("records")]
            rows.append((str(name), tuple(placed)))
        ends = dots.ends([dot for _, placed in rows for dot in placed], (-0.2, 0.2))
        title = measure.capitalize()
        panels.append(dots.Rows(title, f"{title}, index", tuple(rows), 0.0, ends))
    return Plate(
        name="behaviour",
        title="What the network did wrong, and does now",
        caption="Means over built-in contexts with 95\u00a0% intervals. Parroting: 1 is a copy of "
        "what followed the likest motif of the context, 0 no more like it than chance. "
        "Seasonality bias: above 0 a season is seen where there is none.",
        alternative=f"{len(panels)} dot plots: {', '.join(one.title for one in panels)}",
        keys=_keys(looks),
        panels=tuple(dots.chart(one) for one in panels),
        below=None,
        print=dots.printed(panels, _signs(looks)),
    )


def behaviour_rows(found: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """The same as a table of BEHAVIOUR."""
    rows = []
    for measure, name in dict.fromkeys(zip(found["measure"], found["set"], strict=True)):
        own = found.loc[(found["measure"] == measure) & (found["set"] == name)]
        by = {str(row["who"]): row for row in own.to_dict("records")}
        values = [_number(by[who]) if who in by else "–" for who in ("original", "pruned")]
        counts = " and ".join(dict.fromkeys(str(row["count"]) for row in by.values()))
        rows.append((str(name), str(measure), *values, counts))
    return tuple(rows)


def healing(before: pd.DataFrame, after: pd.DataFrame) -> Plate:
    """Errors of the cut network before and after: rows as of `pairs`."""
    looks = {"before healing": FIRST, "after healing": SECOND}
    panels = []
    for metric in METRICS:
        rows = []
        for part, name in PARTS.items():
            both = zip((before, after), looks.items(), strict=True)
            placed = [
                _error(row, *look) for frame, look in both for row in _of(frame, part, metric)
            ]
            rows.append((name, tuple(placed)))
        ends = dots.ends([dot for _, placed in rows for dot in placed], (-1.0, 1.0))
        panels.append(dots.Rows(metric, f"{metric} change, %", tuple(rows), 0.0, ends))
    return Plate(
        name="healing",
        title="Errors before and after healing",
        caption="In percent of the untouched original, at 0, with 95\u00a0% intervals over series. "
        "Healing learns from the original's forecasts; it never sees the windows that confirm.",
        alternative="Two dot plots of MASE and WQL before and after healing",
        keys=_keys(looks),
        panels=tuple(dots.chart(one) for one in panels),
        below=None,
        print=dots.printed(panels, _signs(looks), row=0.45),
    )


def healing_rows(before: pd.DataFrame, after: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """The same as a table of HEALING."""
    rows = []
    for part, name in PARTS.items():
        for metric in METRICS:
            for old in _of(before, part, metric):
                for new in _of(after, part, metric):
                    counts = str(new["series"]), str(new["windows"])
                    rows.append((name, metric, _change(old), _change(new), *counts))
    return tuple(rows)


def _of(frame: pd.DataFrame, part: str, metric: str) -> list[dict]:  # pyright: ignore[reportMissingTypeArgument]
    return frame.loc[(frame["part"] == part) & (frame["metric"] == metric)].to_dict("records")


def _index(row: dict, look: Look) -> dots.Dot:  # pyright: ignore[reportMissingTypeArgument]
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    label = f"{row['who']} on {row['set']}\n{_number(row)}\n{row['count']} contexts"
    return dots.Dot(value, low, high, look, label)


def _error(row: dict, who: str, look: Look) -> dots.Dot:  # pyright: ignore[reportMissingTypeArgument]
    value, low, high = (100 * (float(row[name]) - 1) for name in ("ratio", "low", "high"))
    label = f"{who}, {PARTS[row['part']]}\n{row['metric']} {_change(row)}"
    return dots.Dot(value, low, high, look, label)


def _number(row: dict) -> str:  # pyright: ignore[reportMissingTypeArgument]
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    ends = "" if isnan(low) else f" ({low:+.3f} to {high:+.3f})"
    return f"{value:+.3f}{ends}".replace("-", "−")


def _change(row: dict) -> str:  # pyright: ignore[reportMissingTypeArgument]
    value, low, high = (100 * (float(row[name]) - 1) for name in ("ratio", "low", "high"))
    return f"{percent(value)} ({between(low, high)})"


def _keys(looks: dict[str, Look]) -> tuple[Key, ...]:
    return tuple(Key(look.glyph, look.colour, name) for name, look in looks.items())


def _signs(looks: dict[str, Look]) -> list[Line2D]:
    return [
        Line2D([], [], ls="none", marker=look.sign, ms=4.5, color=look.print, label=name)
        for name, look in looks.items()
    ]
