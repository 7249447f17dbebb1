"""How fast weights-only scores are against a full singular value decomposition of every head.

    python benchmarks/scoring.py [--heads 24] [--threads 2] [NAME ...]

For each name a random network of the published shape is written and loaded. Timed is
`scored(model)`, the stable ranks of all heads from head_dim x head_dim matrices, table included:
the median of five runs after a first one. Against it stands `torch.linalg.svdvals` of W_Q^T W_K,
assembled in double precision, which is d_model x d_model: on `--heads` heads spread over the
network, whose mean time is multiplied by the number of heads (0: on all of them). Printed as a
Markdown table: both times, their ratio, the largest relative difference between the stable ranks of
the heads that were decomposed, and the peak memory of `scored` over that of the loaded network.
Nothing that is printed is a test: it is a measurement of this machine.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from shapes import network

from tsfm_probe.address import Address
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.scores.weights import scored

NAMES = ("chronos-t5-base", "chronos-t5-large", "timesfm-2.5")
COLUMNS = ("model", "heads", "d_model", "scored, s", "full SVD, s", "decomposed", "times faster",
           "relative difference", "peak memory, MB")  # fmt: skip
RUNS = 5


def loaded(name: str) -> Model:
    """A random network of the published shape, read from its published format."""
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        network(name).save_pretrained(Path(place))
        return load(place, "cpu", "float32")


def peak_memory(model: Model) -> int:
    """Bytes that scoring needs at most, above what was in use before."""
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    scored(model)
    high = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    return int(high) * 1024 - before


def ours(model: Model) -> float:
    """Seconds to score all heads: the median."""
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        scored(model)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def full(model: Model, heads: list[Address]) -> tuple[float, float]:
    """Mean seconds of a full decomposition, and the largest relative difference from `scored`."""
    table = scored(model)
    values = dict(zip(table["address"], table["value"], strict=True))
    spent, worst = 0.0, 0.0
    for at in heads:
        weights = model.anatomy.head_weights(at)
        begun = time.perf_counter()
        squares = torch.linalg.svdvals(weights.q.double().T @ weights.k.double()).pow(2)
        spent += time.perf_counter() - begun
        expected = float(squares.sum() / squares[0])
        worst = max(worst, abs(values[str(at)] / expected - 1))
    return spent / len(heads), worst


def row(name: str, count: int) -> list[str]:
    """The table's line of one model."""
    model = loaded(name)
    every = model.anatomy.heads
    spread = (
        np.linspace(0, len(every) - 1, min(count or len(every), len(every))).round().astype(int)
    )
    chosen = [every[place] for place in spread]
    memory, quick = peak_memory(model), ours(model)
    each, worst = full(model, chosen)
    slow = each * len(every)
    width = model.anatomy.head_weights(every[0]).q.shape[1]
    return [
        name,
        str(len(every)),
        str(width),
        f"{quick:.2f}",
        f"{slow:.1f}",
        "all" if len(chosen) == len(every) else f"{len(chosen)}, scaled",
        f"{slow / quick:.0f}",
        f"{worst:.1g}",
        f"{memory / 1e6:.0f}",
    ]


def main() -> None:
    """Print the table, one line as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help="known names")
    parser.add_argument("--heads", type=int, default=24, help="heads that are decomposed; 0: all")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print("|" + "|".join(COLUMNS) + "|\n|" + "---|" * len(COLUMNS), flush=True)
    for name in asked.names:
        print("|" + "|".join(row(name, asked.heads)) + "|", flush=True)


if __name__ == "__main__":
    main()
