"""How the columns of a file hold series: in long form or in wide form."""

import re
from dataclasses import dataclass

import pyarrow as pa

from tsfm_probe.data.source import Source
from tsfm_probe.errors import UsageError, nearest

ITEM, TIME, TARGET = "item_id", "timestamp", "target"
TIME_NAMES = ("date", "time", "timestamp", "ds", "datetime")
OPTIONS = "name the columns with --item-column, --time-column and --target-column"


@dataclass(frozen=True)
class Columns:
    """The columns that the user asks for; the usual names need not be in a file."""

    item: str = ITEM
    time: str = TIME
    target: str = TARGET


@dataclass(frozen=True)
class Long:
    """One row per value: `item` names its series (None: the file is one series)."""

    item: str | None
    time: str
    target: str


@dataclass(frozen=True)
class Wide:
    """One row per time stamp, one column of values per series."""

    time: str
    values: tuple[str, ...]


def layout(source: Source, asked: Columns) -> Long | Wide:
    """The form of a file, told from its columns; UsageError if they fit none or more than one.

    A file with the target column is long; without an item column it is one series, and further
    columns are left out. A file with neither is wide.
    """
    names = list(source.types)
    wanted = (
        ("--item-column", asked.item, ITEM),
        ("--time-column", asked.time, TIME),
        ("--target-column", asked.target, TARGET),
    )
    for option, name, usual in wanted:
        if name != usual and name not in names:
            raise UsageError(
                f"{option} {name!r} was asked for in {source.path}",
                source.columns,
                nearest(name, names),
            )
    if asked.target in names:
        time = _time(source, asked)
        return Long(asked.item if asked.item in names else None, time, asked.target)
    if asked.item in names:
        raise UsageError(
            f"{source.path} has the item column {asked.item!r} but no target column "
            f"{asked.target!r}",
            source.columns,
            OPTIONS,
        )
    time = _time(source, asked)
    values = tuple(name for name in names if name != time)
    if not values:
        raise UsageError(
            f"{source.path} is in neither long nor wide form",
            source.columns,
            "long: item, time and target columns; wide: a time column and one per series; "
            "columns of a CSV file are separated by commas",
        )
    return Wide(time, values)


def _time(source: Source, asked: Columns) -> str:
    """The time column: as asked, of a usual name, the only one of a date type, or the first."""
    if asked.time in source.types:
        return asked.time
    usual = [name for name in source.types if name.lower() in TIME_NAMES]
    if not usual and source.typed:
        kinds = source.types.items()
        usual = [name for name, kind in kinds if pa.types.is_timestamp(kind)]
    if len(usual) == 1:
        return usual[0]
    if usual:
        raise UsageError(
            f"the time column of {source.path} is ambiguous", f"found {', '.join(usual)}", OPTIONS
        )
    first = next(iter(source.types), "")
    if asked.target in source.types:
        raise UsageError(
            f"{source.path} has the target column {asked.target!r} but no time column "
            f"{asked.time!r}",
            source.columns,
            OPTIONS,
        )
    if _is_value(first):
        raise UsageError(
            f"{source.path} has no header", source.columns, "the first row must name the columns"
        )
    return first


def _is_value(name: str) -> bool:
    """Whether the name of a first column looks like a date or a number, so like a row."""
    return re.fullmatch(r"\s*\d[\d\s:./T+-]*Z?\s*", name) is not None
