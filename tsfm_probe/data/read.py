"""Reading time series from CSV and Parquet files."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tsfm_probe.data.dataset import Dataset, Skipped
from tsfm_probe.data.frequency import frequency
from tsfm_probe.data.layout import ITEM, TARGET, TIME, Columns, Long, layout
from tsfm_probe.data.long import read_long
from tsfm_probe.data.series import Series
from tsfm_probe.data.source import Source, find_sources
from tsfm_probe.data.wide import read_wide
from tsfm_probe.errors import UsageError


def read(
    paths: str | Path | Iterable[str | Path],
    *,
    item: str = ITEM,
    time: str = TIME,
    target: str = TARGET,
    freq: str | None = None,
) -> Dataset:
    """Read series from .csv, .csv.gz and .parquet files, or from all such files in a folder.

    item, time, target: columns of a file in long form, one row per value; without the item
        column the file is one series, named after the file. A file without the item and target
        columns is in wide form: its column `time`, or one named date, time, timestamp, ds or
        datetime, or the first, holds the time stamps and every other column is a series.
    freq: pandas alias of the spacing; by default the time stamps tell it, series by series.
        With it, missing rows become missing values (NaN), and whole numbers may stand for dates.

    Rows may be in any order; time stamps with a time zone become UTC. Series are named
    `<item>`, with several files `<file>/<item>`. A series that cannot be used (irregular,
    duplicated or unreadable time stamps, text, infinite values, no value at all) is skipped.
    UsageError if the columns or the frequency do not fit, DataError if a file cannot be read or
    no series is left.
    """
    places = [Path(one) for one in ([paths] if isinstance(paths, str | Path) else paths)]
    if not places:
        raise UsageError("no data file was given", allowed="at least one file or folder")
    alias = None if freq is None else frequency(freq)
    asked = Columns(item, time, target)
    sources = find_sources(places)
    series: list[Series] = []
    skipped: list[Skipped] = []
    for source in sources:
        for one in _read_one(source, asked, alias, several=len(sources) > 1):
            if isinstance(one, Series):
                series.append(one)
            else:
                skipped.append(one)
    return Dataset.of(series, _name(places, sources), skipped)


def _read_one(
    source: Source, asked: Columns, freq: str | None, several: bool
) -> list[Series | Skipped]:
    form = layout(source, asked)
    found = (
        read_long(source, form, freq) if isinstance(form, Long) else read_wide(source, form, freq)
    )
    return [_named(one, source.name) for one in found] if several else list(found)


def _named(one: Series | Skipped, file: str) -> Series | Skipped:
    """The same with the file before its name, unless it is named after the file already."""
    if isinstance(one, Skipped):
        return replace(one, series=f"{file}/{one.series}")
    return one if one.name == file else replace(one, name=f"{file}/{one.name}")


def _name(places: list[Path], sources: list[Source]) -> str:
    """A short name: that of the file or folder, of two files, or of the first and how many more."""
    names = [source.name for source in sources]
    if len(places) == 1:
        return names[0] if places[0] == sources[0].path else places[0].resolve().name
    return "+".join(names) if len(names) < 3 else f"{names[0]}+{len(names) - 1}"
