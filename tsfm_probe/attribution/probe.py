"""The attribution of a model's forecasts: which of the tables are made, and how."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from tsfm_probe.attribution.effects import Effects
from tsfm_probe.attribution.examples import Examples
from tsfm_probe.attribution.lens import Lens
from tsfm_probe.attribution.likeness import Likeness
from tsfm_probe.attribution.overthinking import overthinking
from tsfm_probe.attribution.target import Target
from tsfm_probe.attribution.through import Through, crosses
from tsfm_probe.attribution.total import Totals
from tsfm_probe.attribution.walk import Cases, Walk
from tsfm_probe.data.dataset import Dataset
from tsfm_probe.data.series import Series
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Progress, Setting

TABLES = {
    "effects": ("effects",),
    "encoder": ("effects",),
    "lens": ("lens", "errors", "forecasts", "bins", "series"),
    "heads": ("ranks", "cosines"),
    "totals": ("totals",),
    "overthinking": ("overthinking",),
}
"""The tables of everything that can be asked for."""
WHAT = tuple(TABLES)
STAGES = {
    "walk": ("effects", "encoder", "lens", "heads"),
    "totals": ("totals",),
    "overthinking": ("overthinking",),
}
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Request:
    """Which tables of attribution are made.

    target: see Target. what: of WHAT. Raises UsageError for anything else.
    """

    target: Target
    what: tuple[str, ...]

    def __post_init__(self) -> None:
        for one in self.what:
            if one not in WHAT:
                raise UsageError(f"{one!r} was asked for", allowed=nearest(one, WHAT))

    @property
    def stages(self) -> tuple[str, ...]:
        """What is run, one after the other: "walk", "totals", "overthinking"."""
        return tuple(stage for stage in STAGES if self.tables(stage))

    def tables(self, stage: str) -> tuple[str, ...]:
        """The names of the tables that a stage makes."""
        asked = [one for one in STAGES[stage] if one in self.what]
        return tuple(dict.fromkeys(name for one in asked for name in TABLES[one]))

    def fitted(self, job: Job) -> "Request":
        """The same without "encoder" where no attention reads another stack.

        UsageError if nothing is left, for a step beyond the horizon, and for a target that the
        family has not.
        """
        reading = job.model.reading([job.windows[0].seen], job.setting.horizon)
        if self.target.name != "auto":
            reading.check(self.target.name)
        step, horizon = self.target.step, job.setting.horizon
        if step is not None and not 0 <= step < horizon:
            raise UsageError(
                f"step {step + 1} was asked for", allowed=f"the horizon has steps 1 to {horizon}"
            )
        whole = bool(crosses(job.model.anatomy))
        what = tuple(one for one in WHAT if one in self.what and (whole or one != "encoder"))
        if not what:
            found = f"{job.model.name} has no cross-attention" if self.what else "nothing"
            raise UsageError("the encoder's part", found, f"allowed are {', '.join(WHAT)}")
        return replace(self, what=what)


def attribute(
    model: Model,
    series: Iterable[Series] | Dataset,
    *,
    target: str = "auto",
    step: int | None = None,
    what: Iterable[str] = WHAT,
    only: str = "",
    horizon: int = 24,
    windows: int = 4,
    context: int = 0,
    seed: int = 0,
    limit: int = 0,
) -> dict[str, pd.DataFrame]:
    """Attribute forecasts to the parts of a model; the tables by name (see `stage`).

    target: "auto", "median", "bin", "truth", "centre" or a level. step: of the horizon, from 0.
    what: of WHAT. only: heads whose total effect is measured. Others: see Setting.
    """
    chosen = series.series if isinstance(series, Dataset) else series
    setting = Setting("head", only, "zero", horizon, windows, context, 0, seed, limit)
    job = Job.of(model, chosen, setting)
    asked = Request(Target(target, step), tuple(what)).fitted(job)
    found: dict[str, pd.DataFrame] = {}
    for one in asked.stages:
        found |= stage(one, job, asked)
    return found


def stage(name: str, job: Job, asked: Request, progress: Progress | None = None) -> Frames:
    """The tables of one stage.

    "walk": effects, lens, errors, ranks, cosines and examples, those that were asked for.
    "totals": totals. "overthinking": overthinking.
    """
    if name == "walk":
        return _walked(job, asked, progress)
    if name == "overthinking":
        return {"overthinking": overthinking(job.model, job.setting.seed, progress=progress)}
    heads = [trial.at[0] for trial in job.plan if trial.kind == "head"]
    through = "encoder" in asked.what and any(
        at.stack != job.model.anatomy.reads.name for at in heads
    )
    totals = Totals(watched(job, through), asked.target, heads, through)
    return {"totals": totals.run(progress)}


def watched(job: Job, through: bool, heads: bool = False, effects: bool = True) -> Walk:
    """A walk that records what was asked for, and always the stream that is read.

    effects: what they rest on, of the stack that is read. through: of the encoder too.
    heads: all attentions of the network.
    """
    anatomy = job.model.anatomy
    sources = {anatomy[at].keys_from for at in crosses(anatomy)} if through else set()
    stacks = sources | ({anatomy.reads.name} if effects else set())
    return Walk(
        job.model,
        Cases.of(job.windows),
        [at for at in anatomy.attentions if heads or at.stack in stacks],
        [at for at in anatomy.parts if at.stack in stacks and not anatomy[at].heads],
        tuple(sources),
    )


def _walked(job: Job, asked: Request, progress: Progress | None) -> Frames:
    """One walk over all windows, watched by everything that was asked for."""
    what, model, horizon = asked.what, job.model, job.setting.horizon
    through = "encoder" in what
    told = "effects" in what or through
    walk = watched(job, through, "heads" in what, told)
    effects = Effects(model, asked.target, horizon)
    lens, likeness = Lens(model, horizon), Likeness(model.anatomy, walk.mixed)
    examples = Examples(model, (0, len(job.windows) // 2))
    done = 0
    for places, cases in walk.batches():
        shares = Through.of(model, cases) if through else None
        for glimpse in walk.along(places, cases):
            if told:
                effects.add(glimpse, shares)
            if "lens" in what:
                lens.add(glimpse)
                examples.add(glimpse)
            if "heads" in what:
                likeness.add(glimpse)
        done += len(places)
        if progress:
            progress(done, len(job.windows), "windows")
    found: dict[str, pd.DataFrame] = {}
    if told:
        found["effects"] = effects.table()
    if "lens" in what:
        found |= {"lens": lens.table(), "errors": lens.errors()} | examples.tables()
    if "heads" in what:
        found |= {"ranks": likeness.ranks(), "cosines": likeness.table()}
    return found
