"""Doing the units of a benchmark by several workers at once: processes of this machine, or Ray.

Only the process that was started keeps results, so that the folder is the same whoever did what.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from tsfm_probe.errors import UsageError
from tsfm_probe.evaluate.cluster import Cluster
from tsfm_probe.evaluate.processes import Processes
from tsfm_probe.evaluate.store import Make, Progress, Store, Unit
from tsfm_probe.models import DEVICES


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
    ray: "local" for a cluster of this machine that is started and ended here, "auto" for the one
    that `ray start` began here, or an address; "" for none. UsageError for both.
    """

    devices: tuple[str, ...] = ()
    ray: str = ""

    def __post_init__(self) -> None:
        if self.devices and self.ray:
            raise UsageError("--devices with --ray", allowed="one of them")

    @classmethod
    def of(cls, devices: str, ray: str) -> "Workers":
        """Those of two options; UsageError for a device that no model can be loaded on."""
        found = tuple(one.strip() for one in devices.split(",") if one.strip())
        for one in found:
            if not re.fullmatch(DEVICES, one):
                raise UsageError(f"--devices {one!r}", allowed="cpu, cuda, cuda:1, ... by commas")
        return cls(found, ray)

    @property
    def several(self) -> bool:
        """Whether there are workers besides this process."""
        return bool(self.devices or self.ray)

    @contextmanager
    def hands(self, make: Make, device: str) -> Iterator[Hands]:
        """The workers, for as long as the block is open. device: of those of a Ray cluster."""
        if self.ray:
            with Cluster.started(self.ray, make, device) as cluster:
                yield cluster
        else:
            with Processes.started(self.devices, make) as processes:
                yield processes


HERE = Workers()
