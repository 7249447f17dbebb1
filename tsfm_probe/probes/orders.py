"""In which order heads or layers are cut together.

A unit of an order is the trial that cuts one head or one layer alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tsfm_probe.address import Address
from tsfm_probe.bootstrap import log_ratios
from tsfm_probe.errors import DataError, UsageError, nearest
from tsfm_probe.probes.ablation import Job, tried
from tsfm_probe.probes.importance import gradient_importance
from tsfm_probe.scores.weights import head_order
from tsfm_probe.surgery.plan import Trial

ORDERS = ("stable-rank", "stable-rank-desc", "random", "measured", "gradient")
FILE = "file"
METRIC = "MASE"
Order = tuple[Trial, ...]


def label(name: str) -> str:
    """What an order is called in a table; UsageError if it is neither known nor a file."""
    if name in ORDERS:
        return name
    if not Path(name).is_file():
        raise UsageError(
            f"the order {name!r} was asked for",
            "no order has that name, and there is no such file",
            nearest(name, (*ORDERS, "a file with one address in each line")),
        )
    return FILE


def units(job: Job) -> Order:
    """What a job can cut: each head or layer that it selects, in the order of the network.

    UsageError for a job by part: a part has no place among heads.
    """
    if job.setting.by == "part":
        raise UsageError("an order of parts was asked for", allowed="--by head or --by layer")
    return tuple(trial for trial in job.plan if trial.kind == job.setting.by)


def ordered(job: Job, name: str, seed: int = 0) -> Order:
    """The units of a job in the order of one of ORDERS, or as a file lists them; first cut first.

    stable-rank: lowest first (Bao et al. 2026, arXiv 2602.01605); stable-rank-desc: highest first.
    gradient: heads of least importance first (Michel et al. 2019). measured: those first whose
    own ablation harms least (by MASE), which runs it. random: drawn by the seed. Layers are
    ordered by the mean place of their heads where the order is one of heads.
    """
    pool, model = units(job), job.model
    if label(name) == FILE:
        return listed(Path(name), pool)
    if name == "random":
        return shuffled(pool, seed, 0)
    if name == "measured":
        return measured(pool, pd.concat([frame for _, frame in tried(job, pool)]))
    if name == "gradient":
        importance = gradient_importance(job)
        return _by_heads(pool, sorted(importance, key=lambda at: (importance[at], at)))
    found = head_order(model, "stable-rank", "plain")
    return _by_heads(pool, found if name == "stable-rank" else found[::-1])


def shuffled(pool: Sequence[Trial], seed: int, number: int) -> Order:
    """The units in the random order of that number, drawn by the seed."""
    places = np.random.default_rng((seed, number)).permutation(len(pool))
    return tuple(pool[place] for place in places)


def measured(pool: Sequence[Trial], frame: pd.DataFrame) -> Order:
    """The units by the MASE that is measured without each alone, the least harmful first.

    frame: a table's rows, those of every unit among them. A unit without any ratio comes last.
    """
    rows = frame.loc[frame["metric"] == METRIC]
    logs: dict[str, list[float]] = {}
    ratios = log_ratios(rows["value"].to_numpy(), rows["base"].to_numpy())
    for trial, ratio in zip(rows["trial"].tolist(), ratios, strict=True):
        if not np.isnan(ratio):
            logs.setdefault(trial, []).append(float(ratio))
    return tuple(sorted(pool, key=lambda one: np.mean(logs.get(one.name, [np.inf]))))


def listed(path: Path, pool: Sequence[Trial]) -> Order:
    """The units that a file names, one in each line; after a # stands what is not read.

    UsageError, with the line, for a name that is unknown, there twice, or missing altogether.
    """
    known = {one.name: one for one in pool}
    found: dict[str, Trial] = {}
    asked = f"the order in the file {path} was asked for"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(asked, f"it cannot be read: {error}", "a text file") from error
    for number, line in enumerate(lines, 1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if name not in known:
            words = f"line {number}, {name!r}, is nothing that this run can cut"
            raise UsageError(asked, words, nearest(name, known))
        if name in found:
            raise UsageError(asked, f"line {number}, {name!r}, is there twice", "each once")
        found[name] = known[name]
    if not found:
        raise UsageError(
            asked, "it names nothing", f"one name in each line, such as {pool[0].name}"
        )
    return tuple(found.values())


def written(order: Sequence[Trial]) -> str:
    """An order as the text of a file that `listed` reads."""
    return "".join(f"{one.name}\n" for one in order)


def _by_heads(pool: Sequence[Trial], heads: Sequence[Address]) -> Order:
    """The units by the mean place of their heads in an order of heads."""
    place: dict[Address, list[int]] = {}
    for number, head in enumerate(heads):
        place.setdefault(head, []).append(number)
        place.setdefault(head.whole, []).append(number)
    last = [len(heads)]  # a layer that lost all its heads has no place among them
    found = {
        one.name: np.mean([number for at in one.at for number in place.get(at, [])] or last)
        for one in pool
    }
    return tuple(sorted(pool, key=lambda one: found[one.name]))
