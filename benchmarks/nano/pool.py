"""The corpus on disk, written in shards by one process while another draws batches from it."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
from corpus import made, simple
from family import Stage
from motifs import Wish, repeated
from parts import LENGTH, Rng, heights, standard

SHARD = 2048
# The first shards hold simple series alone: a network that starts on noisy ones learns no more
# than the mean of its context in the first thousands of steps.
SIMPLE_SHARDS = 8
# How often a motif fits into the context at least.
LEAST_REPEATS = 1.5


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
    return np.load(path, mmap_mode="r")


def drawn(rng: Rng, pool: list[np.ndarray], rows: int, length: int) -> np.ndarray:
    """Random stretches of a pool, on levels as measured series have them: [series, time]."""
    stretch = np.empty((rows, length), dtype=np.float32)
    for row in range(rows):
        block = pool[rng.integers(len(pool))]
        start = rng.integers(LENGTH - length + 1)
        stretch[row] = block[rng.integers(SHARD), start : start + length]
    return stretch + heights(rng, rows)[:, None].astype(np.float32)


def shortened(rng: Rng, seen: np.ndarray, keep: float) -> None:
    """Hide the older part of some contexts, all but 16 steps at most, in place."""
    rows, context = seen.shape
    least = min(16, context)
    kept = np.where(rng.random(rows) < keep, context, rng.integers(least, context + 1, rows))
    seen[np.arange(context) < context - kept[:, None]] = np.nan


def batch(
    rng: Rng, pool: list[np.ndarray], stage: Stage, sizes: tuple[int, int, int], token: int
) -> tuple[np.ndarray, np.ndarray]:
    """A batch of motifs and series of the pool: context [series, time], target [series, horizon].

    sizes: series, context, horizon. Half of the pool's contexts and a quarter of the motifs' are
    shorter and padded with NaN on the left. Some targets end early, which gives near steps more
    weight. Targets after a constant context are dropped, as no
    scale is known there.
    """
    rows, context, horizon = sizes
    length = context + horizon
    many = int(rng.binomial(rows, stage.motifs))
    longest = max(stage.shortest, min(stage.longest, int(context / LEAST_REPEATS)))
    kinds = (stage.noisy, stage.smooth, stage.leaning, stage.wandering)
    wish = Wish(token, stage.aligned, stage.shortest, longest, *kinds)
    blocks = [repeated(rng, many, length, wish)] if many else []
    if many < rows:
        blocks.append(drawn(rng, pool, rows - many, length))
    stretch = np.concatenate(blocks)
    seen, target = stretch[:, :context].copy(), stretch[:, context:].copy()
    shortened(rng, seen[:many], 0.75)
    shortened(rng, seen[many:], 0.5)
    ends = np.where(rng.random(rows) < 0.4, rng.integers(8, horizon + 1, rows), horizon)
    target[np.arange(horizon) >= ends[:, None]] = np.nan
    observed = ~np.isnan(seen)
    count = np.maximum(observed.sum(1, keepdims=True), 1)
    mean = np.nansum(seen, 1, keepdims=True) / count
    spread = np.sqrt(np.nansum((seen - mean) ** 2, 1, keepdims=True) / count)
    target[(spread < 1e-3)[:, 0]] = np.nan
    return seen, target
