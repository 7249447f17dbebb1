"""The diagnosis of a model: which of the tables are made, and how."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

import pandas as pd

from tsfm_probe.address import Address
from tsfm_probe.data.dataset import Dataset
from tsfm_probe.data.series import Series
from tsfm_probe.data.stimuli import SETS, Size, stimuli
from tsfm_probe.data.synthetic import generated
from tsfm_probe.diagnosis.causal import by_change, causal
from tsfm_probe.diagnosis.examples import examples
from tsfm_probe.diagnosis.flags import COMBINED, PLAIN, flagged, flags
from tsfm_probe.diagnosis.heads import head_scores
from tsfm_probe.diagnosis.indices import against, by_season, by_step, forecasts, indices
from tsfm_probe.diagnosis.inputs import COPIED, FREE, INDICES, Inputs
from tsfm_probe.diagnosis.order import MATCHED, Matches, copying_order
from tsfm_probe.diagnosis.prompts import Cut
from tsfm_probe.diagnosis.repair import SCALES, random_orders, repair
from tsfm_probe.diagnosis.validation import validated
from tsfm_probe.errors import ProbeError, UsageError, nearest
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Progress, Setting

log = logging.getLogger(__name__)
TABLES = {
    "behaviour": ("twin", "indices", "against", "steps", "seasons", "examples"),
    "heads": ("heads",),
    "causal": ("causal",),
    "flags": ("flags", "validation"),
    "repair": ("repair",),
    "order": ("order",),
}
"""The tables of everything that can be asked for."""
WHAT = tuple(TABLES)
CONTEXT, HORIZON, COUNT = 512, 32, 32
PROMPTS = 16
"""Prompts of each set at most, whose attention is watched."""
RANDOM = 2
"""Random orders beside the others in repair."""
ORDERED = 8
"""Steps that are forecast of a match: the first ones tell most."""
MADE = "made"
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Request:
    """Which tables of a diagnosis are made, and of what.

    what: of WHAT. count: contexts of each set; of prompts, PROMPTS at most. context: values that a
    model sees of them, 0 for CONTEXT, or as many as it can read if fewer. scales: what heads are
    multiplied with in repair. season: steps of the season at which the bias is measured, 0 for that
    of each context; a season that a model sees in everything is not that of the context. Raises
    UsageError for anything else.
    """

    what: tuple[str, ...] = WHAT
    count: int = COUNT
    context: int = 0
    scales: tuple[float, ...] = SCALES
    season: int = 0

    def __post_init__(self) -> None:
        if not self.what:
            raise UsageError("nothing was asked for", allowed=f"allowed are {', '.join(WHAT)}")
        for one in self.what:
            if one not in WHAT:
                raise UsageError(f"{one!r} was asked for", allowed=nearest(one, WHAT))
        if self.count < 2:
            raise UsageError(f"count {self.count} was asked for", allowed="2 contexts or more")
        if self.season < 0 or self.season == 1:
            allowed = "2 steps or more, or 0 for that of each context"
            raise UsageError(f"season {self.season} was asked for", allowed=allowed)
        for scale in self.scales:
            if not (isfinite(scale) and 0 <= scale != 1):
                raise UsageError(f"scale {scale:g} was asked for", allowed="0 or more, but not 1")

    @property
    def stages(self) -> tuple[str, ...]:
        """What is run, one after the other."""
        return tuple(one for one in WHAT if one in self.what)

    def tables(self, stage: str) -> tuple[str, ...]:
        """The names of the tables that a stage makes; without causes nothing is validated."""
        lacking = () if "causal" in self.what else ("validation",)
        return tuple(name for name in TABLES[stage] if name not in lacking)


@dataclass(frozen=True, eq=False)
class Study:
    """A model, real windows, and what is asked for; UsageError where lengths do not fit.

    job: its model, its windows for accuracy, and in its setting horizon, samples and seed. own:
    whether the windows are of series of the user's, which are then a set of behaviour as well.
    """

    job: Job
    asked: Request
    own: bool

    def __post_init__(self) -> None:
        model, what, context = self.job.model, self.asked.what, self.asked.context
        if context > model.context_length:
            allowed = f"{model.name} reads {model.context_length} values at most"
            raise UsageError(f"context {context} was asked for", allowed=allowed)
        if {"behaviour", "causal", "repair"} & set(what):
            stimuli(COPIED[0], 1, self.size)
        if "heads" in what:
            Cut.of(model, context)
        if "order" in what:
            assert len(self.matches.lags)

    @property
    def size(self) -> Size:
        """Of the built-in contexts."""
        context = self.asked.context or min(CONTEXT, self.job.model.context_length)
        return Size(context, self.job.setting.horizon)

    @property
    def matches(self) -> Matches:
        """The contexts that tell the order of copying, with as long matches as they hold."""
        size = Size(self.size.context, ORDERED)
        room = size.context - 1
        aligned = Matches().aligned
        fitting = [one for one in MATCHED if -(-(one + ORDERED) // aligned) * aligned + one <= room]
        return Matches(size, self.asked.count, tuple(fitting) or MATCHED[:1])

    def inputs(self, sets: Iterable[str] = tuple(SETS), apart: int = 0) -> Inputs:
        """The built-in contexts; apart: 1 for others of the same kind."""
        seed = self.job.setting.seed + apart
        return self.judged(Inputs.built_in(self.size, self.asked.count, sets, seed))

    def judged(self, inputs: Inputs) -> Inputs:
        """The same with the season that was asked for, if one was."""
        return inputs.at_season(self.asked.season) if self.asked.season else inputs


def diagnose(
    model: Model,
    series: Iterable[Series] | Dataset | None = None,
    *,
    what: Iterable[str] = WHAT,
    horizon: int = HORIZON,
    count: int = COUNT,
    context: int = 0,
    scales: Iterable[float] = SCALES,
    season: int = 0,
    samples: int = 0,
    seed: int = 0,
    windows: int = 4,
    limit: int = 0,
) -> dict[str, pd.DataFrame]:
    """Diagnose a model; the tables by name (see `stage`).

    series: on which accuracy is measured, and which are a further set of behaviour; generated ones
    if None. what, count, context, scales, season: see Request. Others: see Setting.
    """
    chosen = series.series if isinstance(series, Dataset) else series
    setting = Setting("head", "", "zero", horizon, windows, context, samples, seed, limit)
    job = Job.of(model, generated(4, 600, seed) if chosen is None else chosen, setting)
    asked = Request(tuple(what), count, context, tuple(scales), season)
    study = Study(job, asked, chosen is not None)
    found: dict[str, pd.DataFrame] = {}
    for one in asked.stages:
        found |= stage(one, study, found)
    return found


def stage(name: str, study: Study, done: Frames, progress: Progress | None = None) -> Frames:
    """The tables of one stage; done: those of the stages before it.

    "behaviour": twin (whether the model has a random twin), indices, against, steps, seasons
    (see indices) and examples. "heads", "causal", "repair" and "order": a table of that name.
    "flags": flags, and validation where causal is known.
    """
    job, asked = study.job, study.asked
    model, seed, samples = job.model, job.setting.seed, job.setting.samples
    if name == "behaviour":
        return _behaviour(study, progress)
    if name == "heads":
        return {name: head_scores(model, seed, min(asked.count, PROMPTS), asked.context, progress)}
    if name == "causal":
        inputs = study.inputs((*COPIED, *FREE))
        return {name: causal(model, inputs, seed=seed, samples=samples, progress=progress)}
    if name == "flags":
        made = flags(model)
        if progress:
            progress(1, 1, "weights")
        if "causal" not in done:
            return {name: made}
        return {name: made, "validation": validated(made, done["causal"], seed)}
    if name == "repair":
        orders, inputs = _orders(study, done), study.inputs((*COPIED, *FREE), apart=1)
        return {name: repair(job, inputs, orders, scales=asked.scales, progress=progress)}
    found = copying_order(model, study.matches, seed=seed, samples=samples, progress=progress)
    return {name: found}


def _behaviour(study: Study, progress: Progress | None) -> Frames:
    model, seed, samples = study.job.model, study.job.setting.seed, study.job.setting.samples
    twin, outcome = _twin(model)
    parts: dict[str, list[pd.DataFrame]] = {}
    given = [study.inputs()]
    if study.own:
        given.append(study.judged(Inputs.own(study.job.windows, seed)))
    for inputs in given:
        made = forecasts(model, inputs, twin, seed=seed, samples=samples, progress=progress)
        for name, one in {
            "indices": indices(inputs, made, seed),
            "against": against(inputs, made, seed),
            "steps": by_step(inputs, made, seed),
            "seasons": by_season(inputs, made, seed),
            "examples": examples(model, inputs, seed=seed, samples=samples),
        }.items():
            parts.setdefault(name, []).append(one)
    tables = {name: pd.concat(own, ignore_index=True) for name, own in parts.items()}
    return {"twin": pd.DataFrame({"outcome": [outcome]}), **tables}


def _twin(model: Model) -> tuple[Model | None, str]:
    """The same network with random weights, and MADE or else why there is none."""
    try:
        return load(f"random:{model.name}", str(model.device), "float32"), MADE
    except ProbeError as error:
        log.warning("no random twin of %s: %s", model.name, error)
        return None, str(error)


def _orders(study: Study, done: Frames) -> dict[str, list[Address]]:
    """The orders of heads that repair tries: by effect, by flags, at random."""
    model, seed = study.job.model, study.job.setting.seed
    made = done["flags"] if "flags" in done else flags(model)
    found = {one: flagged(made, one) for one in (PLAIN, COMBINED)}
    if "causal" in done:
        by = {one: [*by_change(done["causal"], one)] for one in INDICES}
        found = {f"measured, {one}": own for one, own in by.items() if own} | found
    return found | random_orders(model.anatomy.heads, RANDOM, seed)
