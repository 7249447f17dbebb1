"""What cutting saves: layers and heads of random networks of the published sizes.

    python benchmarks/pruning.py [SHAPE ...] [--samples 4] [--horizon 64] [--batch 1]

Per shape three networks are compared with the whole one: every second layer of each stack cut by
tsfm_probe; the same layers deleted from the list of blocks by hand, as a user would (the first
layer, which holds T5's table of positions, stays in both, so that this is right); and every second
head of every attention cut. Printed: what is left of the parameters and of those in layers, time of
a forecast of the whole network over that of the smaller one (median of 20, both in turns, with its
95 % interval), and how far the two ways to cut layers are apart.
Nothing that is printed is a test: it is a measurement of this machine.
"""

import argparse
import copy
import json
import tempfile

import numpy as np
import torch
from shapes import network
from torch import nn

from tsfm_probe.data.synthetic import walk
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune.costs import Cost
from tsfm_probe.prune.latency import latency

SHAPES = ("chronos-t5-small", "chronos-t5-base", "chronos-bolt-base", "chronos-2")


def without_layers(model: Model) -> Model:
    """Every second layer cut, the first ones stay."""
    return cut(model, [at for at in model.anatomy.parts if at.layer % 2])


def without_heads(model: Model) -> Model:
    """Every second head cut."""
    return cut(model, [at for at in model.anatomy.heads if (at.head or 0) % 2])


def by_hand(model: Model) -> Model:
    """Every second block deleted from the network's own lists."""
    smaller = copy.copy(model)
    smaller.net = copy.deepcopy(model.net)
    for stack in model.anatomy.stacks:
        part = smaller.net.get_submodule(stack)
        part.block = nn.ModuleList(list(part.block)[::2])
        for layer, block in enumerate(part.block):
            for one in block.modules():  # upstream finds the cache of a layer by its number
                if "layer_idx" in vars(one):
                    vars(one)["layer_idx"] = layer
    return smaller


def compared(model: Model, asked: argparse.Namespace) -> dict[str, object]:
    """What each way of cutting leaves and how much faster it is."""
    rng = np.random.default_rng(0)
    contexts = [walk(rng, min(512, model.context_length)) for _ in range(asked.batch)]
    whole = Cost.of(model, 512, asked.horizon, asked.samples)
    ways = {"layers": without_layers, "layers by hand": by_hand, "heads": without_heads}
    found: dict[str, object] = {}
    forecasts = {}
    for name, way in ways.items():
        smaller = way(model)
        forecasts[name] = smaller.forecast(contexts, asked.horizon, 0, asked.samples).values
        times = latency((model, smaller), contexts, asked.horizon, asked.samples)
        low, high = times.interval()
        row = {"times faster": 1 / times.ratio, "low": 1 / high, "high": 1 / low}
        if way is not by_hand:
            own = Cost.of(smaller, 512, asked.horizon, asked.samples)
            row["parameters left"] = own.parameters / whole.parameters
            row["in layers left"] = own.block_parameters / whole.block_parameters
        found[name] = {key: round(value, 3) for key, value in row.items()}
    apart = np.abs(forecasts["layers"] - forecasts["layers by hand"]).max()
    return found | {"apart": float(apart / np.abs(forecasts["layers"]).max())}


def main() -> None:
    """Read the options, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=SHAPES, metavar="SHAPE")
    parser.add_argument("--samples", type=int, default=4, help="paths of families that draw them")
    parser.add_argument("--horizon", type=int, default=64)
    parser.add_argument("--batch", type=int, default=1)
    asked = parser.parse_args()
    for shape in asked.shapes:
        with tempfile.TemporaryDirectory() as folder:
            network(shape).save_pretrained(folder)
            model = load(folder, device="cpu", dtype="float32")
        facts = {"shape": shape, "threads": torch.get_num_threads(), "horizon": asked.horizon}
        print(json.dumps(facts | compared(model, asked), indent=1), flush=True)


if __name__ == "__main__":
    main()
