"""What can go together: parts are taken out one after the other, as long as a budget allows it.

The drop is always that of everything taken out so far, measured: what is left compensates, or
fails to, so that single drops do not add up. What a budget refused is tried again by a larger one,
which starts from what the smaller one took: the cuts of rising budgets contain each other. The
errors may fall at first, and what was gained so is spent on further cuts; so the cut at which they
were lowest is one more to be looked at.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tsfm_probe.address import Address
from tsfm_probe.errors import UsageError
from tsfm_probe.prune.judge import Judge, Rise
from tsfm_probe.prune.units import overlap
from tsfm_probe.surgery.plan import Trial

PATIENCE = 12
"""Refused units of one kind in a row after which a budget tries the next kind."""
Reached = Callable[[tuple[Address, ...]], bool]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Step:
    """One unit that was tried on top of everything taken out before.

    budget: percent that the errors may rise. unit, kind: what was tried. taken: whether it went.
    rise: of everything together. cut: units taken out so far, this one included if it was.
    """

    budget: float
    unit: str
    kind: str
    taken: bool
    rise: Rise
    cut: int


@dataclass(frozen=True)
class Found:
    """What one budget allows: everything that is taken out, and how much the errors rise then."""

    budget: float
    units: tuple[str, ...]
    at: tuple[Address, ...]
    rise: Rise


@dataclass(frozen=True)
class Path:
    """All steps of a search, and what each budget allows, in rising order."""

    steps: tuple[Step, ...]
    found: tuple[Found, ...]


def alone(judge: Judge, units: Sequence[Trial], progress: Progress) -> dict[str, Rise]:
    """How much the errors rise without each unit alone, by name, the least harmful first."""
    rises: dict[str, Rise] = {}
    for number, unit in enumerate(units):
        progress(number, len(units), unit.name)
        rises[unit.name] = judge.rise(judge.trial(unit.name, unit.kind, unit.at))
    progress(len(units), len(units), "")
    return dict(sorted(rises.items(), key=lambda one: one[1].worst))


def search(
    judge: Judge,
    units: Sequence[Trial],
    budgets: Iterable[float],
    reached: Reached | None = None,
    progress: Progress = lambda *_: None,
) -> Path:
    """Take units out in their order, budget after budget.

    reached: whether enough is out; the search ends there. None: every budget is used up.
    """
    steps: list[Step] = []
    found: list[Found] = []
    taken: list[Trial] = []
    last = Rise(0.0, 0.0)
    for budget in sorted(set(budgets)):
        for step, unit in _tried(judge, units, taken, budget, progress):
            steps.append(step)
            if step.taken:
                taken.append(unit)
                last = step.rise
                if reached and reached(_addresses(taken)):
                    break
        names = tuple(unit.name for unit in taken)
        found.append(Found(budget, names, _addresses(taken), last))
        if reached and taken and reached(_addresses(taken)):
            break
    best = [] if reached else _lowest(steps, taken, found[0])
    return Path(tuple(steps), (*best, *found))


def _lowest(steps: Sequence[Step], taken: Sequence[Trial], first: Found) -> list[Found]:
    """The cut at which the errors were lowest, if that is on the way to the first budget's.

    Its budget is what it was found with, which is below 0: it has the most to spare for windows
    that were not searched.
    """
    went = [step for step in steps if step.taken and step.budget == first.budget]
    best = min(went, key=lambda step: (step.rise.worst, -step.cut), default=None)
    if best is None or best.rise.worst >= min(0.0, first.rise.worst):
        return []
    units = taken[: best.cut]
    names = tuple(unit.name for unit in units)
    return [Found(best.rise.worst, names, _addresses(units), best.rise)]


def _tried(
    judge: Judge, units: Sequence[Trial], taken: list[Trial], budget: float, progress: Progress
) -> Iterator[tuple[Step, Trial]]:
    """Every unit that is still there, on top of `taken`, to which the caller adds."""
    refused = {unit.kind: 0 for unit in units}
    for number, unit in enumerate(units):
        progress(number, len(units), f"{budget:g} %: {len(taken)} cut, trying {unit.name}")
        if refused[unit.kind] >= PATIENCE or overlap(unit, set(_addresses(taken))):
            continue
        try:
            trial = together(judge, [*taken, unit])
        except UsageError:  # it would be the last layer of a stack
            continue
        rise = judge.rise(trial)
        fits = rise.worst <= budget
        refused[unit.kind] = 0 if fits else refused[unit.kind] + 1
        yield Step(budget, unit.name, unit.kind, fits, rise, len(taken) + fits), unit
    progress(len(units), len(units), "")


def together(judge: Judge, units: Sequence[Trial]) -> Trial:
    """The trial that ablates units together; UsageError if a stack would lose every layer."""
    if len(units) == 1:
        return judge.trial(units[0].name, units[0].kind, units[0].at)
    return judge.trial(named([unit.name for unit in units]), "cut", _addresses(units))


def named(units: Sequence[str]) -> str:
    """The name of the trial that cuts these units, in whatever order they are given."""
    if len(units) == 1:
        return f"cut-{units[0]}"
    short = hashlib.sha256("+".join(sorted(units)).encode()).hexdigest()[:12]
    return f"cut-{len(units)}-{short}"


def _addresses(units: Iterable[Trial]) -> tuple[Address, ...]:
    return tuple(dict.fromkeys(at for unit in units for at in unit.at))
