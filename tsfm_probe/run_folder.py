"""The folder of one run: a shard of results for each trial, and run.json that says whose they are.

A run that was killed goes on where it stopped, because a shard is there as a whole or not at all,
and because a shard that was damaged later is found, removed and computed again.
"""

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tsfm_probe.durable import LOCK, Lock, locked, temporary_files, write_atomically, write_json
from tsfm_probe.errors import DataError, ProbeError, UsageError
from tsfm_probe.shard import SCHEMA, read_shard, to_parquet, write_shard
from tsfm_probe.table import Table

LOG = logging.getLogger(__name__)
FORMAT = 1


@dataclass(frozen=True)
class RunRecord:
    """What run.json holds.

    identity: what must be equal if the run is continued (model, data, horizon, seed, ...).
    about: what else is worth knowing (command, versions, machine), of the latest start.
    started, updated: times of the first start and of the latest change of this record.
    continued: times at which the run was started again.
    status: "running" or "done".
    plan: names of the trials, in order, once they are known.
    damaged: one line for every damaged shard that was found and removed.
    lock: keeps other processes out of the folder while this record lives; it is not written.
    """

    identity: Mapping[str, str]
    about: Mapping[str, str]
    started: str
    updated: str
    continued: Sequence[str] = ()
    status: str = "running"
    plan: Sequence[str] = ()
    damaged: Sequence[str] = ()
    format: int = FORMAT
    lock: Lock | None = field(default=None, repr=False, compare=False)

    @classmethod
    def read(cls, path: Path) -> "RunRecord":
        """Read run.json; UsageError if it is damaged or of another format."""
        way_out = "choose another --out, or remove that folder to compute everything again"
        try:
            found = json.loads(path.read_bytes())
        except OSError as error:
            raise ProbeError(f"{path} was to be read", error.strerror or str(error)) from error
        except ValueError as error:
            raise UsageError(f"{path} was to be read", f"damaged: {error}", way_out) from error
        if isinstance(found, dict) and found.get("format", FORMAT) != FORMAT:
            words = f"its format is {found['format']}, this version reads format {FORMAT}"
            raise UsageError(f"{path} was to be read", words, way_out)
        names = {one.name for one in fields(cls)} - {"lock"}
        if not isinstance(found, dict) or set(found) != names or not _is_text(found["identity"]):
            raise UsageError(f"{path} was to be read", "it is not the record of a run", way_out)
        return cls(**found)

    @classmethod
    def of(cls, folder: Path, identity: Mapping[str, str]) -> "RunRecord | None":
        """That of the run in a folder; None where there is no folder, or nothing in it.

        UsageError if the folder holds a run of another identity (every difference is named), a
        damaged run.json, or files without any run.json.
        """
        if (folder / "run.json").exists():
            record = cls.read(folder / "run.json")
            _check_same(folder, dict(record.identity), dict(identity))
            return record
        own = {folder / LOCK, *temporary_files(folder)} if folder.is_dir() else set()
        if folder.is_dir() and set(folder.iterdir()) - own:
            raise UsageError(
                f"the folder {folder} was chosen for the results",
                "it holds files but no run.json, so it is not the folder of a run",
                "choose an empty or new folder with --out",
            )
        return None

    @classmethod
    def begun(
        cls, folder: Path, identity: Mapping[str, str], about: Mapping[str, str]
    ) -> "RunRecord":
        """That of a run that begins in a folder, or goes on there; the folder is made.

        UsageError as from `of`, or if another process is writing there; ProbeError if the folder
        cannot be made.
        """
        _make_folder(folder)
        cls.of(folder, identity)  # nothing is put into a folder that is not a run's
        lock = locked(folder)
        record, now = cls.of(folder, identity), _now()
        for leftover in temporary_files(folder):
            leftover.unlink(missing_ok=True)
        if record is None:
            return cls(dict(identity), dict(about), now, now, lock=lock)
        continued = (*record.continued, now)
        return replace(record, about=dict(about), continued=continued, status="running", lock=lock)

    def noted(self, folder: Path, **changes: str | tuple[str, ...]) -> "RunRecord":
        """The same with changes, after it was written to run.json."""
        changed = replace(self, updated=_now(), **changes)
        written = asdict(replace(changed, lock=None))
        write_json(folder / "run.json", {k: v for k, v in written.items() if k != "lock"})
        return changed


class RunFolder:
    """One run's folder: `run.json`, `shards/`, and at the end `table.parquet` and the answer.

    One process at a time may write into it: it holds the folder's lock as long as it lives.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record
        self.damaged: tuple[str, ...] = ()

    @classmethod
    def start(
        cls, path: Path, identity: Mapping[str, str], about: Mapping[str, str]
    ) -> "RunFolder":
        """Make the folder of a new run, or go on with the run that is in it (see RunRecord)."""
        shards = path / "shards"
        folder = cls(path, RunRecord.begun(path, identity, about))
        folder._note()
        _make_folder(shards)
        for leftover in temporary_files(shards):
            leftover.unlink(missing_ok=True)
        return folder

    def done(self, trials: Iterable[str]) -> set[str]:
        """The trials of a plan whose shard is there and sound.

        A damaged shard is removed, logged as a warning, and named in `damaged` and run.json.
        """
        plan = list(trials)
        twice = [name for name, times in Counter(plan).items() if times > 1]
        if twice:
            raise UsageError("a plan was given", f"{twice[0]!r} is in it twice", "names differ")
        sound: set[str] = set()
        lines = list(self.record.damaged)
        for trial in plan:
            if not self.shard(trial).exists():
                continue
            try:
                self._read(trial)
            except DataError as error:
                LOG.warning("%s", error)
                lines.append(f"{_now()} {error}")
                self.damaged += (trial,)
                self.shard(trial).unlink()
            else:
                sound.add(trial)
        self._note(plan=tuple(plan), damaged=tuple(lines))
        return sound

    def write(self, trial: str, frame: pd.DataFrame) -> None:
        """Keep the rows of one trial (columns of Table, all of this trial); ProbeError if not."""
        write_shard(self.shard(trial), trial, self._run, frame)

    def table(self, trials: Iterable[str], about: Mapping[str, str]) -> Table:
        """The rows of all trials, in the order of `trials`, whatever order they were written in.

        Text columns are categories in order of appearance, `window` is int64, `value` and `base`
        are float64. DataError if a shard is missing or damaged.
        """
        shards = [SCHEMA.empty_table(), *(self._read(trial) for trial in trials)]
        frame = pa.concat_tables(shards).unify_dictionaries().to_pandas()
        return Table(frame, dict(about))

    def finish(self, table: Table, answer: pd.DataFrame) -> None:
        """Write table.parquet, answer.parquet and answer.csv, and mark the run as done."""
        rows = pa.Table.from_pandas(table.frame, preserve_index=False)
        about = {**(rows.schema.metadata or {}), b"about": json.dumps(dict(table.about)).encode()}
        whole = to_parquet(rows.replace_schema_metadata(about))
        write_atomically(self.path / "table.parquet", whole)
        short = to_parquet(pa.Table.from_pandas(answer, preserve_index=False))
        write_atomically(self.path / "answer.parquet", short)
        write_atomically(self.path / "answer.csv", answer.to_csv(index=False).encode())
        self._note(status="done")

    def shard(self, trial: str) -> Path:
        """The file of a trial: a name to be read, that no two trials share on any system."""
        readable = re.sub(r"[^A-Za-z0-9.]+", "_", trial).strip("._")[:60]
        unique = hashlib.sha256(trial.encode()).hexdigest()[:16]
        return self.path / "shards" / f"{readable}-{unique}.parquet"

    @property
    def _run(self) -> str:
        """The sha256 of the identity, which every shard carries."""
        identity = json.dumps(dict(self.record.identity), sort_keys=True)
        return hashlib.sha256(identity.encode()).hexdigest()

    def _read(self, trial: str) -> pa.Table:
        return read_shard(self.shard(trial), trial, self._run)

    def _note(self, **changes: str | tuple[str, ...]) -> None:
        self.record = self.record.noted(self.path, **changes)


def _is_text(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror
        raise ProbeError(
            f"the folder {path} was to be made", found or str(error), "choose another --out"
        ) from error


def _check_same(path: Path, there: dict[str, str], here: dict[str, str]) -> None:
    """UsageError with every difference if a run in a folder is not the run that was asked for."""
    differences = [
        f"{name} is {here.get(name, 'absent')} here and {there.get(name, 'absent')} there"
        for name in {**there, **here}
        if here.get(name) != there.get(name)
    ]
    if differences:
        raise UsageError(
            f"the run in {path} was to be continued",
            "it is another run: " + ", ".join(differences),
            "choose another --out, or the same options as there",
        )
