"""Tables that a run keeps as CSV files in its folder, and reads again when it goes on."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from tsfm_probe.durable import write_atomically

TEXT = {"layer": str}
"""Columns of names that may look like numbers."""


def keep(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as `<name>.csv`, as a whole or not at all."""
    for name, table in tables.items():
        write_atomically(folder / f"{name}.csv", table.to_csv(index=False).encode())


def kept(folder: Path, names: Sequence[str]) -> dict[str, pd.DataFrame] | None:
    """The tables of these names with the very numbers; None unless all of them are there."""
    try:
        return {name: _read(folder / f"{name}.csv") for name in names}
    except (FileNotFoundError, ValueError):
        return None


def _read(path: Path) -> pd.DataFrame:
    """ValueError for a file that was cut off."""
    text = path.read_bytes()
    if not text.endswith(b"\n"):
        raise ValueError(f"{path} was cut off")
    exact: Any = {"dtype": TEXT, "float_precision": "round_trip"}
    return pd.read_csv(BytesIO(text), **exact)
