"""Several workers do what one does."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from tests.said import Said
from tsfm_probe.errors import PartlyDone, UsageError
from tsfm_probe.evaluate.spread import Workers, fill_by
from tsfm_probe.evaluate.store import Store, Unit, fill

Command = Callable[..., Said]
COLUMNS = {"task": str, "value": float, "process": int}
UNITS = tuple(Unit(f"task-{task}", block, "untouched") for task in range(4) for block in range(3))


class Worker:
    """Tells for each unit a number of it, and in which process it was done.

    doomed: a file; the unit of the same name kills its process once, and then the file is there.
    """

    def __init__(self, folder: Path, device: str, doomed: str = "") -> None:
        self.folder = folder
        self.doomed = doomed
        (folder / f"{os.getpid()}-{device}").touch()

    def __call__(self, unit: Unit) -> pd.DataFrame:
        if unit.name == self.doomed and not (self.folder / "killed").exists():
            (self.folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1)  # or the first worker has done all before the second is there
        value = len(unit.task) + 0.1 * unit.block
        return pd.DataFrame({"task": [unit.task], "value": [value], "process": [os.getpid()]})


def made(folder: Path, doomed: str, device: str) -> Worker:
    return Worker(folder, device, doomed)


def rows(store: Store) -> pd.DataFrame:
    return pd.concat([store.rows(unit) for unit in UNITS], ignore_index=True)


def store_in(folder: Path) -> Store:
    return Store.start(folder, {"probe": "test"}, {}, COLUMNS)


@pytest.fixture
def alone(tmp_path: Path) -> pd.DataFrame:
    """What one process does."""
    (tmp_path / "alone").mkdir()
    store = store_in(tmp_path / "alone-run")
    fill(store, UNITS, Worker(tmp_path / "alone", "cpu"))
    return rows(store)


def test_two_processes_do_what_one_does(alone: pd.DataFrame, tmp_path: Path) -> None:
    store, told = store_in(tmp_path / "run"), list[tuple[int, int, str]]()
    with Workers(("cpu", "cpu")).hands(partial(made, tmp_path, ""), "cpu") as hands:
        fill_by(hands, store, UNITS, lambda *one: told.append(one))
    found = rows(store)
    pd.testing.assert_frame_equal(found.drop(columns="process"), alone.drop(columns="process"))
    workers = {one.name for one in tmp_path.glob("*-cpu")}
    assert {f"{one}-cpu" for one in found["process"].unique()} == workers
    assert len(workers) == 2
    assert os.getpid() not in set(found["process"])
    assert told[-1] == (len(UNITS), len(UNITS), "")
    assert [one[0] for one in told] == sorted(one[0] for one in told)


def test_what_a_process_did_before_it_died_is_kept(alone: pd.DataFrame, tmp_path: Path) -> None:
    store, workers = store_in(tmp_path / "run"), Workers(("cpu", "cpu"))
    make = partial(made, tmp_path, UNITS[5].name)
    with (
        pytest.raises(PartlyDone, match="the same command goes on"),
        workers.hands(make, "cpu") as hands,
    ):
        fill_by(hands, store, UNITS)
    kept = store.done(UNITS)
    assert 0 < len(kept) < len(UNITS)
    before = {unit: store.shard(unit).stat().st_mtime_ns for unit in kept}
    with workers.hands(make, "cpu") as hands:
        fill_by(hands, store, UNITS)
    assert {unit: store.shard(unit).stat().st_mtime_ns for unit in kept} == before
    pd.testing.assert_frame_equal(
        rows(store).drop(columns="process"), alone.drop(columns="process")
    )


def test_a_cluster_does_again_what_a_lost_worker_had(alone: pd.DataFrame, tmp_path: Path) -> None:
    utils = pytest.importorskip("ray.cluster_utils")
    cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        store = store_in(tmp_path / "run")
        make = partial(made, tmp_path, UNITS[5].name)
        with Workers(ray=cluster.address).hands(make, "cpu") as hands:
            fill_by(hands, store, UNITS)
    finally:
        cluster.shutdown()
    assert (tmp_path / "killed").exists()
    pd.testing.assert_frame_equal(
        rows(store).drop(columns="process"), alone.drop(columns="process")
    )
    assert len(list(tmp_path.glob("*-cpu"))) == 3  # two workers, and the one that followed


@pytest.mark.parametrize("devices", ["gpu", "cpu,", "cuda:x", "cuda:0,tpu"])
def test_devices_that_are_none_are_told(devices: str) -> None:
    if devices == "cpu,":
        assert Workers.of(devices, "").devices == ("cpu",)
        return
    with pytest.raises(UsageError, match="--devices"):
        Workers.of(devices, "")


def test_devices_and_a_cluster_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="one of them"):
        Workers(("cpu",), "local")
