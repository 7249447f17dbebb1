"""Where a checkpoint comes from: a local folder, the package's own weights, or the hub."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tsfm_probe.errors import ModelError, UsageError, nearest
from tsfm_probe.models.names import KNOWN

WEIGHTS = Path(__file__).parent / "weights"
WANTED = ("*.json", "*.safetensors")


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk.

    folder: holds config.json and the safetensors files.
    origin: "folder", "package" or the hub id.
    revision: the hub's commit, "" elsewhere.
    """

    folder: Path
    origin: str
    revision: str = ""

    @property
    def weight_files(self) -> list[Path]:
        """The safetensors files, sorted by name; ModelError if there are none."""
        found = sorted(self.folder.glob("*.safetensors"))
        if found:
            return found
        pickles = sorted(one.name for one in self.folder.glob("*.bin"))
        raise ModelError(
            f"weights were looked for in {self.folder}",
            f"only a pickle was found ({pickles[0]})" if pickles else "no *.safetensors was found",
            "a pickle can run any code when it is read: convert it to safetensors first"
            if pickles
            else "a checkpoint has config.json and model.safetensors",
        )

    def weight_names(self) -> set[str]:
        """The names of the weights, none of which is read; empty if there are none."""
        names: set[str] = set()
        for path in self.folder.glob("*.safetensors"):
            try:
                with safe_open(path, "pt") as file:
                    names |= set(file.keys())
            except (OSError, SafetensorError) as error:
                raise ModelError(f"{path} was to be read", f"it is damaged ({error})") from error
        return names

    def weight_dtypes(self) -> set[str]:
        """The dtypes of the weights in the files, as safetensors calls them: "F32", "BF16"."""
        found: set[str] = set()
        for path in self.weight_files:
            try:
                with safe_open(path, "pt") as file:
                    names = file.keys()
                    found |= {file.get_slice(name).get_dtype() for name in names}
            except (OSError, SafetensorError) as error:
                raise ModelError(f"{path} was to be read", f"it is damaged ({error})") from error
        return found

    def weight_hash(self) -> str:
        """SHA-256 of the weight files."""
        digest = hashlib.sha256()
        for path in self.weight_files:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def config(self) -> dict[str, Any]:
        """The content of config.json; ModelError if it is missing or damaged."""
        path = self.folder / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ModelError(
                f"a checkpoint was looked for in {self.folder}",
                "it has no config.json",
                "a checkpoint has config.json and model.safetensors",
            ) from error
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} was to be read", f"it is damaged ({error})") from error
        if not isinstance(config, dict):
            raise ModelError(f"{path} was to be read", "it holds no JSON object")
        return config


def find(name: str, wanted: Sequence[str] = WANTED) -> Source:
    """The checkpoint that a name stands for: a folder, a known short name or a hub id.

    wanted: the files that are fetched from the hub.

    Only a hub id (or a short name that stands for one) may use the network.
    Raises UsageError for a name that means nothing, ModelError if it cannot be had.
    """
    folder = _folder(name)
    if folder.is_dir():
        return Source(folder.resolve(), "folder")
    if folder.is_file():
        raise UsageError(
            f"model {name!r} was asked for", "it is a file", "a folder with config.json is wanted"
        )
    short, _, revision = name.partition("@")
    if short in KNOWN:
        if KNOWN[short].hub_id:
            return _from_hub(KNOWN[short].hub_id, revision, wanted)
        if revision:
            raise UsageError(
                f"model {name!r} was asked for",
                f"{short} ships in one revision",
                f"allowed is {short}",
            )
        return Source(WEIGHTS / short, "package")
    if short.count("/") == 1 and all(short.split("/")) and not name.startswith((".", "~")):
        return _from_hub(short, revision, wanted)
    raise UsageError(
        f"model {name!r} was asked for",
        "it is no folder, no known name and no hub id org/name",
        nearest(short, KNOWN),
    )


def _folder(name: str) -> Path:
    if not name.strip():
        raise UsageError(f"model {name!r} was asked for", "it is no name", nearest(name, KNOWN))
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"model {name!r} was asked for", "there is no such user", "write the whole path"
        ) from error


def _from_hub(hub_id: str, revision: str, wanted: Sequence[str]) -> Source:
    from huggingface_hub import errors, snapshot_download

    # The HTTP library under huggingface_hub changes with its version; errors knows its base error.
    http_error: type[Exception] = vars(errors)["HTTPError"]
    asked = f"{hub_id}{'@' + revision if revision else ''} was asked for"
    try:
        folder = snapshot_download(hub_id, revision=revision or None, allow_patterns=[*wanted])
    except errors.HFValidationError as error:
        raise UsageError(
            asked, "it is no valid hub id", "such as org/name or org/name@revision"
        ) from error
    except (http_error, OSError, ValueError) as error:
        folder = _cached(hub_id, revision, wanted)
        if not folder:
            raise ModelError(
                asked,
                _why_not(error),
                "ways out: the path of a local folder with the checkpoint, a hub cache filled "
                "elsewhere (HF_HOME), or a model that ships: " + ", ".join(shipped()),
            ) from error
    return Source(Path(folder), hub_id, Path(folder).name)


def _cached(hub_id: str, revision: str, wanted: Sequence[str]) -> str:
    """The folder in the hub's cache, "" if it is not there.

    snapshot_download does not look there itself when a whole commit is asked for offline.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return snapshot_download(
            hub_id, revision=revision or None, allow_patterns=[*wanted], local_files_only=True
        )
    except LocalEntryNotFoundError:
        return ""


def _why_not(error: Exception) -> str:
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    answered = error.__cause__ if isinstance(error.__cause__, HfHubHTTPError) else error
    said = f"{type(answered).__name__}: {' '.join(str(answered).split())[:160]}"
    if isinstance(answered, HfHubHTTPError):
        return f"the hub refused it ({said})"
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled):
        return "there is no such folder, no cached copy, and no network to the model hub"
    return f"it could not be fetched ({said})"


def shipped() -> list[str]:
    """Names of the models whose weights are in the package."""
    return sorted(one.name for one in WEIGHTS.glob("*") if (one / "config.json").is_file())


def is_here(name: str) -> bool:
    """Whether a known model can be loaded without a network."""
    from huggingface_hub import try_to_load_from_cache

    known = KNOWN[name]
    if not known.hub_id:
        return name in shipped()
    cached = [
        try_to_load_from_cache(known.hub_id, one) for one in ("config.json", "model.safetensors")
    ]
    return all(isinstance(path, str) for path in cached)
