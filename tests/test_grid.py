"""Frequencies, time stamps and gaps: the time axis on which a series is read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.files import days, long_frame, rows, text_file
from tsfm_probe.data.frequency import frequency, season
from tsfm_probe.data.read import read

ALIASES = ("s", "min", "5min", "30min", "h", "6h", "D", "2D", "B", "W-SUN", "W-SAT", "W-WED", "MS")
ANCHORED = ("ME", "QS-JAN", "QS-FEB", "QE-DEC", "YS-JAN", "YS-JUL", "YE-DEC", "2W-MON", "BME")


@pytest.mark.parametrize("freq", [*ALIASES, *ANCHORED])
@pytest.mark.parametrize("length", [4, 150])
def test_the_frequency_is_that_of_the_time_stamps(tmp_path: Path, freq: str, length: int) -> None:
    at = days(length, freq)
    long_frame({"a": at}).to_parquet(tmp_path / "one.parquet")
    (one,) = read(tmp_path / "one.parquet").series
    made = pd.date_range(one.start, periods=length, freq=one.freq)
    assert list(made) == list(at)
    if length > 4 or freq not in ("B", "BME"):
        assert one.freq == freq


def test_time_zones_become_utc(tmp_path: Path) -> None:
    at = days(6, "h").tz_localize("Europe/Berlin")
    long_frame({"a": at}).to_parquet(tmp_path / "one.parquet")
    text = rows("a,2020-01-06T00:00:00+01:00,1", "a,2020-01-06T01:00:00+01:00,2",
                "a,2020-01-06T01:00:00Z,3")  # fmt: skip
    for path in (tmp_path / "one.parquet", text_file(tmp_path, text)):
        (one,) = read(path).series
        assert one.start == pd.Timestamp("2020-01-05 23:00")
        assert one.freq == "h"


@pytest.mark.parametrize(
    ("written", "start", "freq"),
    [
        (["1/30/2020", "1/31/2020", "2/1/2020"], "2020-01-30", "D"),
        (["30.01.2020", "31.01.2020", "01.02.2020"], "2020-01-30", "D"),
        (["12.01.2020", "13.01.2020", "14.01.2020"], "2020-01-12", "D"),
        (["1/2/2020", "1/3/2020", "1/4/2020"], "2020-01-02", "D"),
        (["2020-01-01T00:00:00Z", "2020-01-01T01:00:00", "2020-01-01 02:00"], "2020-01-01", "h"),
        (["2020-01", "2020-02", "2020-03"], "2020-01-01", "MS"),
        (["Jan 2020", "Feb 2020", "Mar 2020"], "2020-01-01", "MS"),
        (["2020Q1", "2020Q2", "2020Q3"], "2020-01-01", "QS-JAN"),
        (["2020-01-01", "2020-01-01 12:00", "2020-01-02"], "2020-01-01", "12h"),
    ],
)
def test_usual_ways_to_write_dates(
    tmp_path: Path, written: list[str], start: str, freq: str
) -> None:
    text = rows(*(f"a,{word},1" for word in written))
    (one,) = read(text_file(tmp_path, text)).series
    assert (one.start, one.freq) == (pd.Timestamp(start), freq)


def test_a_given_frequency_fills_missing_rows(tmp_path: Path) -> None:
    frame = long_frame({"a": days(10)}).drop(index=[3, 4]).sample(frac=1, random_state=0)
    frame.to_parquet(tmp_path / "one.parquet")
    (one,) = read(tmp_path / "one.parquet", freq="D").series
    assert len(one.values) == 10
    assert np.flatnonzero(np.isnan(one.values)).tolist() == [3, 4]
    placed = one.values[(frame["timestamp"] - one.start).dt.days]
    np.testing.assert_array_equal(placed, frame["target"])


@pytest.mark.parametrize(
    ("made", "given", "kept"),
    [("W-WED", "W", "W-WED"), ("MS", "M", "MS"), ("QS-FEB", "Q", "QS-FEB"), ("h", "H", "h")],
)
def test_an_alias_without_anchor_takes_that_of_the_stamps(
    tmp_path: Path, made: str, given: str, kept: str
) -> None:
    long_frame({"a": days(9, made)}).to_parquet(tmp_path / "one.parquet")
    assert read(tmp_path / "one.parquet", freq=given).series[0].freq == kept


def test_a_stamp_off_the_given_frequency_is_irregular(tmp_path: Path) -> None:
    at = pd.DatetimeIndex(["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 02:30"])
    long_frame({"good": days(9, "h"), "bad": at}).to_parquet(tmp_path / "one.parquet")
    data = read(tmp_path / "one.parquet", freq="h")
    assert [one.reason for one in data.skipped] == [
        "irregular time stamps: 2020-01-01 02:30:00 is not on a step of 'h'"
    ]


def test_whole_numbers_count_steps_of_a_given_frequency(tmp_path: Path) -> None:
    lines = [f"a,{step},{step}.5" for step in (2, 0, 1)] + [f"b,{step},1" for step in (0, 1, 5)]
    data = read(text_file(tmp_path, rows(*lines)), freq="MS")
    (one,) = data.series
    assert (one.start, one.freq) == (pd.Timestamp("2000-01-01"), "MS")
    assert one.values.tolist() == [0.5, 1.5, 2.5]
    assert data.skipped[0].reason == "irregular time stamps: 5 follows 1"


@pytest.mark.parametrize(
    ("alias", "modern", "steps"),
    [
        ("h", "h", 24), ("H", "h", 24), ("2h", "2h", 12), ("30min", "30min", 48),
        ("5min", "5min", 288), ("min", "min", 1440), ("T", "min", 1440), ("s", "s", 3600),
        ("D", "D", 1), ("B", "B", 5), ("W-SUN", "W-SUN", 1), ("W-SAT", "W-SAT", 1),
        ("MS", "MS", 12), ("ME", "ME", 12), ("M", "ME", 12), ("QS", "QS-JAN", 4),
        ("Q-DEC", "QE-DEC", 4), ("YS", "YS-JAN", 1), ("A-DEC", "YE-DEC", 1),
    ],
)  # fmt: skip
def test_old_and_new_aliases_have_the_season_of_gluonts(
    alias: str, modern: str, steps: int
) -> None:
    assert (frequency(alias), season(alias)) == (modern, steps)
