"""What a model loses in accuracy, and in parroting and bias, when heads are cut or turned down."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsfm_probe.address import Address
from tsfm_probe.diagnosis.indices import judging
from tsfm_probe.diagnosis.inputs import Inputs, points
from tsfm_probe.diagnosis.means import means
from tsfm_probe.metrics import measure
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.ablation import UNTOUCHED, Job, rows
from tsfm_probe.probes.sweep import Sweep
from tsfm_probe.surgery.plan import Trial
from tsfm_probe.table import Table
from tsfm_probe.verdict import answer

JUDGED, ACCURACY, ENDS = ("parroting", "bias"), ("MASE", "WQL"), ("", "_low", "_high")
NUMBERS = tuple(f"{one}{end}" for one in (*JUDGED, *ACCURACY) for end in ENDS)
COLUMNS = ("order", "k", "scale", "heads", *NUMBERS, "front")
SCALES = (0.0, 0.5)
UNTOUCHED_ORDER = "untouched"
Orders = Mapping[str, Sequence[Address]]
Progress = Callable[[int, int, str], None]


def repair(
    job: Job,
    inputs: Inputs,
    orders: Orders,
    *,
    scales: Sequence[float] = SCALES,
    most: int = 0,
    batch_size: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Multiply the first 1, 2, 4, ... heads of each order with a scale: columns COLUMNS.

    job: the model, and the windows of real series on which accuracy is measured; its seed and
    samples are those of all forecasts. inputs: the contexts on which parroting and bias are judged
    (Inputs.judging): others than those by which an order was found, on which its first heads look
    better than they are. most: heads at most, 0 for half of an order.
    parroting, bias: the means of the indices, with 95 % intervals over series. MASE, WQL: ratio of
    geometric means to the untouched model, with interval (see verdict.answer); NaN where a forecast
    is broken on every window. heads: what is edited. front: see `front`. The first row, of
    order "untouched" and k 0, is the model as it is. progress: told (done, all, last trial).
    """
    cuts = [_Cut(UNTOUCHED_ORDER, 0, 1.0, UNTOUCHED), *_cuts(orders, scales, most)]
    runner = _Runner(job, inputs.judging_heads(), batch_size)
    for number, cut in enumerate(cuts, 1):
        runner.add(cut)
        if progress:
            progress(number, len(cuts), cut.trial.name)
    found = runner.table(cuts)
    found["front"] = front(found["MASE"].to_numpy(), found["parroting"].to_numpy())
    return found


def random_orders(heads: Sequence[Address], count: int, seed: int) -> dict[str, list[Address]]:
    """Orders to compare with: the heads shuffled, by the names random-1, random-2, ..."""
    return {
        f"random-{number}": [
            heads[place] for place in np.random.default_rng((seed, number)).permutation(len(heads))
        ]
        for number in range(1, count + 1)
    }


def front(error: np.ndarray, parroting: np.ndarray) -> np.ndarray:
    """Which rows no other one beats in error without parroting more, or the reverse: [row] bool.

    An index below zero is no parroting, as zero is. A row without either number is not in front.
    """
    pairs = np.column_stack([error, np.maximum(parroting, 0)])
    beaten = [any((one >= other).all() and (one > other).any() for other in pairs) for one in pairs]
    return np.logical_not(beaten) & np.isfinite(pairs).all(axis=1)


@dataclass(frozen=True)
class _Cut:
    """One row to be: the first k heads of an order, multiplied with a scale."""

    order: str
    k: int
    scale: float
    trial: Trial


def _cuts(orders: Orders, scales: Sequence[float], most: int) -> Iterator[_Cut]:
    """Scale by scale, so that one sweep serves many."""
    for scale in scales:
        for order, heads in orders.items():
            k, last = 1, min(most or max(1, len(heads) // 2), len(heads))
            while k <= last:
                trial = Trial(f"{order}:{k} x {scale:g}", "order", tuple(heads[:k]))
                yield _Cut(order, k, scale, trial)
                k *= 2


class _Runner:
    """Runs cuts on both kinds of windows, and keeps what comes out."""

    def __init__(self, job: Job, inputs: Inputs, batch_size: int) -> None:
        self.job = job
        self.inputs = inputs
        self.batch_size = batch_size
        self.indices: list[np.ndarray] = []
        self.frames: list[pd.DataFrame] = []
        self.scale = np.nan

    def add(self, cut: _Cut) -> None:
        """The first one is to be the untouched model."""
        if cut.scale != self.scale:
            self._sweep(cut.scale)
        self.indices.append(judging(self.inputs, points(self.probes, cut.trial)))
        found = self.real.forecasts(cut.trial)
        if not self.frames:
            self.base = found
            self.bases = [
                measure(window, own, LEVELS, own)
                for window, own in zip(self.job.windows, found, strict=True)
            ]
        self.frames.append(rows(self.job, cut.trial, found, self.base, self.bases))

    def _sweep(self, scale: float) -> None:
        asked, self.scale = self.job.setting, scale
        model, seed, samples, size = self.job.model, asked.seed, asked.samples, self.batch_size
        self.probes = self.inputs.sweep(model, seed, samples, size, scale)
        self.real = Sweep(
            model, self.job.windows, asked.horizon, "zero", seed, samples, size, asked.joint, scale
        )

    def table(self, cuts: Sequence[_Cut]) -> pd.DataFrame:
        """A row for each cut, all but the front."""
        seed = self.job.setting.seed
        judged = np.stack(self.indices, axis=1)
        ends = [means(one, self.inputs.series, seed)[:, :3] for one in judged]
        table = Table(pd.concat(self.frames, ignore_index=True), {})
        answers = answer(table, seed=seed).set_index(["metric", "trial"])
        names = [cut.trial.name for cut in cuts]
        for one in ACCURACY:
            ends.append(answers.loc[one].loc[names, ["ratio", "low", "high"]].to_numpy())
        found = pd.DataFrame(np.concatenate(ends, axis=1), columns=pd.Index(NUMBERS))
        found["order"] = [cut.order for cut in cuts]
        found["k"] = [cut.k for cut in cuts]
        found["scale"] = [cut.scale for cut in cuts]
        found["heads"] = [" ".join(map(str, cut.trial.at)) for cut in cuts]
        return found.reindex(columns=[*COLUMNS])
