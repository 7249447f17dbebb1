"""Sets of layers that are cut together: each alone, contiguous blocks, all pairs."""

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.probes.ablation import Job
from tsfm_probe.probes.curves import most
from tsfm_probe.surgery.plan import Plan, Trial

SETS = ("single", "blocks", "pairs")


def layer_sets(job: Job, sets: str, up_to: str = "") -> Plan:
    """The layers that a job cuts, each alone, then as sets, then the controls.

    sets: "blocks", layers that follow each other in one stack, at most `up_to` of them (see
    curves.most); "pairs", any two layers; "single", none. Their names are `decoder.2-4` and
    `decoder.1+decoder.5`. UsageError if that is not possible.
    """
    if sets not in SETS:
        raise UsageError(f"sets {sets!r} were asked for", allowed=nearest(sets, SETS))
    if job.setting.by != "layer":
        raise UsageError(f"sets of layers were asked for, by {job.setting.by}", "", "--by layer")
    single = [trial for trial in job.plan if trial.kind == "layer"]
    found = {"single": [], "blocks": _blocks(single, up_to), "pairs": _pairs(single)}[sets]
    anatomy, noise = job.model.anatomy, sum(trial.kind == "noise" for trial in job.plan)
    random = sum(trial.kind == "random" for trial in job.plan)
    plan = Plan((*single, *found))
    return plan.with_controls(anatomy, noise, random, job.setting.seed)


def sizes(plan: Plan) -> dict[str, int]:
    """How many layers each trial of a plan of layer sets cuts, by its name; no controls."""
    kept = ("layer", "block", "pair")
    return {
        trial.name: len({at.layer_name for at in trial.at}) for trial in plan if trial.kind in kept
    }


def largest_redundant(plan: Plan, verdicts: pd.DataFrame, metric: str) -> tuple[str, int]:
    """The largest set that was shown to be redundant, by name and layers; ("", 0) if none was."""
    cut = sizes(plan)
    shown = (verdicts["metric"] == metric) & (verdicts["verdict"] == "redundant")
    rows = verdicts.loc[shown & verdicts["trial"].isin(list(cut))]
    found = zip(rows["trial"].tolist(), rows["ratio"].tolist(), strict=True)
    name, _ = min(found, key=lambda one: (-cut[one[0]], one[1]), default=("", 1.0))
    return name, cut.get(name, 0)


def _blocks(single: Sequence[Trial], up_to: str) -> list[Trial]:
    stacks: dict[str, dict[int, Trial]] = {}
    for trial in single:
        stacks.setdefault(trial.at[0].stack, {})[trial.at[0].layer] = trial
    longest = max(len(layers) for layers in stacks.values())
    found = []
    for stack, layers in stacks.items():
        last = most(up_to, longest, longest)
        for start in layers:
            at = layers[start].at
            for end in range(start + 1, start + last):
                if end not in layers:
                    break
                at = (*at, *layers[end].at)
                found.append(Trial(f"{stack}.{start}-{end}", "block", at))
    return found


def _pairs(single: Sequence[Trial]) -> list[Trial]:
    return [
        Trial(f"{one.name}+{two.name}", "pair", (*one.at, *two.at))
        for one, two in combinations(single, 2)
    ]
