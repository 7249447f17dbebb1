"""A run that is killed, or whose files are damaged, ends with the same table as one that is not."""

import json
import logging
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from tsfm_probe.durable import temporary_files, write_atomically, write_json
from tsfm_probe.errors import DataError, ProbeError, UsageError
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.table import COLUMNS, Table

IDENTITY = {"model": "abc", "horizon": "24"}
ABOUT = {"command": "ablate"}
PLAN = [f"decoder.{layer}.mlp" for layer in range(3)] + ["decoder.*.cross", "a/b", "noise-1"]


def rows(trial: str, series: int = 5) -> pd.DataFrame:
    """Rows that depend on the trial's name alone."""
    numbers = np.random.default_rng(list(trial.encode()))
    frame = pd.DataFrame(
        [
            ("tiny", "part", trial, f"series {one}", window, metric)
            for one in range(series)
            for window in range(2)
            for metric in ("MASE", "WQL")
        ],
        columns=list(COLUMNS[:6]),
    )
    frame["value"], frame["base"] = numbers.random((2, len(frame)))
    frame.loc[3, "value"] = np.nan
    return frame


def filled(path: Path, order: list[str]) -> RunFolder:
    folder = RunFolder.start(path, IDENTITY, ABOUT)
    for trial in order:
        folder.write(trial, rows(trial))
    return folder


def test_table_does_not_depend_on_the_order_of_writing(tmp_path):
    first = filled(tmp_path / "a", PLAN)
    second = filled(tmp_path / "b", PLAN[::-1])
    one, other = first.table(PLAN, ABOUT).frame, second.table(PLAN, ABOUT).frame
    assert_frame_equal(one, other)
    assert list(one.columns) == list(COLUMNS)
    assert list(one["trial"].cat.categories) == PLAN
    assert one["window"].dtype == np.int64
    assert one["value"].dtype == one["base"].dtype == np.float64
    written = pd.concat([rows(trial) for trial in PLAN], ignore_index=True)
    assert_frame_equal(one.astype(written.dtypes.to_dict()), written)


def test_no_trials_give_an_empty_table_of_the_same_types(tmp_path):
    folder = filled(tmp_path, PLAN[:1])
    assert_frame_equal(
        folder.table([], ABOUT).frame.dtypes.to_frame().map(str),
        folder.table(PLAN[:1], ABOUT).frame.dtypes.to_frame().map(str),
    )


def test_finish_writes_table_answer_and_status(tmp_path):
    folder = filled(tmp_path, PLAN)
    assert folder.done(PLAN) == set(PLAN)
    table = folder.table(PLAN, ABOUT)
    folder.finish(table, pd.DataFrame({"trial": PLAN, "ratio": 1.0}))
    assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), table.frame)
    assert list(pd.read_csv(tmp_path / "answer.csv")["trial"]) == PLAN
    assert list(pd.read_parquet(tmp_path / "answer.parquet")["trial"]) == PLAN
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] == "done"
    assert record["plan"] == PLAN
    assert record["identity"] == IDENTITY
    assert RunFolder.start(tmp_path, IDENTITY, ABOUT).record.status == "running"


def test_names_that_look_alike_get_files_of_their_own(tmp_path):
    names = ["a.b", "a_b", "a/b", "a*b", "A.B", "..", ".", "../up", "x" * 300, "x" * 301, "ü", "ö"]
    folder = filled(tmp_path / "run", names)
    files = list((tmp_path / "run" / "shards").iterdir())
    assert len({file.name.lower() for file in files}) == len(names)
    assert folder.done(names) == set(names)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_another_identity_is_refused_with_every_difference(tmp_path):
    RunFolder.start(tmp_path, IDENTITY, ABOUT)
    with pytest.raises(UsageError) as refused:
        RunFolder.start(tmp_path, {"model": "abd", "horizon": "24", "seed": "1"}, ABOUT)
    text = str(refused.value)
    assert "model is abd here and abc there" in text
    assert "seed is 1 here and absent there" in text
    assert "horizon" not in text
    assert "--out" in text


def test_a_folder_of_someone_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"no run\.json"):
        RunFolder.start(tmp_path, IDENTITY, ABOUT)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_start_that_was_killed_before_its_record_was_written_is_no_obstacle(tmp_path):
    (tmp_path / ".run.json.0123abcd.tmp").write_text("{")
    RunFolder.start(tmp_path, IDENTITY, ABOUT)
    assert not temporary_files(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ProbeError, match="--out"):
        RunFolder.start(tmp_path / "out", IDENTITY, ABOUT)
    with pytest.raises(ProbeError, match="--out"):
        RunFolder.start(tmp_path / "out" / "deeper", IDENTITY, ABOUT)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 99}', '"run"', "\0\1"])
def test_a_damaged_record_is_refused_with_a_way_out(tmp_path, text):
    filled(tmp_path, PLAN)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match="remove that folder"):
        RunFolder.start(tmp_path, IDENTITY, ABOUT)


def test_a_plan_with_a_name_twice_is_refused(tmp_path):
    with pytest.raises(UsageError, match="twice"):
        filled(tmp_path, []).done(["noise-1", "noise-1"])


def damages(path: Path, other: Path) -> list[bytes]:
    """Many ways in which a shard can be damaged."""
    data = path.read_bytes()
    found = [b"", data[:1], data[:-1], data[: len(data) // 2], other.read_bytes(), data + data]
    places = sorted({*np.linspace(0, len(data) - 1, 40).astype(int).tolist(), *range(-12, 0)})
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        found.append(bytes(flipped))
    return found


def test_every_damage_is_found_or_harmless(tmp_path, caplog):
    folder = filled(tmp_path, PLAN)
    sound = folder.table(PLAN, ABOUT).frame
    shard, other = folder.shard(PLAN[0]), folder.shard(PLAN[1])
    found = 0
    kinds = damages(shard, other)
    for data in kinds:
        shard.write_bytes(data)
        again = RunFolder.start(tmp_path, IDENTITY, ABOUT)
        with caplog.at_level(logging.WARNING):
            missing = set(PLAN) - again.done(PLAN)
        assert missing <= {PLAN[0]}
        assert again.damaged == tuple(missing)
        if missing:
            found += 1
            assert not shard.exists()
            again.write(PLAN[0], rows(PLAN[0]))
        assert_frame_equal(again.table(PLAN, ABOUT).frame, sound)
    assert found > 0.7 * len(kinds)
    assert len(caplog.records) == found == len(again.record.damaged)


def other_number(table: pa.Table) -> pa.Table:
    value = table["value"].to_numpy().copy()
    value[0] = np.nextafter(value[0], 1)
    return table.set_column(table.schema.get_field_index("value"), "value", pa.array(value))


def bytes_for_text(table: pa.Table) -> pa.Table:
    column = table["series"].cast(pa.string()).cast(pa.binary()).dictionary_encode()
    return table.set_column(table.schema.get_field_index("series"), "series", column)


@pytest.mark.parametrize(
    "change",
    [
        other_number,
        bytes_for_text,
        lambda table: table.slice(1),
        lambda table: table.take(list(range(len(table)))[::-1]),
        lambda table: table.drop_columns("base"),
        lambda table: table.append_column("more", table["base"]),
        lambda table: table.replace_schema_metadata(None),
    ],
)
def test_a_sound_parquet_file_with_other_content_is_found(tmp_path, change):
    folder = filled(tmp_path, PLAN)
    path = folder.shard(PLAN[2])
    kept = pq.ParquetFile(path).read()
    pq.write_table(change(kept), path, write_page_checksum=True)
    assert folder.done(PLAN) == set(PLAN) - {PLAN[2]}
    pq.write_table(kept, path)
    assert folder.done(PLAN) == set(PLAN)


def test_a_shard_of_another_run_is_not_taken_for_this_run(tmp_path):
    stranger = RunFolder.start(tmp_path / "a", {**IDENTITY, "seed": "1"}, ABOUT)
    stranger.write(PLAN[0], rows(PLAN[0]))
    folder = filled(tmp_path / "b", PLAN)
    stranger.shard(PLAN[0]).replace(folder.shard(PLAN[0]))
    assert folder.done(PLAN) == set(PLAN[1:])


def test_a_table_with_a_missing_shard_is_refused(tmp_path):
    with pytest.raises(DataError, match="again"):
        filled(tmp_path, PLAN[1:]).table(PLAN, ABOUT)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.drop(columns="base"),
        lambda frame: frame.assign(more=1),
        lambda frame: frame.assign(trial="decoder.9"),
        lambda frame: frame.assign(window=0.5),
        lambda frame: frame.assign(value="high"),
        lambda frame: frame.assign(series=None),
        lambda frame: frame.assign(series=7),
    ],
)
def test_rows_of_another_shape_are_refused(tmp_path, change):
    folder = RunFolder.start(tmp_path, IDENTITY, ABOUT)
    with pytest.raises(ProbeError, match=r"decoder\.0\.mlp"):
        folder.write(PLAN[0], change(rows(PLAN[0])))
    assert folder.done(PLAN) == set()


def test_writing_where_it_cannot_be_done_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "x", tmp_path / "folder", tmp_path / "absent" / "x"):
        with pytest.raises(ProbeError, match="must"):
            write_atomically(path, b"text")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_keeps_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "table.parquet"
    write_atomically(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ProbeError, match="free some space"):
            write_atomically(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path):
    path = tmp_path / "run.json"
    write_atomically(path, b"old and long")
    with path.open("rb") as reader:
        assert reader.read(3) == b"old"
        write_atomically(path, b"new")
        assert reader.read() == b" and long"
    assert path.read_bytes() == b"new"


def test_a_written_file_can_be_read_by_others_as_any_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_json(tmp_path / "value.json", {"ü": [1, 2]})
    assert (tmp_path / "value.json").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert json.loads((tmp_path / "value.json").read_text()) == {"ü": [1, 2]}


KILLED_TRIALS = [f"decoder.{layer}.cross.{head}" for layer in range(6) for head in range(8)]
CHILD = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import test_run_folder as test
print("ready", flush=True)
test.whole_run(Path(sys.argv[1]))
"""


def whole_run(path: Path) -> Table:
    """What a command does: compute what is not done yet, then finish."""
    folder = RunFolder.start(path, IDENTITY, ABOUT)
    done = folder.done(KILLED_TRIALS)
    for trial in KILLED_TRIALS:
        if trial not in done:
            folder.write(trial, rows(trial, series=100))
    table = folder.table(KILLED_TRIALS, ABOUT)
    folder.finish(table, pd.DataFrame({"trial": KILLED_TRIALS}))
    return table


def kill_after(path: Path, moments: random.Random) -> int:
    """Start a run, kill it a moment after its next few shards, and count its shards."""
    shards = path / "shards"
    enough = len(list(shards.glob("*.parquet"))) + moments.randint(0, 6)
    here = Path(__file__).parent
    command = [sys.executable, "-c", CHILD, str(path), str(here.parent), str(here)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        while child.poll() is None and len(list(shards.glob("*.parquet"))) < enough:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        child.kill()
    return len(list(shards.glob("*.parquet")))


def test_a_run_killed_at_random_moments_ends_like_one_never_killed(tmp_path):
    whole_run(tmp_path / "never killed")
    moments = random.Random(0)
    partial = [kill_after(tmp_path / "killed", moments) for _ in range(5)]
    assert any(0 < count < len(KILLED_TRIALS) for count in partial), partial
    (tmp_path / "killed" / "shards" / ".decoder.0-12.parquet.0123abcd.tmp").write_bytes(b"PAR1")
    whole_run(tmp_path / "killed")
    assert not temporary_files(tmp_path / "killed" / "shards")
    killed, never = (tmp_path / name / "table.parquet" for name in ("killed", "never killed"))
    assert_frame_equal(pd.read_parquet(killed), pd.read_parquet(never))
    assert killed.read_bytes() == never.read_bytes()
