"""One shard of a run: some rows in a Parquet file that notices every change of them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tsfm_probe.durable import write_atomically
from tsfm_probe.errors import DataError, ProbeError
from tsfm_probe.table import COLUMNS

TYPES = {"window": pa.int64(), "value": pa.float64(), "base": pa.float64()}
TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema([(name, TYPES.get(name, TEXT)) for name in COLUMNS])


def write_shard(path: Path, trial: str, run: str, frame: pd.DataFrame) -> None:
    """Write the rows of one trial, with marks by which `read_shard` knows them again.

    run: a fingerprint of the run that the rows belong to.
    frame: columns COLUMNS, every row of this trial; ProbeError otherwise.
    """
    seal(path, _to_arrow(trial, frame), {"trial": trial, "run": run})


def read_shard(path: Path, trial: str, run: str) -> pa.Table:
    """A trial's rows with the schema SCHEMA; DataError if they are not what was written."""
    asked = f"the results of the trial {trial!r} were to be read from {path.name}"
    return unseal(path, SCHEMA, {"trial": trial, "run": run}, asked)


def seal(path: Path, table: pa.Table, marks: Mapping[str, str]) -> None:
    """Write rows with marks that say whose they are, and what `unseal` knows them by.

    Text columns of the table have the type TEXT, all others are numbers.
    """
    known = {**marks, "rows": str(table.num_rows), "sha256": _digest(table)}
    write_atomically(path, to_parquet(table.replace_schema_metadata(known)))


def unseal(path: Path, schema: pa.Schema, marks: Mapping[str, str], asked: str) -> pa.Table:
    """The rows that `seal` wrote; DataError if they are not, with `asked` as its first words.

    Page checksums, the schema, and the marks (those given, number of rows, sha256 of all rows)
    are checked. ProbeError if the file is there but the system does not let it be read.
    """
    again = "start the same command again, which computes this trial again"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(asked, "there is no such file", again) from error
    except OSError as error:
        raise ProbeError(asked, error.strerror or str(error)) from error
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        table = file.read()
        if not table.schema.equals(schema):
            raise DataError(asked, "its columns are not those of a table", again)
        noted = table.schema.metadata or {}
        read = {key.decode(): text.decode() for key, text in noted.items()}
        found = {"rows": str(table.num_rows), "sha256": _digest(table)}
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        raise DataError(asked, f"the file is damaged ({error})", again) from error
    expected = {**marks, **found}
    wrong = [name for name, text in expected.items() if read.get(name) != text]
    if wrong:
        raise DataError(asked, f"it is damaged or another's: wrong {', '.join(wrong)}", again)
    return table.replace_schema_metadata(None)


def to_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file, with a checksum on every page."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def _to_arrow(trial: str, frame: pd.DataFrame) -> pa.Table:
    """The rows of one trial with the columns and types of SCHEMA; ProbeError if they differ."""
    asked = f"the rows of the trial {trial!r} were to be kept"
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing or len(frame.columns) != len(COLUMNS):
        allowed = f"needed are exactly {', '.join(COLUMNS)}"
        raise ProbeError(asked, f"the columns are {', '.join(map(str, frame.columns))}", allowed)
    try:
        columns = [
            column(name, frame[name].to_numpy(), SCHEMA.field(name).type) for name in COLUMNS
        ]
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ProbeError(asked, str(error), "text, whole numbers and numbers") from error
    others = set(frame["trial"]) - {trial}
    if others:
        raise ProbeError(asked, f"rows of {sorted(others)[0]!r} are among them", "one trial each")
    return pa.table(columns, schema=SCHEMA)


def column(name: str, values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """One column in its type; NaN stays NaN in numbers and is an error in text."""
    if kind.equals(TEXT):
        if pd.isna(values).any():
            raise ValueError(f"the column {name} has missing values")
        return pa.array(values.astype(object), pa.string()).dictionary_encode()
    if not np.can_cast(values.dtype, kind.to_pandas_dtype(), "safe"):
        raise TypeError(f"the column {name} is of type {values.dtype}")
    return pa.array(values.astype(kind.to_pandas_dtype()))


def _digest(table: pa.Table) -> str:
    """The sha256 of what a table says: names, texts and the bits of the numbers, in order."""
    sha = hashlib.sha256()
    frame = table.to_pandas()
    for name in frame.columns:
        values, texts = frame[name], []
        if isinstance(values.dtype, pd.CategoricalDtype):
            values, texts = pd.factorize(values)
        sha.update(json.dumps([name, len(frame), *texts]).encode())
        sha.update(np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()
