"""Small data files for the tests of reading."""

from pathlib import Path

import numpy as np
import pandas as pd


def long_frame(items: dict[str, pd.DatetimeIndex], seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    parts = [
        pd.DataFrame({"item_id": name, "timestamp": at, "target": random.normal(size=len(at))})
        for name, at in items.items()
    ]
    return pd.concat(parts, ignore_index=True)


def days(length: int, freq: str = "D", start: str = "2020-01-06") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=length, freq=freq)


def text_file(folder: Path, text: str, name: str = "sales.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def rows(*lines: str, head: str = "item_id,timestamp,target") -> str:
    return "\n".join((head, *lines, ""))


GOOD = [f"good,2020-01-0{day},{day}.5" for day in range(1, 6)]
