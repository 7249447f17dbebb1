"""Forecasts of a few windows, untouched and ablated, for a page to draw."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from tsfm_probe.data.frequency import frequency
from tsfm_probe.data.series import Window
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.ablation import UNTOUCHED, Job
from tsfm_probe.surgery.plan import Trial

COLUMNS = ("trial", "series", "window", "role", "step", "time", "level", "value")
SHOWN = 4


def examples(job: Job, answer: pd.DataFrame, batch_size: int = 0) -> pd.DataFrame:
    """Forecasts by the untouched model and by its least and most harmful trial (by MASE)."""
    return forecasts(job, _extremes(job, answer), batch_size)


def forecasts(job: Job, trials: Sequence[Trial], batch_size: int = 0) -> pd.DataFrame:
    """Forecasts by the untouched model and under these trials.

    Returns one row per value, columns COLUMNS: role "context" (steps below 0), "target" or
    "forecast" (steps from 0, one row per quantile level). The windows are the last ones of a few
    series, evenly spread.
    """
    sweep = job.sweep(batch_size)
    places = _last_windows(job.windows)
    frames = [row for place in places for row in _given(job.windows[place])]
    for trial in (UNTOUCHED, *trials):
        found = sweep.forecasts_at(trial, places)
        for place, values in zip(places, found, strict=True):
            frames += list(_forecast(trial.name, job.windows[place], values))
    return pd.DataFrame(frames, columns=pd.Index(COLUMNS))


def _extremes(job: Job, answer: pd.DataFrame) -> list[Trial]:
    """The trials of smallest and largest MASE ratio, controls aside."""
    ours = answer[(answer["metric"] == "MASE") & (answer["kind"] == job.setting.by)]
    ratios = ours.set_index("trial")["ratio"].astype(float).dropna()
    if ratios.empty:
        return []
    names = dict.fromkeys((str(ratios.idxmin()), str(ratios.idxmax())))
    return [trial for name in names for trial in job.plan if trial.name == name]


def _last_windows(windows: Sequence[Window]) -> list[int]:
    last = {window.series: place for place, window in enumerate(windows)}
    places = list(last.values())
    picked = np.linspace(0, len(places) - 1, min(SHOWN, len(places))).round().astype(int)
    return [places[index] for index in picked]


def _times(window: Window, first: int, count: int) -> pd.DatetimeIndex:
    offset = to_offset(frequency(window.freq))
    start = window.start + first * offset
    return pd.date_range(start, periods=count, freq=offset)


def _given(window: Window) -> Iterator[tuple[object, ...]]:
    tail = window.seen[-4 * len(window.target) :]
    for role, values, first in (("context", tail, -len(tail)), ("target", window.target, 0)):
        times = _times(window, first, len(values))
        for number, (time, value) in enumerate(zip(times, values, strict=True), first):
            yield "untouched", window.series, window.index, role, number, time, np.nan, float(value)


def _forecast(trial: str, window: Window, values: np.ndarray) -> Iterator[tuple[object, ...]]:
    for step, time in enumerate(_times(window, 0, len(values))):
        for level, value in zip(LEVELS, values[step], strict=True):
            yield trial, window.series, window.index, "forecast", step, time, level, float(value)
