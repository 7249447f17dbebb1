"""Workers in processes of this machine, one on each device."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.queues import Queue

import pandas as pd
import torch

from tsfm_probe.errors import PartlyDone
from tsfm_probe.evaluate.store import Make, Unit, Work


class Processes:
    """One process for each device."""

    def __init__(self, pool: ProcessPoolExecutor, size: int) -> None:
        self.pool = pool
        self.size = size
        self.running: dict[Future[pd.DataFrame], Unit] = {}

    @classmethod
    @contextmanager
    def started(cls, devices: Sequence[str], make: Make) -> Iterator["Processes"]:
        """Start the processes; each makes its worker before its first unit."""
        spawn = get_context("spawn")
        free: Queue[str] = spawn.Queue()
        for device in devices:
            free.put(device)
        threads = max(1, (os.cpu_count() or 1) // len(devices))
        pool = ProcessPoolExecutor(len(devices), spawn, _settle, (free, threads, make))
        try:
            yield cls(pool, len(devices))
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def free(self) -> bool:
        """Whether another unit should be given."""
        return len(self.running) < self.size

    def give(self, unit: Unit) -> None:
        """Let a free worker do a unit."""
        self.running[self.pool.submit(_do, unit)] = unit

    def take(self) -> list[tuple[Unit, pd.DataFrame]]:
        """Wait until at least one unit is done; those that are, errors only where none is."""
        ended = wait(self.running, return_when=FIRST_COMPLETED).done
        sound = [one for one in ended if one.exception() is None]
        try:
            return [(self.running.pop(one), one.result()) for one in sound or ended]
        except BrokenProcessPool as error:
            raise PartlyDone(
                "units were given to processes of this machine",
                "one of them ended unexpectedly (it may have run out of memory)",
                "what is done is kept: the same command goes on, with fewer --devices if need be",
            ) from error


_worker: Work | None = None  # of a process that does units for another


def _settle(free: "Queue[str]", threads: int, make: Make) -> None:
    """Make the worker of this process, on a device that no other has, with its share of threads."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(min(threads, torch.get_num_threads()))
    global _worker  # a pool has no other place for what its processes keep
    _worker = make(free.get())


def _do(unit: Unit) -> pd.DataFrame:
    assert _worker is not None  # _settle ran first
    return _worker(unit)
