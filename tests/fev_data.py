"""Small fev tasks on generated series: local Parquet files in both forms that fev reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
HORIZON = 4
SHORT: dict[str, Any] = {
    "horizon": HORIZON,
    "num_windows": 2,
    "seasonality": 7,
    "quantile_levels": LEVELS,
}
MEASURED: dict[str, Any] = {"eval_metric": "WQL", "extra_metrics": ["MASE"]}


def values(seed: int, length: int) -> np.ndarray:
    """Around a season of 7: [time]."""
    rng = np.random.default_rng(seed)
    return 10 + 3 * np.sin(2 * np.pi * np.arange(length) / 7) + 0.3 * rng.normal(size=length)


def long_form(folder: Path) -> Path:
    """Five daily series of different lengths, one with gaps and one that begins with one."""
    made = [values(seed, 60 + 3 * seed) for seed in range(5)]
    made[1][20:25] = made[2][:9] = np.nan
    frames = [
        pd.DataFrame(
            {
                "id": f"s{number}",
                "timestamp": pd.date_range("2024-01-01", periods=len(one), freq="D"),
                "target": one,
            }
        )
        for number, one in enumerate(made)
    ]
    path = folder / "sales.parquet"
    pd.concat(frames, ignore_index=True).to_parquet(path, index=False)
    return path


def wide_form(folder: Path) -> Path:
    """Two items with the targets a, b and empty, which has no value at all."""
    rows = [
        {
            "id": f"i{number}",
            "timestamp": pd.date_range("2024-01-01", periods=70, freq="D").to_numpy(),
            "a": values(10 + number, 70),
            "b": -5 * values(20 + number, 70),
            "empty": np.full(70, np.nan),
        }
        for number in range(2)
    ]
    path = folder / "weather.parquet"
    pd.DataFrame(rows).to_parquet(path, index=False)
    return path


def tasks_file(folder: Path) -> Path:
    """A tasks.yaml of both, the second with two targets."""
    tasks = [
        {"dataset_path": str(long_form(folder)), **SHORT, **MEASURED},
        {"dataset_path": str(wide_form(folder)), "target": ["a", "b"], **SHORT, **MEASURED},
    ]
    path = folder / "tasks.yaml"
    path.write_text(yaml.safe_dump({"tasks": tasks}))
    return path
