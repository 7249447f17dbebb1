"""Series from a file in wide form: one row per time stamp, one column per series."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tsfm_probe.data.column import Column, numbers, stamps, usable
from tsfm_probe.data.dataset import Skipped
from tsfm_probe.data.grid import Grid
from tsfm_probe.data.layout import OPTIONS, Wide
from tsfm_probe.data.series import Series
from tsfm_probe.data.source import Source
from tsfm_probe.errors import DataError, UsageError


def read_wide(source: Source, form: Wide, freq: str | None) -> Iterator[Series | Skipped]:
    """Each column of a file as a series, or why it is skipped, in the order of the columns.

    UsageError if the file is not in wide form after all.
    """
    table = source.read([form.time, *form.values])
    time = stamps(table[form.time], f"{form.time!r} of {source.path}")
    _refuse_other_forms(source, form, table, time)
    rows = slice(0, table.num_rows)
    try:
        grid = Grid.of(time.part(rows, "unreadable time stamp"), freq)
    except DataError as error:
        yield from (Skipped(name, str(error)) for name in form.values)
        return
    for name in form.values:
        if not name.strip():
            yield Skipped("(no name)", "no name: a column without a name")
            continue
        try:
            values = usable(numbers(table[name], repr(name)).part(rows, "text in the target"))
        except DataError as error:
            yield Skipped(name, str(error))
        else:
            yield Series(name, grid.place(values), grid.start, grid.freq)


def _refuse_other_forms(source: Source, form: Wide, table: pa.Table, time: Column) -> None:
    """UsageError if no row has a time stamp, or if they repeat beside text as in long form."""
    if time.bad is not None and time.bad.all():
        raise UsageError(
            f"{source.path} is in neither long nor wide form: no row has a time stamp that can "
            f"be read in column {form.time!r}",
            source.columns,
            OPTIONS,
        )
    words = [name for name in form.values if _is_text(table[name].type)]
    if words and len(np.unique(time.values)) < len(time.values):
        raise UsageError(
            f"{source.path} may be in long form: time stamps repeat beside text in {words[0]!r}",
            source.columns,
            OPTIONS,
        )


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind)
