"""A pruned model takes the place of an earlier one at once, also beside other processes."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_lock import HOLDER, SAID, another
from tests.test_prune_save import FILES, a_full_disk, inside, written
from tsfm_probe.errors import ProbeError, UsageError
from tsfm_probe.models import load
from tsfm_probe.models.base import Model

Tiny = Callable[[str], Model]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EACCES, "Permission denied")])
def test_what_was_there_comes_back_if_the_exchange_fails(
    error: Any, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, model, replace = tmp_path / "out", tiny("toto-1"), Path.replace
    written(model, out)
    before = inside(tmp_path)

    def stopped(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp" and self.is_dir():
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises((KeyboardInterrupt, ProbeError)):
        written(model, out)
    assert inside(tmp_path) == before


def test_what_a_killed_exchange_left_is_put_right(tiny: Tiny, tmp_path: Path) -> None:
    """Killed between the two renamings there is no folder, but what was to be replaced."""
    out, old, other = tmp_path / "out", tmp_path / ".out.0123abcd.old", tiny("chronos-bolt")
    written(tiny("toto-1"), out)
    before = inside(out)
    out.replace(old)
    with a_full_disk(), pytest.raises(ProbeError, match="File too large"):
        written(other, out)
    assert inside(out) == before
    assert list(tmp_path.iterdir()) == [out]
    out.replace(old)
    written(other, out)
    assert load(str(out), "cpu").family == "chronos-bolt"
    assert list(tmp_path.iterdir()) == [out]


def test_what_another_process_is_writing_is_let_be(tiny: Tiny, tmp_path: Path) -> None:
    """Its unfinished folder stays, and this process says so."""
    model, unfinished = tiny("toto-1"), tmp_path / ".out.0123abcd.tmp"
    unfinished.mkdir()
    with another(unfinished), pytest.raises(UsageError, match="another process is writing into it"):
        written(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [unfinished]
    written(model, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_what_this_process_is_writing_is_kept_from_others(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the files have reached the disk no other process can have its unfinished folder."""
    told: list[str] = []
    reach = os.fsync

    def asked(handle: int) -> None:
        (unfinished,) = tmp_path.glob(".out.*.tmp")
        words = [sys.executable, "-c", HOLDER, str(unfinished)]
        found = subprocess.run(words, input="", capture_output=True, text=True, check=False)
        told.append(found.stderr)
        reach(handle)

    monkeypatch.setattr(os, "fsync", asked)
    written(tiny("toto-1"), tmp_path / "out")
    assert len(told) > len(FILES)
    assert all(SAID in one for one in told)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == FILES
