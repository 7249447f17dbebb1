"""Series from a file in long form: one row per value."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from tsfm_probe.data.column import numbers, stamps, usable
from tsfm_probe.data.dataset import Skipped
from tsfm_probe.data.grid import Grid
from tsfm_probe.data.layout import Long
from tsfm_probe.data.series import Series
from tsfm_probe.data.source import Source
from tsfm_probe.errors import DataError


def read_long(source: Source, form: Long, freq: str | None) -> Iterator[Series | Skipped]:
    """Each item of a file as a series, or why it is skipped, in order of first appearance."""
    columns = [name for name in (form.item, form.time, form.target) if name is not None]
    table = source.read(columns, words=form.item)
    time = stamps(table[form.time], f"{form.time!r} of {source.path}")
    target = numbers(table[form.target], f"{form.target!r} of {source.path}")
    names, groups = _groups(table, form.item, source.name)
    del table  # what is needed of it is copied by now, and it is as large as the file
    last: tuple[np.ndarray, Grid] | None = None
    for name, rows in zip(names, groups, strict=True):
        if name is None:
            yield Skipped("(no name)", f"no item: {_size(rows)} rows have no {form.item!r}")
            continue
        try:
            found = time.part(rows, "unreadable time stamp")
            # Items often share their time stamps; what was found for one holds for the next.
            if last is None or not np.array_equal(last[0], found):
                last = found, Grid.of(found, freq)
            grid = last[1]
            values = usable(target.part(rows, "text in the target"))
        except DataError as error:
            yield Skipped(name, str(error))
        else:
            yield Series(name, grid.place(values), grid.start, grid.freq)


def _size(rows: slice | np.ndarray) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _groups(
    table: pa.Table, item: str | None, whole: str
) -> tuple[list[str | None], list[slice] | list[np.ndarray]]:
    """The names of the items and the rows of each, a slice where they stand together.

    Without an item column all rows are one item named `whole`; a row without an item has the
    name None. DataError if the items are neither words nor numbers.
    """
    if item is None:
        return [whole], [slice(0, table.num_rows)]
    coded = table[item]
    kind = coded.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise DataError(
            f"no names: column {item!r} of {whole!r} has the type {kind}",
            allowed="allowed is one word or number per row",
        )
    if not pa.types.is_dictionary(kind):
        coded = coded.dictionary_encode()
    merged = coded.unify_dictionaries().combine_chunks()
    words = [*(str(word) or None for word in merged.dictionary.to_pylist()), None]
    codes = merged.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    changes = codes[1:] != codes[:-1]
    # Items whose rows do not stand together change more often than there are items.
    if np.count_nonzero(changes) < len(words):
        edges = np.flatnonzero(changes) + 1
        runs = [words[code] for code in codes[np.concatenate([[0], edges])]]
        if len(set(runs)) == len(runs):
            return runs, [slice(*pair) for pair in pairwise([0, *edges.tolist(), len(codes)])]
    order = np.argsort(codes, kind="stable")
    split = np.flatnonzero(np.diff(codes[order])) + 1
    groups = sorted(np.split(order, split), key=lambda rows: rows[0])
    return [words[codes[rows[0]]] for rows in groups], groups
