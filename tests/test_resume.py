"""A run that is killed and started again ends with the very table of a run that never was."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tests.said import Said

Command = Callable[..., Said]
TRIALS = 15


@pytest.fixture(scope="module")
def words(
    checkpoints: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, sales: Path
) -> Sequence[str]:
    """A command that draws so many sample paths that each of its trials takes a while."""
    model = str(checkpoints("chronos-t5"))
    brief = ["--by", "part", "--horizon", "6", "--windows", "1", "--samples", "250"]
    return ["ablate", model, "--data", str(sales), *brief, "--device", "cpu", "--quiet"]


def shards(folder: Path) -> dict[str, tuple[int, int]]:
    """When each finished shard was written, and its inode: others if it was written again."""
    found = ((one.name, one.stat()) for one in (folder / "shards").glob("[!.]*.parquet"))
    return {name: (stat.st_mtime_ns, stat.st_ino) for name, stat in found}


def wait_for(count: int, out: Path, until: Callable[[], object]) -> None:
    """Wait until a run has this many shards, or until something else is so."""
    end = time.monotonic() + 120
    while len(shards(out)) < count and not until() and time.monotonic() < end:
        time.sleep(0.002)


def killed(words: Sequence[str], out: Path, count: int) -> dict[str, tuple[int, int]]:
    """Start a run in another process and kill it once it has `count` shards; returns those."""
    started = [sys.executable, "-m", "tsfm_probe", *words, "--out", str(out)]
    with subprocess.Popen(started, stderr=subprocess.PIPE, text=True) as process:
        wait_for(count, out, until=process.poll)
        process.kill()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (-signal.SIGKILL, "")
    return unfinished(out, count)


def interrupted(
    words: Sequence[str], command: Command, out: Path, count: int
) -> dict[str, tuple[int, int]]:
    """The same with Ctrl-C, in this process."""
    over = threading.Event()

    def interrupt() -> None:
        wait_for(count, out, until=over.is_set)
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    said = command(*words, "--out", out)
    over.set()
    assert said.code == 4
    assert said.complaint == "stopped; what is done is kept, the same command continues"
    return unfinished(out, count)


def unfinished(out: Path, count: int) -> dict[str, tuple[int, int]]:
    """The shards of a run that was stopped; fails if it had ended or had not come that far."""
    assert count <= len(shards(out)) < TRIALS
    assert not (out / "table.parquet").exists()
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    return shards(out)


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "table.parquet")


def test_a_killed_run_ends_like_one_never_killed(
    words: Sequence[str], command: Command, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert command(*words, "--out", whole).code == 0
    assert len(shards(whole)) == TRIALS

    first = killed(words, parts, 1)
    second = killed(words, parts, len(first) + 4)
    third = interrupted(words, command, parts, len(second) + 1)
    assert first.items() < second.items() < third.items(), "no trial was run twice"

    said = command(*words, "--out", parts)
    assert (said.code, said.err) == (0, "")
    assert third.items() < shards(parts).items()
    assert_frame_equal(table(parts), table(whole), check_exact=True)
    assert (parts / "answer.csv").read_bytes() == (whole / "answer.csv").read_bytes()
    assert shards(parts).keys() == shards(whole).keys()
    assert len(json.loads((parts / "run.json").read_text())["continued"]) == 3
    half_a_shard_is_made_again(words, command, whole)


def half_a_shard_is_made_again(words: Sequence[str], command: Command, folder: Path) -> None:
    """Of a finished run that lost half of one shard, that trial alone is run again, and told."""
    expected, before = table(folder), shards(folder)
    (path,) = (folder / "shards").glob("decoder.1.cross-*.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    said = command(*(one for one in words if one != "--quiet"), "--out", folder)
    told = " ".join(said.err.split())
    assert said.code == 0
    assert "damaged shards were found and made again: decoder.1.cross" in told
    assert f"'decoder.1.cross' were to be read from {path.name}" in told
    changed = {name for name, when in shards(folder).items() if before[name] != when}
    assert changed == {path.name}
    assert_frame_equal(table(folder), expected, check_exact=True)
    (line,) = json.loads((folder / "run.json").read_text())["damaged"]
    assert "decoder.1.cross" in line
