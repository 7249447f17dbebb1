"""Rows of tables by what stands in their columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def where(frame: pd.DataFrame, wanted: Mapping[str, object]) -> pd.DataFrame:
    """The rows that have these values in these columns."""
    kept = np.ones(len(frame), dtype=bool)
    for name, value in wanted.items():
        kept &= np.asarray(frame[name] == value)
    return frame.loc[kept, :]


def groups(
    frame: pd.DataFrame, names: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """The rows that have the same in some columns, and what that is; in order of appearance."""
    key: Any
    for key, rows in frame.groupby(list(names), sort=False):
        yield tuple(map(str, key)), rows


def records(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Each row by the names of the columns."""
    return [{str(name): value for name, value in one.items()} for one in frame.to_dict("records")]
