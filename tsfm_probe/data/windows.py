"""Evaluation windows: the last stretches of each series, each to be forecast from before it."""

from collections.abc import Iterable

import numpy as np
from pandas.tseries.frequencies import to_offset

from tsfm_probe.data.dataset import Skipped, counted
from tsfm_probe.data.frequency import frequency, season
from tsfm_probe.data.series import Series, Window
from tsfm_probe.errors import DataError, UsageError


def windows(
    series: Iterable[Series],
    horizon: int,
    *,
    context: int,
    count: int = 1,
    least: int | None = None,
) -> tuple[tuple[Window, ...], tuple[Skipped, ...]]:
    """Rolling windows from the end of each series, the next one `horizon` steps earlier.

    horizon: steps to forecast.
    context: how many of the last values before the target a model sees at most.
    count: windows per series at most; a shorter series gives fewer.
    least: values that must stand before a target, by default `horizon`.

    A window without a value in its target or in what is seen is left out; the others keep their
    numbers. Returns the windows, earliest first, and what was left out: series that are too short,
    and how many windows lack values. UsageError for an argument below 1, DataError if none is left.
    """
    least = horizon if least is None else least
    _refuse_small({"horizon": horizon, "context": context, "count": count, "least": least})
    kept: list[Window] = []
    skipped: list[Skipped] = []
    for one in series:
        fitting = _fitting(one, horizon, context, count, least)
        filled = [window for window in fitting if _has_values(window)]
        kept.extend(filled)
        if not fitting:
            needed = f"{least + horizon} for context {context} and horizon {horizon}"
            reason = f"too short: {len(one.values)} values, needs {needed}"
            skipped.append(Skipped(one.name, reason))
        elif missing := len(fitting) - len(filled):
            skipped.append(Skipped(one.name, _without_values(missing, len(fitting))))
    if not kept:
        raise DataError(
            f"no window of context {context} and horizon {horizon}",
            counted(skipped) or "no series was given",
            "give a shorter horizon or context",
        )
    return tuple(kept), tuple(skipped)


def _without_values(missing: int, count: int) -> str:
    left_out = f"{missing} of {count} windows have none in the target or the context"
    return f"windows without values: {left_out}"


def _refuse_small(arguments: dict[str, int]) -> None:
    for name, number in arguments.items():
        if number < 1:
            raise UsageError(f"{name} {number} was asked for", allowed=f"{name} must be at least 1")


def _fitting(series: Series, horizon: int, context: int, count: int, least: int) -> list[Window]:
    """The windows that fit into a series, the earliest first."""
    length = len(series.values)
    number = min(count, max(0, (length - least) // horizon))
    if number == 0:
        return []
    steps = season(series.freq)
    offset = to_offset(frequency(series.freq))
    origins = [length - back * horizon for back in range(number, 0, -1)]
    return [
        Window(
            series=series.name,
            index=index,
            history=series.values[:origin],
            context=context,
            target=series.values[origin : origin + horizon],
            season=steps,
            start=series.start + origin * offset,
            freq=series.freq,
        )
        for index, origin in enumerate(origins)
    ]


def _has_values(window: Window) -> bool:
    return not (np.isnan(window.target).all() or np.isnan(window.seen).all())
