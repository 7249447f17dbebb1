"""One column of a file as an array, with what could not be read of it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tsfm_probe.errors import DataError

MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?")
DATED = r"\d{4}|\d[/.-]\w+[/.-]\d"  # a year in full, or day, month and year apart
FIRST_YEAR, LAST_YEAR = np.datetime64("1678", "Y"), np.datetime64("2262", "Y")
READERS: tuple[dict[str, Any], ...] = ({"format": "ISO8601"}, {}, {"dayfirst": True})


@dataclass(frozen=True, eq=False)
class Column:
    """The rows of one column.

    values: [row] float64, datetime64[ns] or int64.
    bad: [row] which rows could not be read, or None if all could.
    words: what stood in the rows, kept only if some could not be read.
    """

    values: np.ndarray
    bad: np.ndarray | None = None
    words: Any = None

    def part(self, rows: slice | np.ndarray, trouble: str) -> np.ndarray:
        """The values of some rows; DataError, named by `trouble`, if one could not be read."""
        if self.bad is not None and self.bad[rows].any():
            first = int(np.arange(len(self.bad))[rows][np.argmax(self.bad[rows])])
            word = self.words[first].as_py()
            said = "nothing stands" if word is None or word == "" else f"{str(word)[:40]!r} stands"
            raise DataError(f"{trouble}: {said} in row {first + 1}")
        return self.values[rows]


def usable(values: np.ndarray) -> np.ndarray:
    """The values of one series as they are; DataError if one is infinite or all are missing."""
    infinite = np.isinf(values)
    if infinite.any():
        first = int(np.argmax(infinite))
        raise DataError(f"infinite values: {values[first]} is value {first + 1} of {len(values)}")
    if np.isnan(values).all():
        raise DataError(f"all values missing: {len(values)} rows without a number")
    return values


def numbers(column: pa.ChunkedArray, label: str) -> Column:
    """Read a column as float64, NaN where a value is missing; words that are no numbers are bad.

    label: what an error calls the column.

    DataError if the column has a type that holds neither numbers nor text.
    """
    kind = column.type
    types = pa.types
    if types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        # A copy lets go of the file's memory, and torch takes only writable arrays silently.
        return Column(values if values.flags.writeable else values.copy())
    if types.is_null(kind):
        return Column(np.full(len(column), np.nan))
    return _each_word(column, label, "numbers", _to_numbers)


def stamps(column: pa.ChunkedArray, label: str) -> Column:
    """Read a column as time stamps: datetime64[ns] in UTC, or int64 where it holds whole numbers.

    Text is read as ISO 8601, otherwise as pandas guesses it, month before day unless only day
    before month reads all. DataError if the column has a type that holds no time stamps.
    """
    kind = column.type
    if pa.types.is_date(kind):
        column, kind = column.cast(pa.timestamp("s")), pa.timestamp("s")
    if pa.types.is_timestamp(kind):
        values = column.to_numpy()  # in UTC, whatever the zone
        if kind.unit != "ns":
            # Nanoseconds cannot count further; numpy would let other years overflow silently.
            outside = (values < FIRST_YEAR) | (values >= LAST_YEAR)
            values = np.where(outside, np.datetime64("NaT"), values).astype("datetime64[ns]")
        return _checked(values, np.isnat(values), column)
    if pa.types.is_integer(kind):
        values = column.fill_null(0).cast(pa.int64()).to_numpy()
        return _checked(values, column.is_null().to_numpy(), column)
    return _each_word(column, label, "time stamps", _to_stamps)


def _each_word(
    column: pa.ChunkedArray,
    label: str,
    wanted: str,
    read: Callable[[pd.Series], tuple[np.ndarray, np.ndarray]],
) -> Column:
    """Read every different word of a column once; `read` gives values [word] and bad [word]."""
    kind = column.type
    types = pa.types
    if types.is_nested(kind) or types.is_binary(kind) or types.is_floating(kind):
        raise DataError(
            f"no {wanted}: column {label} has the type {kind}",
            allowed="allowed is one of them, or a word, per row",
        )
    words = column.cast(pa.string()).dictionary_encode().unify_dictionaries().combine_chunks()
    coded = words.chunk(0) if isinstance(words, pa.ChunkedArray) else words
    # The last word stands for an empty row.
    known = pd.Series([*coded.dictionary.to_pylist(), ""], dtype=object)
    values, bad = read(known)
    codes = coded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
    return _checked(values[codes], bad[codes], column)


def _to_numbers(words: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(pd.to_numeric(words, errors="coerce"), dtype=np.float64)
    missing = words.str.strip().str.lower().isin(MISSING)
    return values, np.isnan(values) & ~np.asarray(missing)


def _to_stamps(words: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    # Without a year there is no date, and pandas would fill in today's.
    likely = words.where(words.str.contains(DATED))
    best = np.full(len(words), np.datetime64("NaT", "ns"))
    for options in READERS:
        with warnings.catch_warnings():
            # pandas says that it guesses: which it does here on purpose.
            warnings.simplefilter("ignore", UserWarning)
            found = pd.to_datetime(likely, errors="coerce", utc=True, **options)
        values = found.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")
        if np.isnat(values).sum() < np.isnat(best).sum():
            best = values
    return best, np.isnat(best)


def _checked(values: np.ndarray, bad: np.ndarray, words: pa.ChunkedArray) -> Column:
    return Column(values, bad, words) if bad.any() else Column(values)
