"""The ablation sweep: what each head, part or layer is worth to the forecast."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from tsfm_probe.data.dataset import Dataset, Skipped
from tsfm_probe.data.series import Series, Window
from tsfm_probe.data.windows import windows
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.metrics import METRICS, measure
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.fills import METHODS
from tsfm_probe.probes.sweep import Sweep
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.surgery.plan import BY, Plan, Trial
from tsfm_probe.table import COLUMNS, Table

UNTOUCHED = Trial("untouched", "untouched", ())
LARGEST = 2**31 - 1
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Setting:
    """What an ablation run does; everything that its numbers depend on besides model and data.

    by: "head", "part" or "layer". only: a pattern of addresses, "" for all. method: "zero",
    "mean" or "resample". horizon: steps. windows: per series at most. context: values that the
    model sees, 0 for as many as it can read. samples: paths of a sampling family, 0 for the
    checkpoint's own number. seed: of samples, controls and resampling. limit: series at most,
    0 for all. joint: whether series are forecast jointly, those whose windows begin at the same
    time, as the columns of a wide file do. Raises UsageError if one is out of its range.
    """

    by: str = "head"
    only: str = ""
    method: str = "zero"
    horizon: int = 24
    windows: int = 4
    context: int = 0
    samples: int = 0
    seed: int = 0
    limit: int = 0
    joint: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (("by", BY), ("method", METHODS)):
            value = getattr(self, name)
            if value not in allowed:
                raise UsageError(f"{name} {value!r} was asked for", allowed=nearest(value, allowed))
        least = {"horizon": 1, "windows": 1, "context": 0, "samples": 0, "seed": 0, "limit": 0}
        for name, smallest in least.items():
            if not smallest <= getattr(self, name) <= LARGEST:
                raise UsageError(
                    f"{name} {getattr(self, name)} was asked for",
                    allowed=f"allowed is {smallest} to {LARGEST}",
                )


@dataclass(frozen=True, eq=False)
class Job:
    """A model, the windows it is tried on and the trials: all that a run needs, nothing run yet."""

    model: Model
    setting: Setting
    windows: tuple[Window, ...]
    skipped: tuple[Skipped, ...]
    plan: Plan

    @classmethod
    def of(cls, model: Model, series: Iterable[Series], setting: Setting) -> "Job":
        """Cut windows and list trials; UsageError or DataError if nothing is left to do."""
        if setting.joint and not model.joint:
            raise UsageError(
                f"a joint forecast by {model.name}",
                f"{model.family} reads each series on its own",
                "a model with attention between series, such as chronos-2, or no --joint",
            )
        chosen = list(series)[: setting.limit or None]
        length = setting.context or model.context_length
        if length > model.context_length:
            raise UsageError(
                f"context {length} was asked for",
                allowed=f"{model.name} reads {model.context_length} values at most",
            )
        least = setting.context or None
        kept, skipped = windows(
            chosen, setting.horizon, context=length, count=setting.windows, least=least
        )
        if setting.method != "zero" and len(kept) < 2:
            raise UsageError(
                f"ablation by method {setting.method!r}, which takes values of other windows",
                "there is one window",
                "two at least: more --windows or series, or --method zero",
            )
        noise, random = (2 if model.draws_samples else 1), 3
        plan = Plan.each(model.anatomy, setting.by, setting.only)
        plan = plan.with_controls(model.anatomy, noise, random, setting.seed)
        return cls(model, setting, kept, skipped, plan)

    def sweep(self, batch_size: int = 0) -> Sweep:
        """The forecaster of this job's windows."""
        asked = self.setting
        return Sweep(
            self.model,
            self.windows,
            asked.horizon,
            asked.method,
            asked.seed,
            asked.samples,
            batch_size,
            asked.joint,
        )

    def multiply_adds(self) -> float:
        """Multiply-adds in weight matrices of the whole run, as an estimate of its cost."""
        asked = self.setting
        lengths = [len(window.seen) for window in self.windows]
        one = sum(self.model.multiply_adds(size, asked.horizon, asked.samples) for size in lengths)
        return one * (len(self.plan) + 1)


def ablate(
    model: Model,
    series: Iterable[Series] | Dataset,
    *,
    by: str = "head",
    only: str = "",
    method: str = "zero",
    horizon: int = 24,
    windows: int = 4,
    context: int = 0,
    samples: int = 0,
    seed: int = 0,
    limit: int = 0,
    joint: bool = False,
    batch_size: int = 0,
) -> Table:
    """Ablate each head, part or layer in turn and measure what it does to the forecasts.

    The arguments are those of Setting; batch_size 0 chooses one. Every trial is paired with the
    untouched model on the same windows and the same random numbers; the last trials are controls.
    """
    chosen = series.series if isinstance(series, Dataset) else series
    setting = Setting(by, only, method, horizon, windows, context, samples, seed, limit, joint)
    job = Job.of(model, chosen, setting)
    frames = [frame for _, frame in tried(job, job.plan, batch_size)]
    return Table(pd.concat(frames, ignore_index=True), about(job))


def run(
    job: Job,
    folder: RunFolder,
    facts: Mapping[str, str],
    batch_size: int = 0,
    progress: Progress | None = None,
) -> Table:
    """The same into a run folder: trials that are done there are not run again.

    facts: what the table is to say of itself. progress: told (done, all, name of the last trial).
    """
    done = folder.done(job.plan.names)
    left = [trial for trial in job.plan if trial.name not in done]
    total, tell = len(job.plan), progress or (lambda *_: None)
    tell(len(done), total, "")
    for number, (trial, frame) in enumerate(tried(job, left, batch_size), len(done) + 1):
        folder.write(trial.name, frame)
        tell(number, total, trial.name)
    return folder.table(job.plan.names, facts)


def tried(
    job: Job, trials: Iterable[Trial], batch_size: int = 0
) -> Iterator[tuple[Trial, pd.DataFrame]]:
    """The table's rows of one trial after the other; the untouched model runs once, before them."""
    waiting = list(trials)
    if not waiting:
        return
    sweep = job.sweep(batch_size)
    base = sweep.forecasts(UNTOUCHED)
    bases = [
        measure(window, untouched, LEVELS, untouched)
        for window, untouched in zip(job.windows, base, strict=True)
    ]
    for trial in waiting:
        yield trial, rows(job, trial, sweep.forecasts(trial), base, bases)


def about(job: Job) -> dict[str, str]:
    """What the numbers of a job belong to, as text."""
    found = {"model": job.model.name, "family": job.model.family}
    found |= {name: str(value) for name, value in asdict(job.setting).items()}
    found["context"] = str(job.setting.context or job.model.context_length)
    drawn = job.setting.samples or job.model.default_samples
    found["samples"] = str(drawn) if job.model.draws_samples else "none are drawn"
    found["limit"] = str(job.setting.limit or "all series")
    found["only"] = job.setting.only or "everything"
    return found


def rows(
    job: Job,
    trial: Trial,
    found: np.ndarray,
    base: np.ndarray,
    bases: Sequence[Mapping[str, float]],
) -> pd.DataFrame:
    """The table's rows of one trial, from its and the untouched forecasts [window, horizon, level].

    bases: the untouched model's metrics of each window.
    A forecast that ablation made infinite or undefined has NaN for every metric.
    """
    made = []
    for window, edited, untouched, own in zip(job.windows, found, base, bases, strict=True):
        broken = not np.isfinite(edited).all()
        values = (
            dict.fromkeys(METRICS, np.nan) if broken else measure(window, edited, LEVELS, untouched)
        )
        made += [
            (
                job.model.name,
                trial.kind,
                trial.name,
                window.series,
                window.index,
                metric,
                value,
                own[metric],
            )
            for metric, value in values.items()
        ]
    return pd.DataFrame(made, columns=pd.Index(COLUMNS))
