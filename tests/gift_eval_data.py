"""A small folder in the form of GIFT-Eval, and its windows as GIFT-Eval's own class cuts them."""

import math
import warnings
from datetime import datetime
from pathlib import Path

import datasets
import numpy as np
from gluonts.dataset.common import ProcessDataEntry
from gluonts.dataset.split import TestData, split
from gluonts.itertools import Map

START = datetime(2020, 1, 5)


def series(length: int, seed: int, dims: int = 0) -> np.ndarray:
    """Values around a season of 12 [time], or [dim, time]."""
    rng = np.random.default_rng(seed)
    shape = (dims, length) if dims else (length,)
    season = 3 * np.sin(2 * np.pi * np.arange(length) / 12)
    return (10 + season + rng.normal(size=shape).cumsum(axis=-1) * 0.3).astype(np.float32)


def write(folder: Path) -> Path:
    """us_births/M with missing values, bizitobs_l2c/H with two dimensions, m4_weekly."""
    births = [series(length, seed) for seed, length in enumerate((150, 170, 131))]
    births[0][20:25] = births[0][-3] = births[2][:9] = np.nan
    _save(folder / "us_births" / "M", "M", births)
    _save(folder / "bizitobs_l2c" / "H", "H", [series(600, 7, dims=2)])
    _save(folder / "m4_weekly", "W-SUN", [series(length, length) for length in (60, 90)])
    return folder


def _save(folder: Path, freq: str, targets: list[np.ndarray]) -> None:
    rows = [
        {"item_id": f"s{number}", "start": START, "freq": freq, "target": one.tolist()}
        for number, one in enumerate(targets)
    ]
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).save_to_disk(str(folder))


def official(folder: Path, name: str, horizon: int) -> TestData:
    """The test data that GIFT-Eval's class Dataset gives, each dimension of a target a series.

    Written from its description, with nothing of ours: horizon is given, windows are counted.
    """
    rows = datasets.load_from_disk(str(folder / name)).with_format("numpy")
    first = rows[0]["target"]
    shortest = min(np.shape(row["target"])[-1] for row in rows)
    windows = 1 if "m4" in name else min(max(1, math.ceil(0.1 * shortest / horizon)), 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old spellings of frequencies
        process = ProcessDataEntry(rows[0]["freq"], one_dim_target=first.ndim == 1)
        entries = list(Map(process, [row | {"start": row["start"].item()} for row in rows]))
    if first.ndim > 1:
        entries = [
            one | {"target": values, "item_id": f"{one['item_id']}_dim{number}"}
            for one in entries
            for number, values in enumerate(one["target"])
        ]
    _, template = split(entries, offset=-horizon * windows)
    return template.generate_instances(horizon, windows=windows, distance=horizon)
