"""Series that cannot be used are left out, each with its reason; the others are read."""

from pathlib import Path

import numpy as np
import pytest

from tests.files import GOOD, days, long_frame, rows, text_file
from tsfm_probe.data.read import read


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["bad,2020-01-01,1", "bad,2020-01-02,1", "bad,2020-01-04,1", "bad,2020-01-05,1"],
            "irregular time stamps: 2020-01-04 follows 2020-01-02 where 2020-01-03 was expected",
        ),
        (
            ["bad,2020-01-01,1", "bad,2020-02-01,1", "bad,2020-03-01,1", "bad,2020-05-01,1"],
            "irregular time stamps: 2020-05-01 follows 2020-03-01 where 2020-04-01 was expected",
        ),
        (
            ["bad,2020-01-01 01:00,1", "bad,2020-01-01 02:00,1", "bad,2020-01-01 03:30,1"],
            "irregular time stamps: 2020-01-01 03:30:00 follows 2020-01-01 02:00:00 "
            "where 2020-01-01 03:00:00 was expected",
        ),
        (
            ["bad,2020-01-02,1", "bad,2020-01-01,1", "bad,2020-01-02,2"],
            "duplicated time stamps: 2020-01-02 stands more than once",
        ),
        (
            ["bad,2020-01-01,1", "bad,2020-01-02,n.a.?,", "bad,2020-01-03,3"],
            "text in the target: 'n.a.?' stands in row 7",
        ),
        (["bad,2020-01-01,1", "bad,2020-01-02,-inf", "bad,2020-01-03,3"], "infinite values: -inf"),
        (["bad,2020-01-01,", "bad,2020-01-02,NA", "bad,2020-01-03,"], "all values missing: 3 rows"),
        (
            ["bad,2020-01-01,1", "bad,soon,2", "bad,2020-01-03,3"],
            "unreadable time stamp: 'soon' stands in row 7",
        ),
        (
            ["bad,2020-01-01,1", "bad,,2", "bad,2020-01-03,3"],
            "unreadable time stamp: nothing stands in row 7",
        ),
        (
            ["bad,2020-01-01,1", "bad,9999-01-02,2", "bad,2020-01-03,3"],
            "unreadable time stamp: '9999-01-02",
        ),
        (["bad,2020-01-01,1", "bad,2020-01-02,2"], "too few values: 2"),
    ],
)
def test_a_bad_series_is_skipped_with_its_reason(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    lines = [line.removesuffix(",") if line.count(",") > 2 else line for line in lines]
    data = read(text_file(tmp_path, rows(*GOOD, *lines)))
    assert [one.name for one in data.series] == ["good"]
    assert data.series[0].values.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
    (skipped,) = data.skipped
    assert skipped.series == "bad"
    assert skipped.reason.startswith(reason)
    assert "\n" not in skipped.reason


def test_missing_values_constants_and_quoted_numbers_are_fine(tmp_path: Path) -> None:
    lines = ['a,2020-01-01,"7"', "a,2020-01-02,", "a,2020-01-03, 7 ", "a,2020-01-04,nan"]
    bad = ["b,2020-01-01,1", "b,2020-01-02,x", "b,2020-01-03,1"]
    data = read(text_file(tmp_path, rows(*lines, *bad)))
    np.testing.assert_array_equal(data.series[0].values, [7, np.nan, 7, np.nan])
    assert [one.kind for one in data.skipped] == ["text in the target"]


def test_a_frequency_far_from_the_rows_is_refused(tmp_path: Path) -> None:
    frame = long_frame({"a": days(10), "b": days(30, "h")})
    frame.to_parquet(tmp_path / "one.parquet")
    data = read(tmp_path / "one.parquet", freq="h")
    assert [one.name for one in data.series] == ["b"]
    assert data.skipped[0].reason == "frequency does not fit: 10 rows over about 217 steps of 'h'"


def test_a_column_without_a_name_is_no_series(tmp_path: Path) -> None:
    text = rows("0,2020-01-01,1", "1,2020-01-02,2", "2,2020-01-03,3", head=",date,a")
    data = read(text_file(tmp_path, text))
    assert [one.name for one in data.series] == ["a"]
    assert [one.kind for one in data.skipped] == ["no name"]


def test_rows_without_an_item_are_counted(tmp_path: Path) -> None:
    frame = long_frame({"a": days(5)})
    for nothing in (None, ""):
        frame.loc[3:, "item_id"] = nothing
        frame.to_parquet(tmp_path / "one.parquet")
        data = read(tmp_path / "one.parquet")
        assert [len(one.values) for one in data.series] == [3]
        assert data.skipped[0].reason == "no item: 2 rows have no 'item_id'"
