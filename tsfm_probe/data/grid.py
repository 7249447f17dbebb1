"""The regular time axis of a series, and where its rows stand on it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsfm_probe.data.frequency import first_break, inferred, same_kind, shown, steps_from
from tsfm_probe.errors import DataError

ORIGIN = np.datetime64("2000-01-01", "ns")
MOST_FILLED = 2  # a grid of more steps than this times the rows does not belong to the rows


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular time axis.

    start: time stamp of the first step.
    freq: pandas alias of the spacing.
    length: number of steps.
    places: [row] the step of each row, or None where row and step are the same.
    """

    start: pd.Timestamp
    freq: str
    length: int
    places: np.ndarray | None

    def place(self, values: np.ndarray) -> np.ndarray:
        """Bring values from rows to steps: [time], NaN where a step has no row."""
        if self.places is None:
            return values
        placed = np.full(self.length, np.nan)
        placed[self.places] = values
        return placed

    @classmethod
    def of(cls, stamps: np.ndarray, freq: str | None) -> "Grid":
        """The grid on which the time stamps of one series lie.

        stamps: [row] datetime64[ns] in any order, or whole numbers that count steps.
        freq: the alias that the user gave; without it the stamps tell it. A given frequency
            makes gaps into missing values, and lets whole numbers count from 2000-01-01.
        DataError, whose text is the reason to skip the series, if there is no such grid.
        """
        order = None if (stamps[1:] > stamps[:-1]).all() else np.argsort(stamps, kind="stable")
        rising = stamps if order is None else stamps[order]
        again = np.flatnonzero(rising[1:] == rising[:-1])
        if again.size:
            text = shown(rising[again[0]])
            raise DataError(f"duplicated time stamps: {text} stands more than once")
        if rising.dtype.kind == "i":
            start, alias, places = _counted(rising, freq), str(freq), None
            length = len(rising)
        else:
            start, alias, length, places = _dated(rising, freq)
        if order is not None:
            steps = np.arange(len(rising)) if places is None else places
            places = np.empty_like(steps)
            places[order] = steps
        first: Any = pd.Timestamp(start)
        return cls(first, alias, length, places)


def _counted(rising: np.ndarray, freq: str | None) -> np.datetime64:
    """The start of a series whose time stamps are whole numbers; DataError if numbers are left out.

    rising: [row] whole numbers.
    """
    if freq is None:
        raise DataError(
            f"whole numbers as time stamps: {rising[0]} is no date; "
            "with freq= (--freq) given they count steps from 2000-01-01"
        )
    steps = np.diff(rising)
    if steps.size and (steps != steps[0]).any():
        row = int(np.argmax(steps != steps[0]))
        raise DataError(f"irregular time stamps: {rising[row + 1]} follows {rising[row]}")
    return steps_from(ORIGIN, 1, freq)[0]


def _dated(
    rising: np.ndarray, freq: str | None
) -> tuple[np.datetime64, str, int, np.ndarray | None]:
    """Start, alias, number of steps and places of rows with dates; DataError if irregular.

    rising: [row] datetime64[ns].
    """
    if len(rising) < 3 and freq is None:
        raise DataError(
            f"too few values: {len(rising)}, a frequency shows from 3 on or is given with freq="
        )
    found = inferred(rising) if len(rising) >= 3 else None
    if freq is None and found is None:
        raise DataError(
            f"irregular time stamps: {first_break(rising)} "
            "(freq= (--freq) turns missing rows into missing values)"
        )
    # A bare "W" or "M" takes the weekday, or the start of the month, that the stamps show.
    if found is not None and (freq is None or same_kind(found, freq)):
        return rising[0], found, len(rising), None
    return _filled(rising, str(freq))


def _filled(rising: np.ndarray, freq: str) -> tuple[np.datetime64, str, int, np.ndarray | None]:
    """As `_dated`, on the grid of a given frequency, whose steps need not all have a row."""
    pair = steps_from(rising[0], 2, freq)
    steps = (rising[-1] - rising[0]) / (pair[1] - pair[0]) + 1
    if steps > MOST_FILLED * len(rising) + 1:
        raise DataError(
            f"frequency does not fit: {len(rising)} rows over about {steps:.0f} steps of {freq!r}"
        )
    grid = pd.date_range(rising[0], rising[-1], freq=freq)
    places = grid.get_indexer(pd.DatetimeIndex(rising))
    if (places < 0).any():
        stray = shown(rising[np.argmax(places < 0)])
        raise DataError(f"irregular time stamps: {stray} is not on a step of {freq!r}")
    return rising[0], freq, len(grid), None if len(grid) == len(rising) else places
