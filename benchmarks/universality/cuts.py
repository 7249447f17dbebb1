"""What is cut out of one model: the trials of a study, and the plan that `bench` reads."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from tsfm_probe.address import Address
from tsfm_probe.durable import write_atomically
from tsfm_probe.models.base import Model
from tsfm_probe.scores.weights import head_order

from .study import RANDOM, Study

LAYER, BLOCK, HEADS = "layer", "block", "heads"


@dataclass(frozen=True)
class Cut:
    """One trial.

    name: of the trial. kind: LAYER, BLOCK or HEADS. patterns: what is ablated together.
    stack, layer, depth, middle: of a layer: depth from 0, its stack's first layer, to 1, the last;
    whether it stands in the middle. layers: how many a layer or block is.
    order, seed, share, heads: of heads: of which order, the seed of a random one (-1 else), which
    share of the heads of each attention, and how many in all.
    """

    name: str
    kind: str
    patterns: tuple[str, ...]
    stack: str = ""
    layer: int = -1
    depth: float = float("nan")
    middle: bool = False
    layers: int = 0
    order: str = ""
    seed: int = -1
    share: float = float("nan")
    heads: int = 0


def cuts(model: Model, study: Study) -> tuple[Cut, ...]:
    """All trials of a study on a model."""
    layers = _layers(model, study) if study.trials.layers else []
    return (*layers, *_blocks(model, study), *_heads(model, study))


def write(folder: Path, made: Sequence[Cut]) -> Path:
    """Write plan.json, as `bench --trials` reads it, and cuts.csv; returns the plan's path."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = [{"name": one.name, "ablate": list(one.patterns)} for one in made]
    lines = ",\n".join(json.dumps(one) for one in plan)
    write_atomically(folder / "plan.json", f"[\n{lines}\n]\n".encode())
    names = [one.name for one in fields(Cut) if one.name != "patterns"]
    frame = pd.DataFrame([asdict(one) for one in made]).loc[:, names]
    write_atomically(folder / "cuts.csv", frame.to_csv(index=False).encode())
    return folder / "plan.json"


def _stacks(model: Model) -> dict[str, list[int]]:
    """The numbers of the layers of every stack, in order."""
    found: dict[str, list[int]] = {}
    for parts in model.anatomy.layers.values():
        found.setdefault(parts[0].stack, []).append(parts[0].layer)
    return found


def _layers(model: Model, study: Study) -> list[Cut]:
    made = []
    for stack, layers in _stacks(model).items():
        for place, layer in enumerate(layers):
            depth = place / max(1, len(layers) - 1)
            middle = study.middle[0] <= depth <= study.middle[1]
            name = f"{stack}.{layer}"
            made.append(Cut(f"layer {name}", LAYER, (name,), stack, layer, depth, middle, 1))
    return made


def _blocks(model: Model, study: Study) -> list[Cut]:
    """So many layers in the middle of each stack; none where that would be all of them."""
    made = []
    for stack, layers in _stacks(model).items():
        for count in study.trials.blocks:
            if count >= len(layers):
                continue
            first = (len(layers) - count) // 2
            cut = layers[first : first + count]
            patterns = tuple(f"{stack}.{one}" for one in cut)
            name = f"block {stack}.{cut[0]}-{cut[-1]}"
            made.append(Cut(name, BLOCK, patterns, stack, layers=count))
    return made


def _heads(model: Model, study: Study) -> list[Cut]:
    heads, made = study.trials.heads, []
    ranked = _by_attention(head_order(model))
    for order in heads.orders:
        for seed in heads.seeds if order == RANDOM else (-1,):
            places = _ordered(ranked, order, seed)
            called = order if seed < 0 else f"{order}-{seed}"
            for share in heads.shares:
                cut = [str(at) for one in places for at in one[: number(share, len(one))]]
                facts = {"order": order, "seed": seed, "share": share, "heads": len(cut)}
                made.append(Cut(f"heads {called} {share:g}", HEADS, tuple(cut), **facts))
    return made


def number(share: float, heads: int) -> int:
    """How many heads of an attention that share is: at least one, and never all of several."""
    return min(max(1, round(share * heads)), max(1, heads - 1))


def _by_attention(ranked: Sequence[Address]) -> list[list[Address]]:
    """The heads of each attention, the lowest stable rank first."""
    found: dict[Address, list[Address]] = {}
    for at in ranked:
        found.setdefault(at.whole, []).append(at)
    return [found[at] for at in sorted(found)]


def _ordered(ranked: Sequence[list[Address]], order: str, seed: int) -> list[list[Address]]:
    """The heads of each attention as an order cuts them."""
    if order != RANDOM:
        return [one if order == "stable-rank" else one[::-1] for one in ranked]
    rng = np.random.default_rng(seed)
    return [[one[place] for place in rng.permutation(len(one))] for one in map(sorted, ranked)]
