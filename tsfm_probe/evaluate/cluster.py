"""Workers on the machines of a Ray cluster."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from tsfm_probe.errors import PartlyDone, ProbeError
from tsfm_probe.evaluate.store import Make, Unit

LOCAL = "local"
PATIENCE = 10.0
"""Seconds in which a cluster must answer; Ray itself would ask for many minutes."""
AGAIN = 5
"""How often a unit is done again that was lost with its worker."""


class Cluster:
    """One actor for each free processor (or GPU) of a Ray cluster.

    An actor that is lost is started again, on another machine if need be, and does its unit again:
    AGAIN times at most, because a unit may be what kills it.
    """

    def __init__(self, ray: ModuleType, actors: list[Any]) -> None:
        self.ray = ray
        self.idle = actors
        self.running: dict[Any, tuple[Unit, Any]] = {}

    @classmethod
    @contextmanager
    def started(cls, address: str, make: Make, device: str) -> Iterator["Cluster"]:
        """Join or start the cluster, and start the actors."""
        ray = _package()
        own = address == LOCAL
        try:
            _ask(address)
            ray.init(None if own else address, log_to_driver=False, logging_level="error")
        except (OSError, RuntimeError, ValueError) as error:
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
        """Whether another unit should be given."""
        return bool(self.idle)

    def give(self, unit: Unit) -> None:
        """Let a free worker do a unit."""
        actor = self.idle.pop()
        self.running[actor.do.remote(unit)] = unit, actor

    def take(self) -> list[tuple[Unit, pd.DataFrame]]:
        """Wait until at least one unit is done; those that are."""
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
        except self.ray.exceptions.RayError as error:
            raise PartlyDone(
                f"{unit.name} was given to a Ray cluster",
                f"its worker was lost {AGAIN + 1} times, or could not start "
                f"({' '.join(str(error).split())[:160]})",
                "what is done is kept: the same command goes on",
            ) from error


class _Hand:
    """A worker of a cluster, which loads its model once.

    folder: that in which the command was given, and which names of models and data start from.
    """

    def __init__(self, make: Make, device: str, folder: str) -> None:
        with suppress(OSError):  # another machine may not have it
            os.chdir(folder)
        self.work = make(device)

    def do(self, unit: Unit) -> pd.DataFrame:
        """The rows of a unit."""
        return self.work(unit)


def _actors(ray: ModuleType, make: Make, device: str) -> list[Any]:
    there = ray.available_resources()
    gpus = int(there.get("GPU", 0)) if device in ("auto", "cuda") else 0
    count = gpus or max(1, int(there.get("CPU", 1)))
    needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
    hand = ray.remote(max_restarts=-1, max_task_retries=AGAIN, **needs)(_Hand)
    return [hand.remote(make, device, str(Path.cwd())) for _ in range(count)]


def _ask(address: str) -> None:
    """OSError if nothing answers at an address of host and port."""
    if place := re.fullmatch(r"(?:ray://)?(?P<host>.+):(?P<port>[0-9]{1,5})", address):
        socket.create_connection((place["host"], int(place["port"])), PATIENCE).close()


def _package() -> ModuleType:
    try:
        return import_module("ray")
    except ModuleNotFoundError as error:
        raise ProbeError(
            "--ray", "the package ray is not installed", "pip install 'tsfm-probe[ray]'"
        ) from error
