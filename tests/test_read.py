"""Reading CSV and Parquet: the forms, the names, the hash, the benchmark sets, the memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as arrow_parquet
import pytest

from tests.files import GOOD, days, long_frame, rows, text_file
from tsfm_probe.data.dataset import Dataset
from tsfm_probe.data.frequency import frequency
from tsfm_probe.data.read import read
from tsfm_probe.data.series import Series
from tsfm_probe.errors import DataError

REPOSITORY = Path(__file__).parents[1]
SETS = Path(os.environ.get("TSFM_PROBE_DATA", REPOSITORY.parent / "shared" / "data"))
needs_sets = pytest.mark.skipif(
    not (SETS / "datasets.json").exists(), reason="no benchmark sets: set TSFM_PROBE_DATA"
)


def documented() -> list[dict]:
    path = SETS / "datasets.json"
    return json.loads(path.read_text())["datasets"] if path.exists() else []


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".CSV", ".Parquet"])
def test_long_form_gives_the_values_of_each_item(tmp_path: Path, suffix: str) -> None:
    frame = long_frame({"b": days(9), "a": days(7, "MS", "2020-01-01")})
    path = tmp_path / f"two{suffix}"
    if suffix.lower() == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, compression="gzip" if suffix.endswith("gz") else None)
    data = read(path)
    assert [(one.name, one.freq) for one in data.series] == [("b", "D"), ("a", "MS")]
    assert data.name == "two"
    for one in data.series:
        wanted = frame[frame["item_id"] == one.name]
        np.testing.assert_allclose(one.values, wanted["target"], rtol=1e-15)
        assert one.start == wanted["timestamp"].min()
        assert one.values.dtype == np.float64
        assert one.values.flags.writeable


def test_the_hash_is_that_of_the_content_not_of_the_format(tmp_path: Path) -> None:
    frame = long_frame({"a": days(9), "b": days(9)})
    frame["target"] = frame["target"].round(3)
    frame.loc[[2, 11], "target"] = np.nan
    frame.to_parquet(tmp_path / "one.parquet")
    frame.to_csv(tmp_path / "two.csv", index=False)
    one, two = read(tmp_path / "one.parquet"), read(tmp_path / "two.csv")
    assert one.hash == two.hash
    assert len(one.hash) == 64
    for column, value in (("item_id", "c"), ("target", 7.0)):
        other = frame.copy()
        other.loc[other["item_id"] == "a", column] = value
        other.to_parquet(tmp_path / "other.parquet")
        assert read(tmp_path / "other.parquet").hash != one.hash
    late = frame.assign(timestamp=frame["timestamp"] + pd.Timedelta(days=1))
    late.to_parquet(tmp_path / "late.parquet")
    assert read(tmp_path / "late.parquet").hash != one.hash


def test_shuffled_rows_give_the_same_series(tmp_path: Path) -> None:
    frame = long_frame({"a": days(30), "b": days(20, "h"), "c": days(25, "W-WED")})
    frame.to_parquet(tmp_path / "one.parquet")
    mixed = frame.sample(frac=1, random_state=1)
    mixed.to_parquet(tmp_path / "two.parquet")
    tidy, untidy = read(tmp_path / "one.parquet"), read(tmp_path / "two.parquet")
    assert not untidy.skipped
    assert [one.name for one in untidy.series] == list(mixed["item_id"].unique())
    expected = {one.name: one for one in tidy.series}
    for one in untidy.series:
        np.testing.assert_array_equal(one.values, expected[one.name].values)
        assert (one.start, one.freq) == (expected[one.name].start, expected[one.name].freq)


def test_an_item_in_two_places_is_one_series(tmp_path: Path) -> None:
    frame = long_frame({"a": days(8), "b": days(4)})
    frame.iloc[[*range(4), *range(8, 12), *range(4, 8)]].to_parquet(tmp_path / "one.parquet")
    data = read(tmp_path / "one.parquet")
    assert [(one.name, len(one.values)) for one in data.series] == [("a", 8), ("b", 4)]
    np.testing.assert_array_equal(data.series[0].values, frame["target"][:8])


def test_a_file_without_items_is_one_series_named_after_it(tmp_path: Path) -> None:
    text = rows("2020-01-01,1", "2020-01-02,2", "2020-01-03,3", head="timestamp,target")
    data = read(text_file(tmp_path, text, "sunspots.csv"))
    assert [(one.name, one.values.tolist()) for one in data.series] == [("sunspots", [1, 2, 3])]


def test_named_columns_are_read_and_others_left_out(tmp_path: Path) -> None:
    text = rows(
        "007,2020-01-01,1,x", "007,2020-01-02,2,y", "007,2020-01-03,3,z", head="shop,when,sold,note"
    )
    data = read(text_file(tmp_path, text), item="shop", time="when", target="sold")
    assert [(one.name, one.values.tolist()) for one in data.series] == [("007", [1, 2, 3])]
    assert not data.skipped


@pytest.mark.parametrize("time", ["date", "Time", "ds", "datetime", "", "day of sale"])
def test_wide_form_gives_each_numeric_column(tmp_path: Path, time: str) -> None:
    text = rows("2020-01-01,1,4.5,x", "2020-01-02,2,,y", "2020-01-03,3,6,z", head=f"{time},a,b,c")
    data = read(text_file(tmp_path, text))
    assert [one.name for one in data.series] == ["a", "b"]
    np.testing.assert_array_equal(data.series[1].values, [4.5, np.nan, 6])
    assert [one.series for one in data.skipped] == ["c"]


def test_wide_rows_are_sorted_and_filled(tmp_path: Path) -> None:
    text = rows("3,2020-01-04", "1,2020-01-01", "2,2020-01-02", head="a,Date")
    (one,) = read(text_file(tmp_path, text), freq="D").series
    np.testing.assert_array_equal(one.values, [1, 2, np.nan, 3])


def test_a_wide_parquet_file_keeps_its_index_as_time(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(9), "b": range(9)}, index=days(9, "h"))
    frame.to_parquet(tmp_path / "wide.parquet")
    data = read(tmp_path / "wide.parquet")
    assert [(one.name, one.freq, one.start) for one in data.series] == [
        ("a", "h", frame.index[0]),
        ("b", "h", frame.index[0]),
    ]


def test_names_of_several_files_tell_the_file(tmp_path: Path) -> None:
    long_frame({"a": days(5), "b": days(5)}).to_parquet(tmp_path / "y.parquet")
    text_file(tmp_path, rows(*GOOD), "x.csv")
    text_file(tmp_path, rows("2020-01-01,1", "2020-01-02,2", "2020-01-03,3", head="ds,target"))
    text_file(tmp_path, "not data", "notes.txt")
    data = read(tmp_path)
    assert [one.name for one in data.series] == ["sales", "x/good", "y/a", "y/b"]
    assert data.name == tmp_path.name
    both = read([tmp_path / "y.parquet", str(tmp_path / "x.csv")])
    assert [one.name for one in both.series] == ["y/a", "y/b", "x/good"]
    assert both.name == "y+x"


def test_generated_series_make_a_data_set() -> None:
    start: Any = pd.Timestamp("2020-01-01")
    made = Series("wave", np.sin(np.arange(9.0)), start, "h")
    data = Dataset.of([made], "waves")
    assert (data.series, data.skipped, data.name) == ((made,), (), "waves")
    other = Series("wave", made.values, made.start, "D")
    assert Dataset.of([other], "waves").hash != data.hash
    gaps = [
        Series("gap", np.array([1.0, np.copysign(np.nan, sign)]), start, "D") for sign in (1, -1)
    ]
    assert Dataset.of(gaps[:1], "gap").hash == Dataset.of(gaps[1:], "gap").hash
    with pytest.raises(DataError, match="no usable series in 'nothing'"):
        Dataset.of([], "nothing")


@needs_sets
@pytest.mark.parametrize("about", documented(), ids=lambda about: about["name"])
def test_benchmark_sets_read_as_documented(about: dict) -> None:
    data = read(SETS / about["file"])
    missing = sum(int(np.isnan(one.values).sum()) for one in data.series)
    assert {one.freq for one in data.series} == {frequency(about["frequency"])}
    assert (len(data.series), missing) == (about["num_items"], about["missing_values"])
    assert sum(len(one.values) for one in data.series) == about["rows"]
    assert min(one.start for one in data.series) == pd.Timestamp(about["first_timestamp"])
    assert not data.skipped


@needs_sets
def test_forms_of_the_same_set_agree() -> None:
    text = read(SETS / "csv" / "m4_hourly_long.csv.gz")
    assert text.hash == read(SETS / "m4_hourly.parquet").hash
    wide, long = read(SETS / "csv" / "ETTh1.csv"), read(SETS / "ett1.parquet")
    for one, other in zip(wide.series, long.series, strict=True):
        assert (one.name, one.start, one.freq) == (other.name, other.start, other.freq)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-14)


MEASURE = """
import sys
from tsfm_probe.data.read import read
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
before = peak()
data = read(sys.argv[1])
print(peak() - before, len(data.series))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize("by_item", [True, False], ids=["by item", "by time"])
def test_two_million_rows_need_at_most_three_times_their_size(
    tmp_path: Path, by_item: bool
) -> None:
    items, length = 1000, 2000
    at = days(length, "h").to_numpy()
    names = pa.array([f"item_{number:05d}" for number in range(items)])
    codes = np.arange(items, dtype=np.int32)
    table = pa.table(
        {
            "item_id": names.take(np.repeat(codes, length) if by_item else np.tile(codes, length)),
            "timestamp": np.tile(at, items) if by_item else np.repeat(at, items),
            "target": np.random.default_rng(0).normal(size=items * length),
        }
    )
    path = tmp_path / "large.parquet"
    arrow_parquet.write_table(table, path)
    made = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    needed, read_items = map(int, made.stdout.split())
    assert read_items == items
    # The size in memory is that of the three columns as an Arrow table with plain strings.
    assert table.nbytes / 2 < needed < 3 * table.nbytes
