"""Writing a pruned model: a folder that is there as a whole, or not at all."""

import copy
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from glob import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from safetensors import SafetensorError

from tsfm_probe.durable import ADVICE, LOCK, locked, write_atomically, write_json
from tsfm_probe.errors import CheckFailed, ProbeError, UsageError
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.source import Source

PLAN = "prune.json"


def refuse_existing(out: Path, overwrite: bool) -> None:
    """UsageError if there is something that must not be overwritten, or nowhere to write."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}", "it is a file", "the name of a folder that is to be made")
    if out.is_dir() and any(out.iterdir()):
        if not overwrite:
            raise UsageError(f"--out {out}", "there is something in it", "--overwrite, or another")
        if not (out / PLAN).is_file():
            found = f"what is in it was not written by prune (there is no {PLAN})"
            raise UsageError(f"--out {out} --overwrite", found, "another folder")
    place = next(one for one in out.resolve().parents if one.exists())
    if not place.is_dir():
        raise UsageError(f"--out {out}", f"{place} is a file", "a folder in a folder")
    if not os.access(place, os.W_OK):
        raise ProbeError(f"--out {out}", f"{place} cannot be written to", "another folder")


def refuse_needed(out: Path, needed: Iterable[Path]) -> None:
    """UsageError if one of these stands where the folder is to be written, or in it."""
    for one in needed:
        if out.resolve() in (one.resolve(), *one.resolve().parents):
            found = f"{one} would be lost, which this run reads or writes"
            raise UsageError(f"--out {out}", found, "another folder")


def stored(source: Source) -> torch.dtype:
    """The narrowest dtype that holds every weight of a checkpoint as it is in its files."""
    names = {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
    }
    found = [names[one] for one in source.weight_dtypes() if one in names]
    return reduce(torch.promote_types, found) if found else torch.float32


def write(
    model: Model,
    out: Path,
    dtype: torch.dtype,
    told: Mapping[str, Any],
    card: str,
    holds: Callable[[Model], float],
    allowed: float,
) -> float:
    """Write weights, config.json, prune.json and README.md; how far the reloaded model is off.

    dtype: of the weights in the file. told: the content of prune.json, to which the hash of the
    weights is added. holds: how far the model that is read from the folder is from what it should
    be. CheckFailed, and nothing is written, if that is above `allowed`; ProbeError if the disk is
    full or cannot be written to.
    """
    with _beside(out) as folder:
        lean = copy.copy(model)
        lean.net = copy.deepcopy(model.net).to(dtype)
        lean.save(folder)
        off = holds(load(str(folder), device=str(model.device), dtype="float32"))
        if not off <= allowed:
            raise CheckFailed(
                f"the pruned model was to be written to {out}",
                f"what was read back differs by {off:.2g} from the ablated model",
                f"at most {allowed:.2g}: nothing was written",
            )
        weights = {one.name: _sha256(one) for one in sorted(folder.glob("*.safetensors"))}
        write_json(folder / PLAN, {**told, "weights": weights, "off": off})
        write_atomically(folder / "README.md", card.encode())
    return off


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder that takes the place of `out` when the block is left without an error.

    What a killed process left of its own one is removed, and what it was about to replace is put
    back. UsageError while another process writes one.
    """
    out = out.resolve()
    _clear(out)
    temporary = out.with_name(f".{out.name}.{uuid4().hex[:8]}.tmp")
    old = temporary.with_suffix(".old")
    try:
        temporary.mkdir(parents=True)
        held = locked(temporary)
        yield temporary
        for file in temporary.iterdir():
            file.chmod(0o666 & ~_mask())  # safetensors keeps its files to their owner
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        (temporary / LOCK).unlink(missing_ok=True)
        del held
        if out.exists():
            out.replace(old)
        temporary.replace(out)
    except (OSError, SafetensorError) as error:
        number = _number(error)
        raise ProbeError(
            f"the folder {out} was to be written",
            f"the system answered {os.strerror(number) if number else error}",
            ADVICE.get(number, "choose another folder"),
        ) from error
    finally:
        if old.exists() and not out.exists():
            old.replace(out)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _clear(out: Path) -> None:
    """Put right what a killed process left of its exchange; UsageError if one is at work."""
    traces = f".{escape(out.name)}.{8 * '[0-9a-f]'}"
    for left in out.parent.glob(f"{traces}.tmp"):
        lock = locked(left)
        shutil.rmtree(left, ignore_errors=True)
        del lock
    for old in out.parent.glob(f"{traces}.old"):
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.replace(out)


def _number(error: Exception) -> int:
    """The system's number of an error, which safetensors tells in its words alone; 0 if unknown."""
    if isinstance(error, OSError):
        return error.errno or 0
    told = re.search(r"os error (\d+)", str(error))
    return int(told[1]) if told else 0


def _mask() -> int:
    """The permissions that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
