"""The smaller model: cut, narrowed, healed, proven and measured."""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut, cut, narrow
from tsfm_probe.prune.behaviour import behaviour
from tsfm_probe.prune.confirm import CONFIRMED, SEARCHED, Looks, of_network, risen
from tsfm_probe.prune.costs import costs
from tsfm_probe.prune.curve import context_of, curve
from tsfm_probe.prune.heal import Healed, Recipe, heal
from tsfm_probe.prune.lessons import Lessons
from tsfm_probe.prune.outcome import Outcome
from tsfm_probe.prune.save import stored
from tsfm_probe.prune.search import Found
from tsfm_probe.prune.search import Path as Searched
from tsfm_probe.prune.study import Study
from tsfm_probe.prune.width import SHARES, loudest

Progress = Callable[[int, int, str], None]
PARTS = (SEARCHED, CONFIRMED)


@dataclass(frozen=True)
class Healing:
    """How long the cut network learns from the original, and on what.

    minutes: 0 for not at all. on_data: on the series themselves, without the windows that confirm,
    in place of generated ones.
    """

    minutes: float = 0.0
    on_data: bool = False


def made(
    study: Study,
    path: Searched,
    looks: Looks,
    found: Found,
    facts: Mapping[str, str],
    healing: Healing,
    progress: Progress,
) -> Outcome:
    """Cut, prove, heal and measure."""
    model, setting = study.model, study.setting
    smaller = cut(model, found.at)
    off = study.proof.of_cut(model, smaller, found.at)
    smaller, share, narrowed = _narrowed(study, smaller, found)
    written, healed, after = _taught(study, smaller, narrowed or looks, found, healing, progress)
    return Outcome(
        original=model,
        smaller=written,
        cut=Cut.of(model.anatomy, found.at),
        found=found,
        path=path,
        asked=study.budget,
        looks=looks,
        share=share,
        narrowed=narrowed,
        costs=_costs(study, written, progress),
        curve=curve(model, setting, path.found, looks, progress),
        behaviour=behaviour(model, written, setting.seed, setting.samples),
        about=facts,
        off=off,
        healed=healed,
        adopted=written is not smaller,
        after=after,
    )


def _costs(study: Study, written: Model, progress: Progress) -> pd.DataFrame:
    """What the original and the network that is written cost."""
    model, setting = study.model, study.setting
    return costs(
        *(model, written, context_of(model, setting), setting.horizon, setting.samples),
        seed=setting.seed,
        progress=progress,
        dtype=stored(model.source),
    )


def _narrowed(study: Study, smaller: Model, found: Found) -> tuple[Model, float, Looks]:
    """The network without as many neurons as the budget allows on both parts of the windows.

    With it the share of every MLP's neurons that went, and what it errs.
    """
    best: tuple[Model, float, Looks] = (smaller, 0.0, ())
    if study.budget.target or not study.choice.narrows(study.model.anatomy):
        return best
    for share in SHARES:
        neurons = loudest(smaller, share)
        tried = narrow(smaller, neurons)
        looks = of_network(study.judges, tried, found, study.setting.seed)
        if max(risen(looks, found.budget, part) for part in PARTS) > study.budget.most:
            break
        study.proof.of_width(smaller, tried, neurons)
        best = (tried, share, looks)
    return best


def _taught(
    study: Study,
    smaller: Model,
    looks: Looks,
    found: Found,
    healing: Healing,
    progress: Progress,
) -> tuple[Model, Healed | None, Looks]:
    """The network that is written, and what healing came to.

    That is the healed one if it errs less than the other where it was searched, and keeps within
    the budget where that is confirmed.
    """
    if not healing.minutes:
        return smaller, None, ()
    better = copy.copy(smaller)
    better.net = copy.deepcopy(smaller.net)
    healed = _healed(study, better, found, healing, progress)
    after = of_network(study.judges, better, found, study.setting.seed)
    errs_less = risen(after, found.budget, SEARCHED) < risen(looks, found.budget, SEARCHED)
    holds = risen(after, found.budget) <= study.budget.most
    return better if errs_less and holds else smaller, healed, after


def _healed(
    study: Study, smaller: Model, found: Found, asked: Healing, progress: Progress
) -> Healed:
    """Distil the original into the cut network, in the precision in which it will be written."""
    context, setting = context_of(study.model, study.setting), study.setting
    if asked.on_data:
        lessons = Lessons.of(list(_before(study)), context, setting.horizon)
    else:
        lessons = Lessons.generated(context, setting.horizon, setting.seed)
    recipe = Recipe(minutes=asked.minutes, seed=setting.seed)
    known = hashlib.sha256(
        f"{asked} {sorted(map(str, found.at))} {smaller.kept.told()}".encode()
    ).hexdigest()
    place = study.folder.path / f"healing-{known[:8]}"
    place.mkdir(exist_ok=True)
    healed = heal(study.model, smaller, lessons, recipe, place, progress)
    smaller.net.to(stored(study.model.source)).to(torch.float32)
    if smaller.body is not None:  # what the anatomy had computed from weights
        smaller.anatomy = smaller.body.anatomy(smaller.net)
    return healed


def _before(study: Study) -> Iterable[np.ndarray]:
    """The values of each series before the windows that confirm: [time] each."""
    ends = {one.name: len(one.values) for one in study.series}
    for window in study.unseen.windows:
        ends[window.series] = min(len(window.history), ends[window.series])
    return (one.values[: ends[one.name]] for one in study.series)
