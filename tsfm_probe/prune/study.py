"""A pruning up to the cut that is made: what may be cut, on which windows it is searched."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from tsfm_probe.data.series import Series
from tsfm_probe.errors import CheckFailed
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.prune.budget import Budget
from tsfm_probe.prune.confirm import Looks, chosen, risen
from tsfm_probe.prune.curve import context_of
from tsfm_probe.prune.judge import Judge
from tsfm_probe.prune.proof import CONTEXTS, Proof
from tsfm_probe.prune.search import Found, alone, search
from tsfm_probe.prune.search import Path as Searched
from tsfm_probe.prune.split import split
from tsfm_probe.prune.units import Choice, ordered
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.surgery.plan import Plan

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Study:
    """A model, the windows to search on, others to confirm on, and what may be cut.

    series: those that the windows are of. folder: where results are kept.
    """

    searching: Job
    unseen: Job
    series: tuple[Series, ...]
    choice: Choice
    budget: Budget
    folder: RunFolder
    batch_size: int = 0

    @property
    def model(self) -> Model:
        """The original."""
        return self.searching.model

    @property
    def setting(self) -> Setting:
        """Horizon, samples, seed and the like."""
        return self.searching.setting

    @property
    def proof(self) -> Proof:
        """What cut and ablated networks are compared on."""
        contexts = [window.seen for window in self.searching.windows[:CONTEXTS]]
        return Proof(contexts, self.setting.horizon)

    @property
    def judges(self) -> tuple[Judge, Judge]:
        """Of the windows to search on, and of those to confirm on."""
        return (
            Judge(self.searching, self.folder, self.batch_size),
            Judge(self.unseen, self.folder, self.batch_size, "unseen-"),
        )

    @property
    def context(self) -> np.ndarray:
        """A context of the length at which costs are measured: [time]."""
        length = context_of(self.model, self.setting)
        return np.resize(self.searching.windows[0].seen, length)

    @cached_property
    def reached(self) -> Callable[[tuple], bool] | None:
        """Whether a cut is small or fast enough; None where that is not asked."""
        asked = self.setting
        return self.budget.reached(self.model, [self.context], asked.horizon, asked.samples)


def divided(job: Job, choice: Choice) -> tuple[Job, Job]:
    """The job of the search, with every unit alone as its plan, and that of the confirmation."""
    first, second = split(job.windows)
    plan = Plan(choice.units(job.model.anatomy))
    return replace(job, windows=first, plan=plan), replace(job, windows=second, plan=Plan(()))


def searched(study: Study, judge: Judge, progress: Progress) -> tuple[pd.DataFrame, Searched]:
    """What each unit does alone (unit, kind, MASE, WQL in percent), and what can go together."""
    units = {unit.name: unit for unit in study.searching.plan}
    rises = alone(judge, list(units.values()), progress)
    rows = [(name, units[name].kind, one.mase, one.wql) for name, one in rises.items()]
    table = pd.DataFrame(rows, columns=pd.Index(["unit", "kind", "MASE", "WQL"]))
    order = ordered(study.searching, study.choice, [units[name] for name in rises])
    return table, search(judge, order, study.budget.steps, study.reached, progress)


def steps(path: Searched) -> pd.DataFrame:
    """Every step of a search: budget, unit, kind, taken, MASE, WQL (percent), cut."""
    rows = [
        (one.budget, one.unit, one.kind, one.taken, one.rise.mase, one.rise.wql, one.cut)
        for one in path.steps
    ]
    columns = ["budget", "unit", "kind", "taken", "MASE", "WQL", "cut"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def within(study: Study, path: Searched, looks: Looks) -> Found:
    """The cut that is made; CheckFailed if nothing may be cut, or a target was not reached."""
    budget, last = study.budget, path.found[-1]
    asked = f"{study.model.name} was to be cut: {budget}"
    allowed = [one for one in path.found if one.at and one.budget <= budget.most]
    if not allowed:
        tried = [one for one in path.steps if one.budget <= budget.most]
        least = min(tried, key=lambda one: one.rise.worst)
        raise CheckFailed(
            asked,
            f"the least harmful part, {least.unit}, raises an error by {least.rise.worst:.2f} %",
            "a larger --budget-pp; nothing was written",
        )
    if study.reached and not study.reached(last.at):
        words = f"{len(last.units)} parts could go, which is not enough"
        raise CheckFailed(asked, words, "a larger --budget-pp or target; nothing was written")
    found = chosen([last] if budget.target else allowed, looks, budget.most)
    if found is None:
        rise = min(risen(looks, one.budget) for one in allowed)
        raise CheckFailed(
            asked,
            f"on windows that the search never saw an error rises by {rise:.2f} %",
            "a larger --budget-pp, or more series and windows; nothing was written",
        )
    return found
