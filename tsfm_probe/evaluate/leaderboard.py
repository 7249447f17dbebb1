"""Scores over many configurations: the geometric mean of a model's error over the naive one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsfm_probe.errors import DataError
from tsfm_probe.evaluate.trials import Trial

SCORED = {"MASE": "MASE[0.5]", "CRPS": "mean_weighted_sum_quantile_loss"}
"""What the leaderboard ranks by, and the metric that it is made of."""


@dataclass(frozen=True)
class Line:
    """One line of the published leaderboard, on all 97 configurations.

    mase, crps: geometric means over the configurations, in units of the seasonal naive forecast.
    """

    model: str
    mase: float
    crps: float


PUBLISHED = (
    Line("Chronos-T5 small", 0.892, 0.663),
    Line("Chronos-Bolt base", 0.808, 0.574),
    Line("TimesFM 2.5", 0.705, 0.490),
    Line("Chronos-2", 0.698, 0.485),
)


def summary(table: pd.DataFrame, trials: Sequence[Trial]) -> pd.DataFrame:
    """One row for each trial, with the scores of the trial and of the untouched model.

    MASE, CRPS: geometric mean of value / naive over the configurations in which naive is finite
    and not zero; `configurations` says how many these are, `of` how many there are. NaN if a value
    is not finite there: a broken forecast has no score, and is not left out of it either.
    MASE_untouched, CRPS_untouched: the same of value / base.
    """
    made = []
    for trial in trials:
        row: dict[str, object] = {"trial": trial.name, "kind": trial.kind}
        own = table[table["trial"] == trial.name]
        for name, metric in SCORED.items():
            rows = own[own["metric"] == metric]
            row[name], row["configurations"] = _mean(rows["value"], rows["naive"])
            row[f"{name}_untouched"], _ = _mean(rows["value"], rows["base"])
            row["of"] = len(rows)
        made.append(row)
    names = ["trial", "kind", "MASE", "CRPS", "MASE_untouched", "CRPS_untouched"]
    return pd.DataFrame(made, columns=pd.Index([*names, "configurations", "of"]))


def read(path: Path) -> tuple[Line, ...]:
    """Lines of a CSV file with the columns model, MASE and CRPS; DataError if it is not that."""
    asked = f"the leaderboard {path}"
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(asked, " ".join(str(error).split())[:200], "a CSV file") from error
    for name in ("model", "MASE", "CRPS"):
        if name not in frame:
            raise DataError(asked, f"it has no column {name}", "the columns model, MASE and CRPS")
    try:
        rows = zip(frame["model"], frame["MASE"], frame["CRPS"], strict=True)
        return tuple(Line(str(name), float(mase), float(crps)) for name, mase, crps in rows)
    except ValueError as error:
        raise DataError(asked, str(error), "MASE and CRPS are numbers") from error


def _mean(values: Any, others: Any) -> tuple[float, int]:
    """The geometric mean of the ratios of two columns, and of how many of them.

    Those in which the other is infinite, undefined or zero do not count.
    """
    usable = np.isfinite(others) & (others > 0)
    with np.errstate(divide="ignore"):
        logs = np.log(values[usable] / others[usable])
    return float(np.exp(logs.mean(skipna=False))), len(logs)
