"""Writing files so that a reader finds the old one or the new one, and never half of one."""

import contextlib
import errno
import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

from tsfm_probe.errors import ProbeError

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
