"""Files, columns and options that cannot be used: one clear line each, never a traceback."""

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as arrow_parquet
import pytest

from tests.files import GOOD, days, long_frame, rows, text_file
from tsfm_probe.data.read import read
from tsfm_probe.errors import DataError, ProbeError, UsageError

TEXTS = {
    "empty": "",
    "header only": rows(),
    "ragged": rows(*GOOD, "good,2020-01-06"),
    "no header": "2020-01-01 00:00:00,1\n2020-01-02 00:00:00,2\n",
    "same columns": rows("2020-01-01,1,2", head="date,a,a"),
    "only time": rows("2020-01-01", head="date"),
    "no time": rows("x,1", "y,2", head="shop,sold"),
    "two times": rows("2020-01-01,2020-01-01,1", head="date,ds,sold"),
    "no target": rows("a,2020-01-01,1", head="item_id,timestamp,sold"),
    "target without time": rows("a,2020-01-01,1", head="item_id,day,target"),
    "hidden long": rows("a,2020-01-01,1", "b,2020-01-01,1", head="unique_id,ds,y"),
    "semicolons": rows("2020-01-01;1", head="date;a"),
    "times of day": rows("00:00:00,1", "01:00:00,2", "02:00:00,3", head="time,a"),
    "real times": rows("0.5,1", "1.5,2", "2.5,3", head="date,a"),
    "whole numbers": rows("0,1", "1,2", "2,3", head="timestamp,target"),
    "all bad": rows("a,2020-01-01,1", "b,2020-01-01,1", "b,2020-01-02,2", "b,2020-01-04,1",
                    "b,2020-01-05,1"),
}  # fmt: skip


def write_bad_parquet(path: Path, kind: str) -> None:
    if kind == "garbage parquet":
        path.write_bytes(bytes(range(256)) * 40)
    elif kind == "cut parquet":
        long_frame({"a": days(5000)}).to_parquet(path)
        path.write_bytes(path.read_bytes()[:2000] + b"PAR1")
    else:
        nested = {"nested parquet": "target", "list items parquet": "item_id"}[kind]
        table = {"item_id": ["a"], "timestamp": days(1), "target": [1.0], nested: [["a", "b"]]}
        arrow_parquet.write_table(pa.table(table), path)


def make_bad(folder: Path, kind: str) -> Path:
    """A file or folder that is bad in one way."""
    path = folder / "sales.csv"
    if kind in TEXTS:
        path.write_text(TEXTS[kind])
    elif kind.endswith("parquet"):
        path = folder / "sales.parquet"
        write_bad_parquet(path, kind)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "garbage csv":
        path.write_bytes(bytes(range(255, 0, -1)) * 40)
    elif kind == "cut gzip":
        path = folder / "sales.csv.gz"
        path.write_bytes(gzip.compress(rows(*GOOD * 300).encode())[:60])
    elif kind == "no gzip":
        path = text_file(folder, rows(*GOOD), "sales.csv.gz")
    elif kind == "suffix":
        path = text_file(folder, "x", "sales.xlsx")
    elif kind == "missing":
        text_file(folder, rows(*GOOD), "sale.csv")
    elif kind == "missing folder":
        path = folder / "nowhere" / "sales.csv"
    else:
        path = folder
        text_file(folder, "{}", {"empty folder": "notes.txt", "hugging face": "state.json"}[kind])
    return path


REFUSED = [
    ("empty", DataError, "is empty"),
    ("header only", DataError, "has no rows"),
    ("ragged", DataError, "Expected 3 columns, got 2"),
    ("no header", UsageError, "has no header"),
    ("same columns", DataError, "2 columns of .* are named 'a'"),
    ("only time", UsageError, "neither long nor wide form.*'date'"),
    ("no time", UsageError, "neither long nor wide form.*'shop', 'sold'.*--time-column"),
    ("two times", UsageError, "ambiguous; found date, ds;.*--time-column"),
    ("no target", UsageError, "no target column 'target'.*'sold'.*--target-column"),
    ("target without time", UsageError, "no time column 'timestamp'.*'day'.*--time-column"),
    ("hidden long", UsageError, "may be in long form.*'unique_id'.*--item-column"),
    ("whole numbers", DataError, "whole numbers as time stamps: 0 is no date.*--freq"),
    ("all bad", DataError, "1 skipped for too few values .*'a'.*1 skipped for irregular .*'b'"),
    ("garbage parquet", DataError, "cannot be read as Parquet"),
    ("cut parquet", DataError, "cannot be read as Parquet"),
    ("nested parquet", DataError, "no numbers: column 'target'.*list<.*one of them"),
    ("list items parquet", DataError, "no names: column 'item_id'.*list<.*one word"),
    ("semicolons", UsageError, "neither.*'date;a'.*separated by commas"),
    ("times of day", UsageError, "no row has a time stamp that can be read in column 'time'"),
    ("real times", DataError, "no time stamps: column 'date'.*double"),
    ("pipe", DataError, "neither a file nor a folder"),
    ("garbage csv", DataError, "cannot be read as CSV"),
    ("cut gzip", DataError, "cannot be read as CSV.*[Tt]runcated"),
    ("no gzip", DataError, "cannot be read as CSV.*incorrect header"),
    ("suffix", UsageError, "its suffix is '.xlsx'; allowed are .*parquet"),
    ("missing", DataError, "no such file or folder; did you mean sale.csv"),
    ("missing folder", DataError, "no such file or folder; there is no folder"),
    ("empty folder", DataError, "no data in the folder.*none of its 1 entries"),
    ("hugging face", DataError, "state.json.*cannot be read here"),
]


def check_line(error: ProbeError, kind: type[ProbeError]) -> None:
    assert type(error) is kind
    assert "\n" not in str(error)
    assert 20 < len(str(error)) < 900


@pytest.mark.parametrize(("bad", "kind", "said"), REFUSED, ids=[one[0] for one in REFUSED])
def test_bad_input_is_one_clear_line(
    tmp_path: Path, bad: str, kind: type[ProbeError], said: str
) -> None:
    path = make_bad(tmp_path, bad)
    with pytest.raises(ProbeError, match=said) as caught:
        read(path)
    check_line(caught.value, kind)
    assert "sale" in str(caught.value) or path.name in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "tarqet"}, "--target-column 'tarqet'.*'target'.*did you mean target"),
        ({"time": "when"}, "--time-column 'when'.*'timestamp'"),
        ({"item": "shop"}, "--item-column 'shop'.*'item_id'"),
        ({"freq": "horly"}, "frequency 'horly'.*no such alias; "),
        ({"freq": "-1h"}, "frequency '-1h'.*forward"),
    ],
)
def test_bad_options_are_one_clear_line(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(ProbeError, match=said) as caught:
        read(text_file(tmp_path, rows(*GOOD)), **options)
    check_line(caught.value, UsageError)


def test_errors_keep_their_cause(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(make_bad(tmp_path, "garbage parquet"))
    assert isinstance(caught.value.__cause__, pa.ArrowInvalid)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "none.csv")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_no_permission_is_one_clear_line(tmp_path: Path) -> None:
    path = text_file(tmp_path, rows(*GOOD))
    path.chmod(0)
    administrator = os.geteuid() == 0
    if administrator:  # whom no permission stops
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(DataError, match="no permission") as caught:
            read(path)
    finally:
        if administrator:
            os.seteuid(0)
    check_line(caught.value, DataError)


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one file"):
        read([])


def test_two_series_of_one_name_are_refused(tmp_path: Path) -> None:
    path = text_file(tmp_path, rows(*GOOD))
    with pytest.raises(DataError, match="2 series of 'sales\\+sales' are named 'sales/good'"):
        read([path, path])
