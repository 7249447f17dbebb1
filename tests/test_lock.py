"""Two processes do not write into one run folder."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.said import Said
from tsfm_probe.durable import locked
from tsfm_probe.errors import UsageError
from tsfm_probe.evaluate.store import Store
from tsfm_probe.run_folder import RunFolder, RunRecord

HOLDER = """
import sys
from pathlib import Path
from tsfm_probe.durable import locked
lock = locked(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""
SAID = "another process is writing into it; wait until that one has ended, or choose another --out"
SAME = {"model": "abc"}


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a folder until its stdin is closed."""
    words = [sys.executable, "-c", HOLDER, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_until_the_first_one_ends_or_is_killed(tmp_path: Path) -> None:
    RunFolder.start(tmp_path, SAME, {})
    before = (tmp_path / "run.json").read_bytes()
    for times, end in enumerate(("closed", "killed"), 1):
        with another(tmp_path) as first:
            for start in (
                lambda: RunFolder.start(tmp_path, SAME, {}),
                lambda: RunRecord.begun(tmp_path, SAME, {}),
                lambda: Store.start(tmp_path, SAME, {}, {"trial": str}),
            ):
                with pytest.raises(UsageError) as refused:
                    start()
                assert str(refused.value).endswith(SAID)
                assert str(tmp_path) in str(refused.value)
            assert (tmp_path / "run.json").read_bytes() == before
            if end == "closed":
                first.communicate("", timeout=60)
            else:
                first.kill()
                assert first.wait(60) == -signal.SIGKILL
            assert len(RunFolder.start(tmp_path, SAME, {}).record.continued) == times
            before = (tmp_path / "run.json").read_bytes()


def test_a_run_keeps_others_out_as_long_as_it_lives(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER.replace("stdin.read()", "exit(0)"), str(tmp_path)]
    folder = RunFolder.start(tmp_path, SAME, {})
    again = RunFolder.start(tmp_path, SAME, {})  # the same process may
    del folder
    refused = subprocess.run(words, capture_output=True, text=True, check=False)
    assert SAID in refused.stderr
    assert "lock" not in (tmp_path / "run.json").read_text()
    del again
    subprocess.run(words, capture_output=True, check=True)


@pytest.mark.parametrize("name", ["ablate", "extract", "score"])
def test_a_command_says_it_in_one_line(
    name: str,
    command: Callable[..., Said],
    sales: Path,
    checkpoints: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    data = [] if name == "score" else ["--data", sales, "--horizon", "2", "--windows", "1"]
    words = [name, checkpoints("chronos-bolt"), *data, "--quiet", "--out", tmp_path]
    with another(tmp_path):
        said = command(*words)
        assert said.code == 2
        assert said.complaint.endswith(SAID)
        assert [one.name for one in tmp_path.iterdir()] == [".lock"]


def test_a_file_system_without_locks_is_told_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(self: object, **options: object) -> None:
        raise NotImplementedError("no flock here")

    monkeypatch.setattr("filelock.FileLock.acquire", none)
    assert locked(tmp_path) is None
    assert "cannot be locked (no flock here): start one process at a time" in caplog.text
    assert RunFolder.start(tmp_path, SAME, {}).record.status == "running"
