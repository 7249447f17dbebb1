"""What a run came from: versions, hashes, machine and command, as text for run.json."""

import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import version

from tsfm_probe import __version__
from tsfm_probe.data.dataset import Dataset
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, about

PACKAGES = ("torch", "transformers", "chronos-forecasting", "numpy", "gluonts")


def identity(job: Job, data: Dataset) -> dict[str, str]:
    """What must be equal for a run to be continued: everything that its numbers depend on."""
    return about(job) | {"probe": "ablate"} | weights_of(job.model) | {"data_hash": data.hash}


def weights_of(model: Model) -> dict[str, str]:
    """What tells a version of a network, and of this package, from all others."""
    return {
        "tsfm_probe": __version__,
        "weight_hash": model.source.weight_hash(),
        "config_hash": _hash(json.dumps(model.source.config(), sort_keys=True)),
        "dtype": str(next(model.net.parameters()).dtype).removeprefix("torch."),
    }


def origin(model: Model, data: Dataset) -> dict[str, str]:
    """What else a reader wants to know of a run on data."""
    return {"data": data.name} | made_by(model)


def made_by(model: Model) -> dict[str, str]:
    """What else a reader wants to know of a run: the command, versions, the machine."""
    versions = ", ".join(f"{one} {version(one)}" for one in PACKAGES)
    return {
        "command": shlex.join(["tsfm-probe", *sys.argv[1:]]),
        "origin": model.source.origin,
        "revision": model.source.revision or "none",
        "parameters": str(model.parameters),
        "versions": f"tsfm-probe {__version__}, Python {platform.python_version()}, {versions}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{model.device.type}",
    }


def short_name(model: Model, data: Dataset, what: str, identity: Mapping[str, str]) -> str:
    """The name of a run's folder: the same for the same run. what: a word for what is done."""
    last, unique = model.name.rstrip("/").rsplit("/", 1)[-1], short_hash(identity)
    return "-".join(_readable(one) for one in (last, data.name, what, unique))


def short_hash(identity: Mapping[str, str]) -> str:
    """Eight letters that are the same for the same run."""
    return _hash(json.dumps(dict(identity), sort_keys=True))[:8]


def _readable(text: str) -> str:
    return "".join(one if one.isalnum() or one in "._-" else "_" for one in text)[:40].strip(".")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
