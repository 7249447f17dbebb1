"""The part of the windows on which a cut is searched, and the part that confirms it."""

from collections.abc import Sequence

from tsfm_probe.data.series import Window
from tsfm_probe.errors import DataError

Windows = tuple[Window, ...]


def split(windows: Sequence[Window]) -> tuple[Windows, Windows]:
    """The earlier half of each series' windows to search on, the later half to confirm.

    A series with one window goes to either part in turn. What is searched never sees the targets of
    the later part. DataError if one of the parts would be empty.
    """
    first: list[Window] = []
    second: list[Window] = []
    series: dict[str, list[Window]] = {}
    for window in windows:
        series.setdefault(window.series, []).append(window)
    alone = 0
    for own in series.values():
        half = len(own) // 2
        if len(own) == 1:
            half, alone = alone % 2, alone + 1
        first += own[:half]
        second += own[half:]
    if not first or not second:
        raise DataError(
            "windows to search on and others to confirm were asked for",
            f"there are {len(windows)}",
            "two at least: longer series, more of them, or a shorter --horizon",
        )
    return tuple(first), tuple(second)
