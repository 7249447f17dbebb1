"""The frequency of a series: its alias, its season, and how time stamps tell it."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from gluonts.time_feature import get_seasonality, norm_freq_str
from pandas.tseries.frequencies import to_offset

from tsfm_probe.errors import UsageError, nearest

USUAL = ("s", "min", "5min", "15min", "30min", "h", "D", "B", "W-SUN", "MS", "ME", "QS", "YS")
# pandas names quarters that start in January QS-OCT, but its own default for QS is QS-JAN.
FIRST_QUARTERS = ("QS-JAN", "QS-FEB", "QS-MAR")
DAY = np.timedelta64(1, "D")


def frequency(alias: str) -> str:
    """The pandas alias in today's spelling ("H" gives "h", "M" gives "ME"); UsageError if none."""
    try:
        with warnings.catch_warnings():
            # pandas 2 still understands the old spellings, which GIFT-Eval uses, and warns.
            warnings.simplefilter("ignore", FutureWarning)
            offset = to_offset(alias)
    except ValueError as error:
        raise UsageError(
            f"the frequency {alias!r} was asked for",
            "pandas has no such alias",
            nearest(alias, USUAL),
        ) from error
    if offset.n < 1:
        raise UsageError(
            f"the frequency {alias!r} was asked for",
            f"a step of {offset.n}",
            "a step must go forward, such as '15min' or 'MS'",
        )
    return offset.freqstr


def season(alias: str) -> int:
    """Steps in one season as gluonts.time_feature.get_seasonality gives them, old spellings too."""
    return get_seasonality(frequency(alias))


def same_kind(one: str, other: str) -> bool:
    """Whether two aliases differ at most in their anchor, as "MS" and "ME", "W" and "W-WED" do."""
    first, second = to_offset(one), to_offset(other)
    return first.n == second.n and norm_freq_str(first.name) == norm_freq_str(second.name)


def inferred(stamps: np.ndarray) -> str | None:
    """The alias that reproduces every stamp, or None where there is none.

    stamps: [time] datetime64[ns], rising, at least three.
    """
    steps = np.diff(stamps)
    if (steps == steps[0]).all() and steps[0] % DAY != np.timedelta64(0):
        step: Any = pd.Timedelta(steps[0])
        return to_offset(step).freqstr
    if (steps % DAY != np.timedelta64(0)).any():
        return None
    found = pd.infer_freq(pd.DatetimeIndex(stamps))
    if found is None:
        return None
    for alias in (*FIRST_QUARTERS, found) if found.startswith("QS-") else (found,):
        if np.array_equal(steps_from(stamps[0], len(stamps), alias), stamps):
            return alias
    return None


def steps_from(start: np.datetime64, length: int, alias: str) -> np.ndarray:
    """Time stamps from `start`, or the next step of the frequency: [time] datetime64[ns]."""
    return pd.date_range(pd.Timestamp(start), periods=length, freq=alias).to_numpy()


def first_break(stamps: np.ndarray) -> str:
    """Where irregular time stamps first leave their rhythm, in words.

    stamps: [time] datetime64[ns], rising, at least three. The rhythm is the frequency of the
    longest stretch at the start that has one, otherwise the most common step.
    """
    expected = None
    for size in (3, 6, 12, 24, 48):
        alias = inferred(stamps[:size])
        if alias is not None:
            expected = steps_from(stamps[0], len(stamps), alias)
    if expected is None:
        steps, counts = np.unique(np.diff(stamps), return_counts=True)
        expected = np.concatenate([stamps[:1], stamps[:-1] + steps[counts.argmax()]])
    row = int(np.argmax(expected != stamps))
    return (
        f"{shown(stamps[row])} follows {shown(stamps[row - 1])} "
        f"where {shown(expected[row])} was expected"
    )


def shown(stamp: Any) -> str:
    """A time stamp (or whole number) for a message, without a time of day that is midnight."""
    if isinstance(stamp, np.integer):
        return str(stamp)
    return str(pd.Timestamp(stamp)).removesuffix(" 00:00:00")
