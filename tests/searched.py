"""Small prunings of tiny networks: what is cut, searched and compared."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from tests.families import contexts
from tsfm_probe.address import Address
from tsfm_probe.data.series import Series
from tsfm_probe.metrics import measure
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.probes.batches import seen
from tsfm_probe.prune.budget import Budget
from tsfm_probe.prune.proof import Proof
from tsfm_probe.prune.search import Path as Searched
from tsfm_probe.prune.study import Study, divided, searched
from tsfm_probe.prune.units import Choice
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.surgery.edit import Edit, edited

HORIZON, SAMPLES = 4, 2
PROOF = Proof(contexts(), 9)


def walks(*lengths: int) -> tuple[Series, ...]:
    """Daily random walks far from zero, of these lengths: s0, s1, ..."""
    rng, start = np.random.default_rng(0), pd.Timestamp.fromisoformat("2020-01-06")
    values = [50 + rng.normal(size=length).cumsum() for length in lengths]
    return tuple(Series(f"s{number}", one, start, "D") for number, one in enumerate(values))


def study(
    model: Model,
    folder: Path,
    choice: Choice = Choice(),  # noqa: B008
    budget: Budget = Budget(2.0, curve=False),  # noqa: B008
    seed: int = 0,
) -> Study:
    """Of 3 series with 2 windows to search on and 2 to confirm on each."""
    series = walks(70, 70, 60)
    setting = Setting(horizon=HORIZON, windows=4, samples=SAMPLES, seed=seed)
    searching, unseen = divided(Job.of(model, series, setting), choice)
    run = RunFolder.start(folder, {"a": "test"}, {})
    return Study(searching, unseen, series, choice, budget, run)


def path_of(asked: Study) -> Searched:
    """What the search finds."""
    return searched(asked, asked.judges[0], lambda *_: None)[1]


def rises(job: Job, addresses: Iterable[Address]) -> tuple[float, float]:
    """By how many percent MASE and WQL rise without some parts, measured here window by window."""
    model, found = job.model, []
    parts = Cut.of(model.anatomy, addresses).addresses(model.anatomy)
    for edits in ([], [Edit(at) for at in parts]):
        with edited(model.anatomy, edits):
            values = [
                model.forecast([one], HORIZON, job.setting.seed, SAMPLES).values[0]
                for one in seen(job.windows)
            ]
        rows = [
            measure(window, one, LEVELS, one)
            for window, one in zip(job.windows, values, strict=True)
        ]
        found.append(np.array([[row["MASE"], row["WQL"]] for row in rows]))
    mase, wql = 100 * (np.exp(np.log(found[1] / found[0]).mean(axis=0)) - 1)
    return float(mase), float(wql)


def some(model: Model) -> tuple[Address, ...]:
    """A layer, an MLP and a head."""
    first, *_, last = model.anatomy.layers.values()
    mlp = next(at for at in last if at.part == "mlp")
    return (*first, mlp, model.anatomy.heads[-1])
