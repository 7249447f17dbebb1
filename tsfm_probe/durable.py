"""Writing files so that a reader finds the old one or the new one, and never half of one.

And a lock on a folder, so that two processes do not write into it at the same time.
"""

import contextlib
import errno
import json
import logging
import os
import re
import weakref
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import BaseFileLock, FileLock, Timeout

from tsfm_probe.errors import ProbeError, UsageError

LOG = logging.getLogger(__name__)
LOCK = ".lock"
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
ADVICE = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "free some space or choose another folder",
    errno.EFBIG: "free some space or choose another folder",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a folder that can be written to",
    errno.EPERM: "choose a folder that can be written to",
    errno.ENOENT: "its folder must exist",
    errno.ENOTDIR: "its folder must be a folder, not a file",
    errno.EISDIR: "it must be the name of a file, not of a folder",
}


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all, also if the machine stops in between.

    The bytes go to a temporary file in the same folder, reach the disk, and only then take the
    name of `path`. ProbeError if that is not possible; the temporary file is removed then, and
    what stood under `path` before stays.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _reach_disk(path.parent)
    except OSError as error:
        raise ProbeError(
            f"the file {path} was to be written",
            f"the system answered {error.strerror or error}",
            ADVICE.get(error.errno or 0, "choose another folder"),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write a value as readable JSON, as a whole or not at all (see `write_atomically`)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def temporary_files(folder: Path) -> list[Path]:
    """The files that a killed `write_atomically` left behind in a folder."""
    return sorted(file for file in folder.iterdir() if TEMPORARY.fullmatch(file.name))


class Lock:
    """Keeps other processes out of a folder for as long as this object lives.

    The system lets go of it when the process ends, however it ends.
    """

    def __init__(self, held: BaseFileLock) -> None:
        self._end = weakref.finalize(self, held.release)


def locked(folder: Path) -> Lock | None:
    """Take the lock of a folder; the same process may take it again.

    UsageError if another process has it; None, with a warning, where the file system has no locks.
    """
    lock = FileLock(folder / LOCK, thread_local=False, is_singleton=True)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UsageError(
            f"the folder {folder} was chosen for the results",
            "another process is writing into it",
            "wait until that one has ended, or choose another --out",
        ) from error
    except (OSError, NotImplementedError) as error:
        LOG.warning("%s cannot be locked (%s): start one process at a time on it", folder, error)
        return None
    return Lock(lock)


def _reach_disk(folder: Path) -> None:
    """Make a renaming in a folder last; systems that cannot do this for a folder are let be."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
