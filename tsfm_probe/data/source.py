"""A data file: found, opened, and its columns read with pyarrow."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from tsfm_probe.errors import DataError, UsageError, nearest

SUFFIXES = (".csv", ".csv.gz", ".parquet")
WORDS = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, eq=False)
class Source:
    """A CSV or Parquet file whose columns are known but not yet read.

    path: the file.
    types: the Arrow type of each column; of a CSV file, as the first block of it suggests.
    """

    path: Path
    types: Mapping[str, pa.DataType]

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.name[: -len(_suffix(self.path))]

    @property
    def typed(self) -> bool:
        """Whether the file itself states the types of its columns."""
        return _suffix(self.path) == ".parquet"

    @property
    def columns(self) -> str:
        """The columns as words for an error."""
        names = list(self.types)
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        return f"found the columns {', '.join(map(repr, names[:12]))}{more}"

    @classmethod
    def open(cls, path: Path) -> "Source":
        """Read the columns' names and types; DataError if the file is not what it is named."""
        with _reading(path):
            if path.stat().st_size == 0:
                raise DataError(f"{path} is empty", allowed="allowed is a file with rows")
            if _suffix(path) == ".parquet":
                schema = arrow_parquet.read_schema(path)
            else:
                with _stream(path) as stream, arrow_csv.open_csv(stream) as reader:
                    schema = reader.schema
            names = list(schema.names)
        name, times = Counter(names).most_common(1)[0] if names else ("", 0)
        if times > 1:
            raise DataError(
                f"{times} columns of {path} are named {name!r}",
                allowed="the names of columns must differ",
            )
        return cls(path, dict(zip(names, schema.types, strict=True)))

    def read(self, columns: Sequence[str], words: str | None = None) -> pa.Table:
        """Read some columns; DataError if the file is broken or has no rows.

        words: a column that is read as text, each different word once, whatever it looks like.
        """
        with _reading(self.path):
            if self.typed:
                kept = [words] if words and pa.types.is_string(self.types[words]) else []
                with arrow_parquet.ParquetFile(self.path, read_dictionary=kept) as file:
                    table = file.read(columns=list(columns))
            else:
                options = arrow_csv.ConvertOptions(
                    include_columns=list(columns), column_types={words: WORDS} if words else None
                )
                with _stream(self.path) as stream:
                    table = arrow_csv.read_csv(stream, convert_options=options)
        if table.num_rows == 0:
            raise DataError(f"{self.path} has no rows", self.columns, "allowed is at least one row")
        return table


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """Open files, and all data files of folders in the order of their names.

    DataError for what is missing, unreadable or without data, UsageError for another suffix.
    """
    return [Source.open(file) for path in paths for file in _files(path)]


def _files(path: Path) -> list[Path]:
    with _reading(path):
        mode = path.stat().st_mode
        if S_ISDIR(mode):
            return _files_in(path)
    if not S_ISREG(mode):
        raise DataError(f"{path} was asked for", "it is neither a file nor a folder")
    if _suffix(path) == "":
        raise UsageError(
            f"{path} was asked for", f"its suffix is {path.suffix!r}", f"allowed are {_suffixes()}"
        )
    return [path]


def _files_in(folder: Path) -> list[Path]:
    names = sorted(folder.iterdir())
    if folder / "state.json" in names:
        raise DataError(
            f"{folder} is a folder of Hugging Face datasets (it has a state.json)",
            "such folders, as GIFT-Eval uses them, cannot be read here",
            f"allowed are {_suffixes()}",
        )
    found = [one for one in names if _suffix(one) and not one.name.startswith(".")]
    if not found:
        raise DataError(
            f"no data in the folder {folder}",
            f"none of its {len(names)} entries is a data file (folders in it are not searched)",
            f"allowed are {_suffixes()}",
        )
    return found


def _suffix(path: Path) -> str:
    return next((one for one in SUFFIXES if path.name.lower().endswith(one)), "")


def _suffixes() -> str:
    return f"files that end in {', '.join(SUFFIXES)}"


def _stream(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression="gzip" if _suffix(path) == ".csv.gz" else None)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what the system or pyarrow says about a file into one clear DataError."""
    try:
        yield
    except FileNotFoundError as error:
        found = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, found) if found else f"there is no folder {path.parent} either"
        raise DataError(f"{path} was asked for", "no such file or folder", hint) from error
    except PermissionError as error:
        raise DataError(f"{path} cannot be read", "no permission to read it") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200]
        kind = "Parquet" if _suffix(path) == ".parquet" else "CSV"
        raise DataError(f"{path} cannot be read as {kind}", said) from error
