"""Several workers do what one does."""

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from tests.said import Said
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.commands.tested import done
from tsfm_probe.errors import PartlyDone, ProbeError, UsageError
from tsfm_probe.evaluate import cluster
from tsfm_probe.evaluate.processes import Processes
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


def test_a_cluster_does_again_what_a_lost_worker_had(
    alone: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utils = pytest.importorskip("ray.cluster_utils")
    own = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        store = store_in(tmp_path / "run")
        monkeypatch.chdir(tmp_path)  # it was started in another folder
        make = partial(made, Path(), UNITS[5].name)
        with Workers(ray=own.address).hands(make, "cpu") as hands:
            fill_by(hands, store, UNITS)
    finally:
        own.shutdown()
    assert (tmp_path / "killed").exists()
    pd.testing.assert_frame_equal(
        rows(store).drop(columns="process"), alone.drop(columns="process")
    )
    assert len(list(tmp_path.glob("*-cpu"))) == 3  # two workers, and the one that followed


def test_a_unit_that_kills_every_worker_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(cluster, "AGAIN", 0)
    store = store_in(tmp_path / "run")
    make = partial(made, tmp_path, UNITS[1].name)
    lost = pytest.raises(PartlyDone, match=r"worker was lost 1 times.*the same command goes on")
    with lost, Workers(ray="local").hands(make, "cpu") as hands:
        fill_by(hands, store, UNITS[:2])


def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"  # bound, but nobody listens
        since = time.monotonic()
        with (
            pytest.raises(ProbeError, match=r"no cluster answers .*; start one with `ray start"),
            Workers(ray=address).hands(partial(made, Path(), ""), "cpu"),
        ):
            pass
    assert time.monotonic() - since < 20


def test_what_is_done_is_handed_over_before_an_error_is_raised() -> None:
    good, bad = Future[pd.DataFrame](), Future[pd.DataFrame]()
    good.set_result(pd.DataFrame({"task": ["sound"]}))
    bad.set_exception(ProbeError("something"))
    with ProcessPoolExecutor(1) as pool:  # it is given nothing
        hands = Processes(pool, 2)
        hands.running = {bad: UNITS[0], good: UNITS[1]}
        assert [unit for unit, _ in hands.take()] == [UNITS[1]]
        with pytest.raises(ProbeError, match="something"):
            hands.take()


@dataclass(frozen=True)
class Asked:
    """What a worker is told."""

    device: str
    dtype: str


class Telling:
    """Says what it was told."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def __call__(self, unit: Unit) -> pd.DataFrame:
        return pd.DataFrame({"told": [f"{self.asked.device} {self.asked.dtype}"]})


def test_workers_take_the_precision_that_the_run_has(tmp_path: Path) -> None:
    """What "auto" is depends on the device, and theirs may be another."""
    store = Store.start(tmp_path / "run", {"dtype": "bfloat16"}, {}, {"told": str})
    asked, workers = Asked("cuda:7", "auto"), Workers(("cpu",))
    done(store, UNITS[:1], Telling(asked), asked, workers, Terminal(quiet=True))
    assert store.rows(UNITS[0])["told"].tolist() == ["cpu bfloat16"]


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
