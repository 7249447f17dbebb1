"""Series on which a model is nearly perfect, so that every part of it matters."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tests.families import contexts
from tsfm_probe.data.series import Series
from tsfm_probe.data.synthetic import generated
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting

HORIZON = 4
START = pd.Timestamp("2024-01-01")


def job(model: Model, series: Iterable[Series] | None = None, **options: Any) -> Job:
    asked = {"horizon": HORIZON, "windows": 1, "samples": 4} | options
    return Job.of(model, series or generated(1, 90, seed=1)[:3], Setting(**asked))


def nearly_perfect(model: Model) -> list[Series]:
    """Series that go on as the model says, but for a little: whatever changes it makes it worse."""
    rng = np.random.default_rng(0)
    made = []
    for number, context in enumerate(contexts(4)):
        history = np.nan_to_num(context, nan=float(np.nanmean(context)))
        said = model.forecast([history], HORIZON, 0, 4).values[0, :, 4]
        little = 1e-3 * np.std(history) * rng.normal(size=HORIZON)
        values = np.concatenate([history, said + little])
        made.append(Series(f"s{number}", values, START, "h"))
    return made
