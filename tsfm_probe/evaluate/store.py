"""Where a benchmark keeps what is done, one file for each unit of work; it knows no benchmark.

A run that was killed goes on where it stopped: the file of a unit is there as a whole or not at
all, and one that was damaged later is found, removed and made again.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tsfm_probe.durable import temporary_files, write_atomically
from tsfm_probe.errors import DataError, ProbeError
from tsfm_probe.run_folder import RunRecord
from tsfm_probe.shard import TEXT, column, seal, to_parquet, unseal

LOG = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, order=True)
class Unit:
    """One piece of work: some windows of one task under one trial.

    task: what is forecast, as the benchmark names it, such as "m4_hourly/H/short".
    block: number of a stretch of its windows, from 0.
    trial: name of the trial.
    mark: a fingerprint of all that the rows depend on besides the run's identity, such as the
    content of the task's data and what the trial does; what was done under another is not used.
    """

    task: str
    block: int
    trial: str
    mark: str = ""

    @property
    def name(self) -> str:
        """What is shown to a person."""
        return f"{self.task} {self.trial}" + (f" ({self.block + 1})" if self.block else "")


Work = Callable[[Unit], pd.DataFrame]
"""The rows of a unit: the same for the same unit, in whatever process and order it is done."""
Make = Callable[[str], Work]
"""Makes a worker on a device ("cpu", "cuda:0", ...): picklable, called once by each worker."""


class Store:
    """The folder of a benchmark's run: `run.json`, `shards/`, and at the end its tables.

    columns: of the rows of every unit, with the type of each: str, int or float. One process at a
    time writes into it; many may work for that one.
    """

    def __init__(self, path: Path, record: RunRecord, columns: Mapping[str, type]) -> None:
        self.path = path
        self.record = record
        self.damaged: tuple[Unit, ...] = ()
        kinds = {str: TEXT, int: pa.int64(), float: pa.float64()}
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])

    @classmethod
    def start(
        cls,
        path: Path,
        identity: Mapping[str, str],
        about: Mapping[str, str],
        columns: Mapping[str, type],
    ) -> "Store":
        """Make the folder of a new run, or go on with the one that is in it (see RunRecord)."""
        record = RunRecord.begun(path, identity, about).noted(path)
        return cls(path, record, columns)

    def done(self, units: Sequence[Unit]) -> set[Unit]:
        """Those whose rows are there and sound; a damaged file is removed, logged and named."""
        sound: set[Unit] = set()
        lines = list(self.record.damaged)
        for folder in {self.shard(unit).parent for unit in units}:
            for leftover in temporary_files(folder) if folder.is_dir() else ():
                leftover.unlink(missing_ok=True)
        for unit in units:
            if not self.shard(unit).exists():
                continue
            try:
                self._read(unit)
            except DataError as error:
                LOG.warning("%s", error)
                lines.append(f"{self.record.updated} {error}")
                self.damaged += (unit,)
                self.shard(unit).unlink()
            else:
                sound.add(unit)
        if self.damaged:
            self.record = self.record.noted(self.path, damaged=tuple(lines))
        return sound

    def write(self, unit: Unit, rows: pd.DataFrame) -> None:
        """Keep the rows of a unit; ProbeError if they have other columns or types."""
        path = self.shard(unit)
        asked = f"the rows of {unit.name} were to be kept"
        if list(rows.columns) != self._schema.names:
            raise ProbeError(
                asked, f"the columns are {', '.join(rows)}", ", ".join(self._schema.names)
            )
        try:
            columns = [
                column(one.name, rows[one.name].to_numpy(), one.type) for one in self._schema
            ]
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ProbeError(asked, str(error), "text, whole numbers and numbers") from error
        path.parent.mkdir(parents=True, exist_ok=True)
        seal(path, pa.table(columns, schema=self._schema), self._marks(unit))

    def rows(self, unit: Unit) -> pd.DataFrame:
        """The rows of a unit that is done; DataError if they are not there or damaged."""
        return self._read(unit).to_pandas()

    def finish(self, tables: Mapping[str, pd.DataFrame]) -> None:
        """Write each table as `<name>.parquet` and `<name>.csv`, and mark the run as done."""
        for name, frame in tables.items():
            whole = to_parquet(pa.Table.from_pandas(frame, preserve_index=False))
            write_atomically(self.path / f"{name}.parquet", whole)
            write_atomically(self.path / f"{name}.csv", frame.to_csv(index=False).encode())
        self.record = self.record.noted(self.path, status="done")

    def shard(self, unit: Unit) -> Path:
        """The file of a unit: a folder for each task and trial, whose name no two share."""
        readable = re.sub(r"[^A-Za-z0-9.]+", "_", f"{unit.task} {unit.trial}").strip("._")[:60]
        unique = _hash([unit.task, unit.trial, unit.mark])[:16]
        return self.path / "shards" / f"{readable}-{unique}" / f"{unit.block:06d}.parquet"

    def _marks(self, unit: Unit) -> dict[str, str]:
        of = _hash([unit.task, unit.block, unit.trial, unit.mark])
        return {"unit": of, "run": _hash(dict(self.record.identity))}

    def _read(self, unit: Unit) -> pa.Table:
        asked = f"the results of {unit.name} were to be read from {self.shard(unit)}"
        return unseal(self.shard(unit), self._schema, self._marks(unit), asked)


def fill(store: Store, units: Sequence[Unit], work: Work, progress: Progress | None = None) -> None:
    """Do what is not done yet, one unit after the other, and keep each as soon as it is done.

    progress: told (done, all, name of the unit that is being done).
    """
    tell = progress or (lambda *_: None)
    done = store.done(units)
    left = [unit for unit in units if unit not in done]
    for number, unit in enumerate(left, len(units) - len(left)):
        tell(number, len(units), unit.name)
        store.write(unit, work(unit))
    tell(len(units), len(units), "")


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
