"""Doing the units of a benchmark by several workers at once: processes of this machine, or Ray.

Only the process that was started keeps results, so that the folder is the same whoever did what.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import Queue
from types import ModuleType
from typing import Any, Protocol

import pandas as pd

from tsfm_probe.errors import PartlyDone, ProbeError, UsageError
from tsfm_probe.evaluate.store import Progress, Store, Unit, Work

Make = Callable[[str], Work]
"""Makes a worker on a device ("cpu", "cuda:0", ...): picklable, and called once by each worker."""
LOCAL, RUNNING = "local", "auto"


class Hands(Protocol):
    """Workers that do units at the same time."""

    def give(self, unit: Unit) -> None:
        """Let a free worker do a unit."""
        ...

    def take(self) -> list[tuple[Unit, pd.DataFrame]]:
        """Wait until at least one unit is done; those that are."""
        ...

    @property
    def free(self) -> bool:
        """Whether another unit should be given."""
        ...


def fill_by(
    hands: Hands, store: Store, units: Sequence[Unit], progress: Progress | None = None
) -> None:
    """Do what is not done yet by several workers, and keep each unit as soon as it is done.

    progress: told (done, all, names of what is being done).
    """
    tell = progress or (lambda *_: None)
    done = store.done(units)
    waiting = [unit for unit in units if unit not in done]
    running: list[Unit] = []
    finished = len(units) - len(waiting)
    while waiting or running:
        while waiting and hands.free:
            running.append(waiting.pop(0))
            hands.give(running[-1])
        tell(finished, len(units), ", ".join(unit.name for unit in running))
        for unit, rows in hands.take():
            store.write(unit, rows)
            running.remove(unit)
            finished += 1
    tell(len(units), len(units), "")


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    devices: one process of this machine for each, such as "cuda:0", "cuda:1"; none: this process.
    ray: LOCAL for a cluster of this machine that is started and ended here, RUNNING for the one
    that `ray start` began here, or an address; "" for none. UsageError for both.
    """

    devices: tuple[str, ...] = ()
    ray: str = ""

    def __post_init__(self) -> None:
        if self.devices and self.ray:
            raise UsageError("--devices with --ray", allowed="one of them")

    @property
    def several(self) -> bool:
        """Whether there are workers besides this process."""
        return bool(self.devices or self.ray)

    @contextmanager
    def hands(self, make: Make, device: str) -> Iterator[Hands]:
        """The workers, for as long as the block is open. device: of those of a Ray cluster."""
        if self.ray:
            with _Cluster.started(self.ray, make, device) as cluster:
                yield cluster
        else:
            with _Processes.started(self.devices, make) as processes:
                yield processes


class _Processes:
    """One process for each device."""

    def __init__(self, pool: ProcessPoolExecutor, size: int) -> None:
        self.pool = pool
        self.size = size
        self.running: dict[Future[pd.DataFrame], Unit] = {}

    @classmethod
    @contextmanager
    def started(cls, devices: Sequence[str], make: Make) -> Iterator["_Processes"]:
        """Start the processes; each makes its worker before its first unit."""
        spawn = get_context("spawn")
        free: Queue[str] = spawn.Queue()
        for device in devices:
            free.put(device)
        pool = ProcessPoolExecutor(len(devices), spawn, _settle, (free, make))
        try:
            yield cls(pool, len(devices))
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def free(self) -> bool:
        return len(self.running) < self.size

    def give(self, unit: Unit) -> None:
        self.running[self.pool.submit(_do, unit)] = unit

    def take(self) -> list[tuple[Unit, pd.DataFrame]]:
        ended = wait(self.running, return_when=FIRST_COMPLETED).done
        try:
            return [(self.running.pop(one), one.result()) for one in ended]
        except BrokenProcessPool as error:
            raise PartlyDone(
                "units were given to processes of this machine",
                "one of them ended unexpectedly (it may have run out of memory)",
                "what is done is kept: the same command goes on, with fewer --devices if need be",
            ) from error


_worker: Work | None = None  # of a process that does units for another


def _settle(free: "Queue[str]", make: Make) -> None:
    """Make the worker of this process, on a device that no other has."""
    global _worker  # a pool has no other place for what its processes keep
    _worker = make(free.get())


def _do(unit: Unit) -> pd.DataFrame:
    assert _worker is not None  # _settle ran first
    return _worker(unit)


class _Cluster:
    """One actor for each free processor (or GPU) of a Ray cluster.

    An actor that is lost is started again, on another machine if need be, and does its unit again.
    """

    def __init__(self, ray: ModuleType, actors: list[Any]) -> None:
        self.ray = ray
        self.idle = actors
        self.running: dict[Any, tuple[Unit, Any]] = {}

    @classmethod
    @contextmanager
    def started(cls, address: str, make: Make, device: str) -> Iterator["_Cluster"]:
        """Join or start the cluster, and start the actors."""
        ray = _package()
        own = address == LOCAL
        try:
            ray.init(None if own else address, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ProbeError(
                f"--ray {address}",
                f"no cluster answers ({' '.join(str(error).split())[:160]})",
                "start one with `ray start --head`, or --ray local",
            ) from error
        try:
            yield cls(ray, _actors(ray, make, device))
        finally:
            ray.shutdown()

    @property
    def free(self) -> bool:
        return bool(self.idle)

    def give(self, unit: Unit) -> None:
        actor = self.idle.pop()
        self.running[actor.do.remote(unit)] = unit, actor

    def take(self) -> list[tuple[Unit, pd.DataFrame]]:
        ended, _ = self.ray.wait(list(self.running), num_returns=1)
        found = []
        for one in ended:
            unit, actor = self.running.pop(one)
            found.append((unit, self._result(one, unit)))
            self.idle.append(actor)
        return found

    def _result(self, one: Any, unit: Unit) -> pd.DataFrame:
        try:
            return self.ray.get(one)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ProbeError):
                raise error.cause from error
            raise


class _Hand:
    """A worker of a cluster, which loads its model once."""

    def __init__(self, make: Make, device: str) -> None:
        self.work = make(device)

    def do(self, unit: Unit) -> pd.DataFrame:
        """The rows of a unit."""
        return self.work(unit)


def _actors(ray: ModuleType, make: Make, device: str) -> list[Any]:
    there = ray.available_resources()
    gpus = int(there.get("GPU", 0)) if device in ("auto", "cuda") else 0
    count = gpus or max(1, int(there.get("CPU", 1)))
    needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
    hand = ray.remote(max_restarts=-1, max_task_retries=-1, **needs)(_Hand)
    return [hand.remote(make, device) for _ in range(count)]


def _package() -> ModuleType:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ProbeError(
            "--ray", "the package ray is not installed", "pip install 'tsfm-probe[ray]'"
        ) from error
    return ray
