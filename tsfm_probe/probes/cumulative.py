"""How many heads or layers can be cut together: a study in stages, each in the same run folder.

What is redundant alone need not be so together, since what is left compensates. So the first k of
an order are ablated together for growing k, and random orders are tried beside it as a control.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from tsfm_probe.durable import write_atomically
from tsfm_probe.probes import orders
from tsfm_probe.probes.ablation import Job, Progress, run
from tsfm_probe.probes.curves import POINTS, RANDOM, Curve, Cuts, curves, refined, tried_first
from tsfm_probe.probes.orders import FILE, METRIC, Order
from tsfm_probe.probes.redundancy import JOINT, SURE, Cut, cuts, redundant, steps, within
from tsfm_probe.run_folder import RunFolder
from tsfm_probe.surgery.plan import Plan, Trial
from tsfm_probe.table import Table
from tsfm_probe.verdict import answer

ORDER_FILE = "order.txt"
Stage = Callable[[Iterable[Trial]], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Study:
    """What came out.

    order: what was cut first comes first. found: every number cut, by every metric.
    table, verdicts: of all trials, see verdict.answer. plan: all trials, in order.
    """

    order: Order
    found: list[Cut]
    table: Table
    verdicts: pd.DataFrame
    plan: Plan


def cut_together(
    job: Job,
    asked: Cuts,
    folder: RunFolder,
    facts: Mapping[str, str],
    batch_size: int = 0,
    progress: Progress | None = None,
) -> Study:
    """Cut the first of an order together, in a run folder: what is done there is not run again.

    The order is kept there as ORDER_FILE, which `--order` takes, and read again from there. Where
    the error passes the limit between two numbers, numbers between them are tried, by bisection;
    with per_layer, what each attention can lose is at last cut in all of them together.
    """
    runner = _Runner(job, asked, folder, facts, batch_size, progress)
    order = _order(runner)
    found = curves(job, order, asked)
    runner.add(tried_first(job, found, asked))
    while more := _between(found, runner.verdicts, asked):
        runner.add(more)
    joint = _joint(found, runner.verdicts, asked) if asked.per_layer else []
    if joint:
        runner.add(one.trial for one in joint)
    rows = cuts([*steps(found), *(one.known for one in joint)], runner.verdicts)
    return Study(order, rows, runner.table, runner.verdicts, runner.plan)


def planned(job: Job, asked: Cuts) -> tuple[Plan, int]:
    """The trials that are run whatever is found, and how many more may follow at most.

    Their names are those of the run; which heads they cut depends on the order. UsageError or
    DataError for a mistake in the options or in the file of an order.
    """
    pool = orders.units(job)
    found = curves(
        job, orders.listed(Path(asked.order), pool) if asked.name == FILE else pool, asked
    )
    more = 2 + RANDOM[True] if asked.per_layer else 0
    for curve in refined(found, asked):
        gaps = np.diff((0, *curve.grid(POINTS[asked.per_layer])))
        more += int(np.ceil(np.log2(gaps.max()))) * (2 if asked.per_layer else 1)
    return _plan(tried_first(job, found, asked)), more


def shown(study: Study) -> list[Trial]:
    """Trials whose forecasts show the finding: the largest redundant cut, and the next beyond."""
    rows = [row for row in study.found if row.metric == METRIC and not row.control]
    joint = [row for row in rows if row.place in (JOINT, SURE)]
    rows = joint or [row for row in rows if not row.place]
    last = redundant(rows)
    beyond = min((row.cut for row in rows if row.cut > last), default=0)
    names = {row.trial for row in rows if row.cut in (last, beyond)}
    return [trial for trial in study.plan if trial.name in names]


@dataclass(frozen=True)
class _Joint:
    """What all attentions lose together, in one trial."""

    trial: Trial
    order: str
    control: bool
    place: str
    of: int

    @property
    def known(self) -> tuple[str, bool, str, int, int, str]:
        """As `cuts` takes it."""
        cut = len(self.trial.at)
        return self.order, self.control, self.place, cut, self.of, self.trial.name


class _Runner:
    """The plan so far, and what its trials gave."""

    def __init__(
        self,
        job: Job,
        asked: Cuts,
        folder: RunFolder,
        facts: Mapping[str, str],
        batch_size: int,
        progress: Progress | None,
    ) -> None:
        self.job = job
        self.asked = asked
        self.folder = folder
        self.facts = facts
        self.batch_size = batch_size
        self.progress = progress
        self.plan = Plan(())
        self.table = Table(pd.DataFrame(), facts)
        self.verdicts = pd.DataFrame()

    def add(self, trials: Iterable[Trial]) -> None:
        """Run more trials, and judge all."""
        self.plan = _plan((*self.plan, *trials))
        job = replace(self.job, plan=self.plan)
        self.table = run(job, self.folder, self.facts, self.batch_size, self.progress)
        threshold, seed = self.asked.threshold_pp, self.job.setting.seed
        self.verdicts = answer(self.table, threshold_pp=threshold, seed=seed)


def _plan(trials: Iterable[Trial]) -> Plan:
    return Plan(tuple({trial.name: trial for trial in trials}.values()))


def _order(runner: _Runner) -> Order:
    """The order of this run: the one that was kept when it began, else it is made and kept."""
    job, path = runner.job, runner.folder.path / ORDER_FILE
    pool = orders.units(job)
    if path.exists():
        return orders.listed(path, pool)
    if runner.asked.order == "measured":
        runner.add(pool)
        order = orders.measured(pool, runner.table.frame)
    else:
        order = orders.ordered(job, runner.asked.order, job.setting.seed)
    write_atomically(path, orders.written(order).encode())
    return order


def _of(curve: Curve, verdicts: pd.DataFrame) -> list[Cut]:
    return [one for one in cuts(steps((curve,)), verdicts) if one.metric == METRIC]


def _between(found: Sequence[Curve], verdicts: pd.DataFrame, asked: Cuts) -> list[Trial]:
    """For each curve the number in the middle of the gap in which it passes the limit, if any."""
    trials = []
    for curve in refined(found, asked):
        rows = _of(curve, verdicts)
        passed = {redundant(rows)}
        if asked.per_layer:
            passed.add(within(rows, asked.threshold_pp))
        for last in sorted(passed):
            beyond = min((row.cut for row in rows if row.cut > last), default=last)
            if beyond > last + 1:
                trials.append(curve.trial((last + beyond) // 2))
    return trials


def _joint(found: Sequence[Curve], verdicts: pd.DataFrame, asked: Cuts) -> list[_Joint]:
    """What each attention can lose, cut in all together; as many random heads of each beside it."""
    ours = {curve.place: _of(curve, verdicts) for curve in found if not curve.control}
    can = {place: within(rows, asked.threshold_pp) for place, rows in ours.items()}
    sure = {place: redundant(rows) for place, rows in ours.items()}
    every: dict[str, list[Curve]] = {}
    for curve in found:
        every.setdefault(curve.order, []).append(curve)
    made = []
    for order, parts in every.items():
        control = parts[0].control
        for place, counts in ((JOINT, can), (SURE, sure)):
            at = tuple(one for curve in parts for one in curve.first(counts[curve.place]))
            if at and not (place == SURE and (control or sure == can)):
                kind = "random order" if control else "order"
                trial = Trial(f"{order}:{place}", kind, at)
                made.append(_Joint(trial, order, control, place, sum(one.of for one in parts)))
    return made
