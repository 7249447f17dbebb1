"""How fast the ablation sweep is against the plain loop that a user would write.

    python benchmarks/speed.py [--shape chronos-t5-small|chronos-bolt-small] [--windows 8]

Both sweep heads of the same random network over the same windows, horizon and samples: the plain
way zeroes the head's columns of the output projection, calls the upstream pipeline's predict and
writes the columns back; ours is tsfm_probe's Sweep. A trial is one head; the heads are spread
evenly over the network, and the plain way gets every sixth of them, since its cost does not depend
on which. Printed: trials x series per second of both in one run, interleaved, their ratio, and our
peak memory over that of the loaded network.
Nothing that is printed is a test: it is a measurement of this machine.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from shapes import network

from tsfm_probe.address import Address
from tsfm_probe.data.synthetic import generated
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.surgery.plan import Trial


def plain(model: Any, contexts: Sequence[torch.Tensor], head: Address, horizon: int) -> None:
    """One trial as a user would write it with chronos-forecasting."""
    component = model.anatomy[head]
    columns = component.columns(head.head)
    kept = component.mix.weight[:, columns].clone()
    with torch.no_grad():
        component.mix.weight[:, columns] = 0
        model.upstream().predict(list(contexts), horizon)
        component.mix.weight[:, columns] = kept


def peak() -> int:
    """Largest resident memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compare(model: Model, windows: int, horizon: int, count: int) -> dict[str, float]:
    """Run both, interleaved, and tell trials x series per second."""
    series = generated(windows, 700, seed=0, kinds=["trend"])
    job = Job.of(model, series, Setting(horizon=horizon, windows=1))
    contexts = [torch.tensor(one.seen, dtype=torch.float32) for one in job.windows]
    every = model.anatomy.heads
    spread = np.linspace(0, len(every) - 1, min(count, len(every))).round().astype(int)
    heads = [every[place] for place in spread]
    before = psutil.Process().memory_info().rss
    sweep = job.sweep()
    for head in (heads[0], heads[-1]):
        sweep.forecasts(Trial(str(head), "head", (head,)))
    memory = peak() - before
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for number, head in enumerate(heads):
        start = time.perf_counter()
        sweep.forecasts(Trial(str(head), "head", (head,)))
        seconds["ours"].append(time.perf_counter() - start)
        if number % 6 == 3:
            start = time.perf_counter()
            plain(model, contexts, head, horizon)
            seconds["plain"].append(time.perf_counter() - start)
    rates = {name: len(contexts) / float(np.mean(taken)) for name, taken in seconds.items()}
    return {
        "ours_per_second": rates["ours"],
        "plain_per_second": rates["plain"],
        "ratio": rates["ours"] / rates["plain"],
        "trials_ours": len(seconds["ours"]),
        "trials_plain": len(seconds["plain"]),
        "peak_over_network_gb": memory / 1e9,
    }


def main() -> None:
    """Read the options, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shape", default="chronos-t5-small", choices=["chronos-t5-small", "chronos-bolt-small"]
    )
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--heads", type=int, default=24, help="how many heads are swept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network(asked.shape).save_pretrained(folder)
        model = load(folder, device="cpu")
        model.name = asked.shape
        found = compare(model, asked.windows, asked.horizon, asked.heads)
    facts = {
        "shape": asked.shape,
        "windows": asked.windows,
        "horizon": asked.horizon,
        "threads": torch.get_num_threads(),
        "written": Path(__file__).name,
    }
    print(json.dumps(facts | {name: round(value, 3) for name, value in found.items()}, indent=1))


if __name__ == "__main__":
    main()
