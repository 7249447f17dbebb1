"""What a pruning came to: its tables, and what is told of it in words and in prune.json."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut
from tsfm_probe.prune.budget import Budget
from tsfm_probe.prune.confirm import CONFIRMED, SEARCHED, Looks, frame
from tsfm_probe.prune.heal import Healed
from tsfm_probe.prune.search import Found, Path
from tsfm_probe.verdict import percent


@dataclass(frozen=True, eq=False)
class Outcome:
    """A pruned model and everything that was measured.

    original, smaller: the models. cut: what was taken out of the original. found: under which
    budget. asked: what was asked for. looks: what it does (see confirm.Looked). share: of the
    neurons of every MLP that went then, and `narrowed`, what it does then. costs, curve,
    behaviour: see the functions of these names. about: what the numbers belong to. off: how far
    the cut model was from the ablated one. healed: what healing came to, and `after` the errors
    then, as `looks`; adopted: whether the healed network was taken, which it is if it errs less
    where it was searched and keeps within the budget.
    """

    original: Model
    smaller: Model
    cut: Cut
    found: Found
    path: Path
    asked: Budget
    looks: Looks
    share: float
    narrowed: Looks
    costs: pd.DataFrame
    curve: pd.DataFrame
    behaviour: pd.DataFrame
    about: Mapping[str, str]
    off: float
    healed: Healed | None
    adopted: bool
    after: Looks

    @property
    def name(self) -> str:
        """What the original is called, without the folders that it is in on this machine."""
        name = self.original.name.rstrip("/")
        here = self.original.source.origin.endswith("folder")
        return re.sub(r"[^:]*/", "", name) if here else name

    @property
    def removed(self) -> list[str]:
        """What was cut, the largest first, by the addresses of the original."""
        layers = [f"{stack}.{layer}" for stack, layer in self.cut.layers]
        return [*layers, *map(str, self.cut.parts), *map(str, self.cut.heads)]


def words(outcome: Outcome) -> list[str]:
    """The answer in a few sentences."""
    cut, costs = outcome.cut, outcome.costs
    keys = zip(costs["quantity"].tolist(), costs["batch"].tolist(), strict=True)
    sizes = dict(zip(keys, costs["ratio"].tolist(), strict=True))
    counts = ((len(cut.layers), "layer"), (len(cut.parts), "part"), (len(cut.heads), "head"))
    what = ", ".join(f"{n} {noun}{'s' * (n != 1)}" for n, noun in counts if n)
    lines = [
        f"Cut from {outcome.name}: {what}. {percent_left(sizes['parameters', 0])} of the "
        f"parameters are left, {percent_left(sizes['latency', 1])} of the time of one forecast and "
        f"{percent_left(sizes['latency', 32])} of that of 32 together."
    ]
    for part, said in ((SEARCHED, "Where it was searched"), (CONFIRMED, "On windows never seen")):
        lines.append(f"{said}: {_errors(outcome.looks, outcome.found.budget, part)}.")
    if outcome.share:
        seen, unseen = (
            _errors(outcome.narrowed, outcome.found.budget, part) for part in (SEARCHED, CONFIRMED)
        )
        lines.append(
            f"Then the {100 * outcome.share:g} % of neurons with the smallest weights went from "
            f"every MLP: where it was searched {seen}; on windows never seen {unseen}."
        )
    lines.append(_verdict(outcome))
    if outcome.healed:
        before, after = outcome.healed.before, outcome.healed.after
        lines.append(
            f"Healed in {outcome.healed.steps} steps ({outcome.healed.seconds:.0f} s): distance "
            f"from the original {before:.3g} before, {after:.3g} after; on windows never seen then "
            f"{_errors(outcome.after, outcome.found.budget, CONFIRMED)}."
        )
        if not outcome.adopted:
            lines.append(
                "It errs more than unhealed where it was searched, or more than allowed, and was "
                "not taken."
            )
    off = f"to {outcome.off:.1g} of their size" if outcome.off else "to the last bit"
    lines.append(f"Forecasts of the cut network are those of the ablated one, {off}.")
    return lines


def _verdict(outcome: Outcome) -> str:
    asked, found = outcome.asked, outcome.found
    last = outcome.after if outcome.adopted else outcome.narrowed or outcome.looks
    here = [one for one in last if (one.part, one.budget) == (CONFIRMED, found.budget)]
    many = len({one.budget for one in outcome.looks})
    if math.isinf(asked.most):
        said = "reached, and no budget of errors was set"
    elif all(100 * (one.high - 1) <= asked.most for one in here):
        said = "both intervals lie within it: it holds"
    else:
        said = "the estimates lie within it, the intervals reach beyond: more series would tell"
    fell = ""
    if not asked.target and found.budget < asked.most:
        fell = (
            f" What {asked.most:g} % allowed in the search did not hold there, so this is the cut "
            + ("at which they were lowest." if found.budget < 0 else f"of {found.budget:g} %.")
        )
    return f"Asked for: {asked}; {said} ({many} budgets were looked at).{fell}"


def _errors(looks: Looks, budget: float, part: str) -> str:
    return ", ".join(
        f"{one.metric} {percent(one.ratio)} ({percent(one.low)} to {percent(one.high)})"
        for one in looks
        if (one.part, one.budget) == (part, budget)
    )


def percent_left(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.0f} %"


def plan_of(outcome: Outcome) -> dict[str, Any]:
    """The content of prune.json: what was cut and why, hashes, budget, results; plain values."""
    source = outcome.original.source
    return {
        "original": {
            "name": outcome.original.name,
            "origin": source.origin,
            "revision": source.revision,
            "weight_hash": source.weight_hash(),
            "parameters": outcome.original.parameters,
        },
        "about": dict(outcome.about),
        "asked": str(outcome.asked),
        "budget_percent": _plain(outcome.found.budget),
        "cut": outcome.removed,
        "kept": outcome.smaller.kept.told(),
        "search": [
            {
                "budget": _plain(step.budget),
                "unit": step.unit,
                "taken": step.taken,
                "MASE_percent": _plain(step.rise.mase),
                "WQL_percent": _plain(step.rise.wql),
            }
            for step in outcome.path.steps
        ],
        "errors": _records(frame(outcome.looks)),
        "neurons_cut": outcome.share,
        "errors_without_neurons": _records(frame(outcome.narrowed)),
        "healed": None
        if outcome.healed is None
        else vars(outcome.healed) | {"adopted": outcome.adopted},
        "errors_after_healing": _records(frame(outcome.after)),
        "costs": _records(outcome.costs),
        "behaviour": _records(outcome.behaviour),
        "cut_against_ablated": outcome.off,
        "parameters": outcome.smaller.parameters,
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf"
    return value
