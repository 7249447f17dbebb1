"""The forecasts of a few windows, untouched and edited, prepared for drawing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsfm_probe.report.effects import Effects, percent

SHOWN = 12
LONGEST = 30
UNTOUCHED = "untouched"


@dataclass(frozen=True)
class Line:
    """Values along a window: x and y are [step], x time stamps or step numbers."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Curve:
    """The forecast of one trial: its median, and its 10-90 % band where both levels are known."""

    trial: str
    median: Line
    low: Line | None
    high: Line | None


@dataclass(frozen=True)
class Window:
    """One window: the end of its context, its target, and the forecasts of the trials."""

    title: str
    context: Line
    target: Line
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Windows:
    """The windows to draw, and what each trial in them is called, in drawing order."""

    windows: tuple[Window, ...]
    left_out: int
    names: Mapping[str, str]


def windows(frame: pd.DataFrame, effects: Effects) -> Windows:
    """Prepare the first SHOWN windows of a long frame of forecasts."""
    groups = list(frame.groupby(["series", "window"], sort=False))
    drawn = tuple(_window(rows) for _, rows in groups[:SHOWN])
    trials = frame.loc[frame["role"] == "forecast", "trial"].astype(str).unique()
    return Windows(drawn, max(0, len(groups) - SHOWN), _names(set(trials), effects))


def _names(trials: set[str], effects: Effects) -> dict[str, str]:
    found = sorted(
        (one for one in effects.edits + effects.controls if one.trial in trials),
        key=lambda effect: effect.change,
    )
    names = {UNTOUCHED: "untouched model"} if UNTOUCHED in trials else {}
    for effect in found:
        role = ""
        if len(found) > 1:
            role = {found[0]: "least harmful: ", found[-1]: "most harmful: "}.get(effect, "")
        names[effect.trial] = f"{role}{effect.trial} ({effects.metric} {percent(effect.change)})"
    return names | {trial: trial for trial in sorted(trials - names.keys())}


def _window(rows: pd.DataFrame) -> Window:
    target = _line(rows.loc[rows["role"] == "target"])
    horizon = max(len(target.x), 8)
    context = _line(rows.loc[rows["role"] == "context"])
    forecast = rows.loc[rows["role"] == "forecast"]
    curves = tuple(
        _curve(str(trial), of_trial) for trial, of_trial in forecast.groupby("trial", sort=False)
    )
    tail = slice(-3 * horizon, None)
    series, number = rows.iloc[0][["series", "window"]]
    title = f"{_short(str(series))}, window {number}"
    return Window(title, Line(context.x[tail], context.y[tail]), target, curves)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _curve(trial: str, rows: pd.DataFrame) -> Curve:
    low, high = _level(rows, 0.1), _level(rows, 0.9)
    banded = len(low) > 0 and len(low) == len(high)
    return Curve(
        trial,
        _line(_level(rows, 0.5)),
        _line(low) if banded else None,
        _line(high) if banded else None,
    )


def _level(rows: pd.DataFrame, level: float) -> pd.DataFrame:
    return rows.loc[np.isclose(rows["level"], level)]


def _line(rows: pd.DataFrame) -> Line:
    """One value for each step, in order; a context or target that is repeated is drawn once."""
    ordered = rows.drop_duplicates("step").sort_values("step")
    x = ordered["step"].to_numpy()
    if not ordered["time"].hasnans:
        x = pd.DatetimeIndex(ordered["time"]).tz_localize(None).to_numpy()
    return Line(x, ordered["value"].to_numpy(float))
