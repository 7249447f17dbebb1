"""The corpus on disk, written in shards by one process while another draws batches from it."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
from corpus import made, simple
from parts import LENGTH, Rng, standard

HORIZON = 64
SHARD = 2048
# The first shards hold simple series alone: a network that starts on noisy ones learns no more
# than the mean of its context in the first thousands of steps.
SIMPLE_SHARDS = 8


def shard(seed: int, number: int) -> np.ndarray:
    """A block of the corpus, given by (seed, number) alone: [series, time] float32."""
    rngs = [np.random.default_rng([seed, number, row]) for row in range(SHARD)]
    if number < SIMPLE_SHARDS:
        return np.stack([standard(simple(rng)) for rng in rngs]).astype(np.float32)
    return np.stack([made(rng) for rng in rngs])


def fill(folder: Path, seed: int, shards: int) -> None:
    """Write the missing shards of a pool, each at once or not at all, at the lowest priority.

    Runs in a process of its own and ends with the one that started it.
    """
    os.nice(19)
    folder.mkdir(parents=True, exist_ok=True)
    starter = multiprocessing.parent_process()
    for number in range(shards):
        if starter is not None and not starter.is_alive():
            return
        if not (path := folder / f"{number:05d}.npy").exists():
            part = folder / f"part-{os.getpid()}.npy"
            np.save(part, shard(seed, number))
            part.replace(path)


def waited(folder: Path, number: int) -> np.ndarray:
    """Shard `number` of a pool that another process fills: [series, time]."""
    path = folder / f"{number:05d}.npy"
    while not path.exists():
        time.sleep(0.5)
    return np.load(path)


def batch(
    rng: Rng, pool: list[np.ndarray], size: int, context: int
) -> tuple[np.ndarray, np.ndarray]:
    """Random stretches of a pool's series: context [series, time] and target [series, horizon].

    Half of the contexts are shorter than `context` (at least 16 steps) and padded with NaN on the
    left; some targets end early, which gives near steps more weight. Targets after a constant
    context are dropped, as no scale is known there.
    """
    stretch = np.empty((size, context + HORIZON), dtype=np.float32)
    for row in range(size):
        block = pool[rng.integers(len(pool))]
        start = rng.integers(LENGTH - context - HORIZON + 1)
        stretch[row] = block[rng.integers(SHARD), start : start + context + HORIZON]
    seen, target = stretch[:, :context], stretch[:, context:]
    short = np.where(rng.random(size) < 0.5, rng.integers(16, context + 1, size), context)
    seen[np.arange(context) < context - short[:, None]] = np.nan
    ends = np.where(rng.random(size) < 0.4, rng.integers(8, HORIZON + 1, size), HORIZON)
    target[np.arange(HORIZON) >= ends[:, None]] = np.nan
    observed = ~np.isnan(seen)
    count = np.maximum(observed.sum(1, keepdims=True), 1)
    mean = np.nansum(seen, 1, keepdims=True) / count
    spread = np.sqrt(np.nansum((seen - mean) ** 2, 1, keepdims=True) / count)
    target[(spread < 1e-3)[:, 0]] = np.nan
    return seen, target
