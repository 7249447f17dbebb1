"""How much more a forecast errs without some parts: measured on windows, kept in a run folder."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from tsfm_probe.address import Address
from tsfm_probe.bootstrap import log_ratios
from tsfm_probe.metrics import measure
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.ablation import UNTOUCHED, Job, rows
from tsfm_probe.probes.sweep import Sweep
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.surgery.plan import Trial

METRICS = ("MASE", "WQL")
BROKEN = float("inf")


@dataclass(frozen=True)
class Rise:
    """By how many percent the geometric means of two errors rise; infinite where one is broken."""

    mase: float
    wql: float

    @property
    def worst(self) -> float:
        """The larger of both."""
        return max(self.mase, self.wql)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Rise":
        """That of a trial's rows (see table.Table)."""
        found = []
        for metric in METRICS:
            part = frame.loc[frame["metric"] == metric]
            value, base = part["value"].to_numpy(), part["base"].to_numpy()
            logs = log_ratios(value, base)
            broken = (~np.isfinite(value) & np.isfinite(base)).any()
            known = not (broken or np.isnan(logs).all())
            found.append(100 * float(np.expm1(np.nanmean(logs))) if known else BROKEN)
        return cls(*found)


class Judge:
    """Ablates sets of parts together on the windows of a job; what was measured is kept.

    What is cut is taken in its largest parts: all heads of an attention are the attention.
    prefix: in front of the names of trials, where several share a folder.
    """

    def __init__(self, job: Job, folder: RunFolder, batch_size: int = 0, prefix: str = "") -> None:
        self.job = job
        self.folder = folder
        self.batch_size = batch_size
        self.prefix = prefix

    def trial(self, name: str, kind: str, addresses: Iterable[Address]) -> Trial:
        """The trial that ablates some parts together; UsageError as from Cut.of."""
        anatomy = self.job.model.anatomy
        at = Cut.of(anatomy, addresses).addresses(anatomy)
        return Trial(self.prefix + name, kind, at)

    def frame(self, trial: Trial) -> pd.DataFrame:
        """The rows of one trial: read if they are there, otherwise measured and kept."""
        name = trial.name
        if not self.folder.shard(name).exists() or name not in self.folder.done([name]):
            self.folder.write(name, self._measured(trial))
        return self.folder.table([name], {}).frame

    def rise(self, trial: Trial) -> Rise:
        """How much the errors rise under a trial."""
        return Rise.of(self.frame(trial))

    def other(self, name: str, model: Model) -> pd.DataFrame:
        """The rows of another model in place of an ablated one; nothing is kept."""
        found = replace(self.job, model=model).sweep(self.batch_size).forecasts(UNTOUCHED)
        return self._rows(Trial(self.prefix + name, "cut", ()), found)

    def _measured(self, trial: Trial) -> pd.DataFrame:
        return self._rows(trial, self._forecaster.forecasts(trial))

    def _rows(self, trial: Trial, found: np.ndarray) -> pd.DataFrame:
        base, bases = self._untouched
        return rows(self.job, trial, found, base, bases)

    @cached_property
    def _forecaster(self) -> Sweep:
        return self.job.sweep(self.batch_size)

    @cached_property
    def _untouched(self) -> tuple[np.ndarray, list[dict[str, float]]]:
        """The untouched forecasts [window, horizon, level], and their metrics by window."""
        base = self._forecaster.forecasts(UNTOUCHED)
        pairs = zip(self.job.windows, base, strict=True)
        return base, [measure(window, one, LEVELS, one) for window, one in pairs]
