"""Evaluation windows: where they lie, what they hold, and why one is left out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from gluonts.time_feature import get_seasonality

from tsfm_probe.data.frequency import frequency
from tsfm_probe.data.series import Series
from tsfm_probe.data.windows import windows
from tsfm_probe.errors import DataError, UsageError

START: Any = pd.Timestamp("2020-01-01")


def counting(length: int, name: str = "one", freq: str = "D") -> Series:
    """A series whose values are the numbers of their steps."""
    return Series(name, np.arange(float(length)), START, freq)


def test_windows_end_with_the_series_and_do_not_overlap() -> None:
    made, skipped = windows([counting(100)], 8, context=30, count=3)
    assert not skipped
    assert [window.index for window in made] == [0, 1, 2]
    targets = np.concatenate([window.target for window in made])
    np.testing.assert_array_equal(targets, np.arange(76.0, 100.0))
    for window in made:
        np.testing.assert_array_equal(window.history, np.arange(window.target[0]))
        np.testing.assert_array_equal(window.seen, window.history[-30:])


def test_a_window_knows_its_series_season_and_date() -> None:
    made, _ = windows([counting(50, "a", "h"), counting(50, "b", "MS")], 6, context=20, count=2)
    assert [(one.series, one.freq, one.season) for one in made] == [
        ("a", "h", 24), ("a", "h", 24), ("b", "MS", 12), ("b", "MS", 12)
    ]  # fmt: skip
    assert made[0].start == pd.Timestamp("2020-01-02 14:00")
    assert made[3].start == pd.Timestamp("2023-09-01")


ALIASES = ("h", "30min", "MS", "ME", "QS", "W-SUN", "W-SAT", "YS", "B", "D", "5min", "min", "s")


@pytest.mark.parametrize("freq", [*ALIASES, "H", "M", "Q-DEC", "A-DEC", "T", "7D", "2h"])
def test_start_and_season_hold_for_every_frequency(freq: str) -> None:
    modern = frequency(freq)
    axis: Any = pd.date_range("2020-01-31", periods=40, freq=modern)
    made, _ = windows([Series("one", np.ones(40), axis[0], freq)], 5, context=10, count=4)
    assert [one.start for one in made] == [axis[20], axis[25], axis[30], axis[35]]
    assert {one.season for one in made} == {get_seasonality(modern)}


def test_histories_are_views_of_the_series() -> None:
    one = counting(1000)
    made, _ = windows([one], 10, context=50, count=20)
    assert all(np.shares_memory(window.history, one.values) for window in made)
    assert all(np.shares_memory(window.target, one.values) for window in made)


@pytest.mark.parametrize(
    ("length", "least", "number"),
    [(15, None, 0), (16, None, 1), (23, None, 1), (24, None, 2), (99, None, 5), (16, 9, 0),
     (17, 9, 1), (9, 1, 1), (48, 40, 1), (47, 40, 0)],
)  # fmt: skip
def test_a_window_needs_the_least_history(length: int, least: int | None, number: int) -> None:
    other = counting(1000, "long")
    made, skipped = windows([counting(length), other], 8, context=40, count=5, least=least)
    found = [window for window in made if window.series == "one"]
    assert len(found) == number
    assert all(len(window.history) >= (least or 8) for window in found)
    assert [one.series for one in skipped] == ([] if number else ["one"])


def test_a_series_that_is_too_short_says_what_it_needs() -> None:
    made, skipped = windows([counting(90), counting(30, "two")], 10, context=64, least=64)
    assert [window.series for window in made] == ["one"]
    (left_out,) = skipped
    assert left_out.series == "two"
    assert left_out.reason == "too short: 30 values, needs 74 for context 64 and horizon 10"
    assert left_out.kind == "too short"


def test_windows_without_values_are_left_out_and_counted() -> None:
    values = np.arange(100.0)
    values[90:] = np.nan  # the target of the last window of three
    values[55:75] = np.nan  # what the window before it ... 70 to 80 ... sees
    one = Series("one", values, START, "D")
    made, skipped = windows([one], 10, context=15, count=3)
    assert [(window.index, window.target[0]) for window in made] == [(1, 80.0)]
    assert [left_out.reason for left_out in skipped] == [
        "windows without values: 2 of 3 windows have none in the target or the context"
    ]
    wider, _ = windows([one], 10, context=16, count=3)
    assert [window.index for window in wider] == [0, 1]


def test_no_window_at_all_is_an_error_that_counts_the_reasons() -> None:
    empty = Series("gone", np.full(100, np.nan), START, "D")
    short = [counting(5, "a"), counting(6, "b")]
    with pytest.raises(DataError) as caught:
        windows([*short, empty], 10, context=20)
    said = str(caught.value)
    assert "\n" not in said
    assert "2 skipped for too short (such as 'a': too short: 5 values, needs 20" in said
    assert "1 skipped for windows without values (such as 'gone'" in said
    with pytest.raises(DataError, match="no series was given"):
        windows([], 10, context=20)


@pytest.mark.parametrize("name", ["horizon", "context", "count", "least"])
def test_numbers_below_one_are_refused(name: str) -> None:
    numbers = {"horizon": 8, "context": 16, "count": 1, "least": 8, name: 0}
    with pytest.raises(UsageError, match=f"{name} 0 was asked for; {name} must be at least 1"):
        windows([counting(50)], **numbers)
