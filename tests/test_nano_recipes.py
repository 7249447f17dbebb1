"""The recipes of the nano models: what a run sees, that it goes on, and what it writes."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import REPOSITORY
from tsfm_probe import load

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "nano"))
FAMILIES, FAMILY, POOL, TRAIN, EXPORT, MOTIFS = (
    import_module(name) for name in ("families", "family", "pool", "train", "export", "motifs")
)
SHARDS, SERIES, STEPS, FINISH = 2, 16, 4, 3


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The training loop on a corpus of few series and short contexts, in `tmp_path/pool`."""
    monkeypatch.setattr(POOL, "SHARD", SERIES)
    monkeypatch.setattr(POOL.os, "nice", lambda more: more)  # would last for the other tests
    POOL.fill(tmp_path / "pool", 0, SHARDS)
    stages = (
        FAMILY.Stage(0.5, 0.9, 0.0, 8, {64: (4, 1.0)}),
        FAMILY.Stage(1.0, 0.5, 0.0, 16, {64: (4, 1.0), 96: (3, 1.0)}),
    )
    finish = FAMILY.Stage(1.0, 0.5, 0.0, 16, {48: (4, 1.0)}, smooth=0.5, wandering=0.5)

    def shrunk(name: str) -> Any:
        family = replace(FAMILIES.found(name), stages=stages)
        last = family.finish or replace(family, rate=2 * family.rate)
        return replace(family, finish=replace(last, stages=(finish,)))

    monkeypatch.setattr(TRAIN, "found", shrunk)
    return TRAIN


def begun(loop: ModuleType, folder: Path, family: str, out: str = "run", snapshots: int = 0) -> Any:
    """A run in `folder/out`, gone on with where one was saved."""
    (folder / out).mkdir(exist_ok=True)
    sizes = {"seed": 0, "steps": STEPS, "seconds": float("inf"), "rate": 0.0, "shards": SHARDS}
    saving = {"device": "cpu", "save_every": 1e9, "snapshots": snapshots, "finish": FINISH}
    return loop.Run(
        loop.Recipe(family=family, out=folder / out, pool=folder / "pool", **sizes, **saving)
    )


def test_a_shard_is_given_by_seed_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simple series first, then the mixture; the same each time, another for another seed."""
    monkeypatch.setattr(POOL, "SHARD", SERIES)
    for number in (0, POOL.SIMPLE_SHARDS):
        block = POOL.shard(0, number)
        assert block.shape == (SERIES, POOL.LENGTH)
        np.testing.assert_array_equal(block, POOL.shard(0, number))
        assert not np.array_equal(block, POOL.shard(1, number), equal_nan=True)


def test_levels_reach_far_above_the_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many series stand high above their own changes, as loads and rates do, and many do not."""
    monkeypatch.setattr(POOL, "SHARD", SERIES)
    found = POOL.drawn(np.random.default_rng(0), [POOL.shard(0, POOL.SIMPLE_SHARDS)], 400, 128)
    height = np.abs(np.nanmean(found, axis=1))
    assert 0.05 < np.mean(height > 20) < 0.3
    assert np.mean(height < 2) > 0.4


@pytest.mark.parametrize("family", FAMILIES.NAMES)
def test_a_run_goes_on_as_if_it_had_not_stopped(
    small: ModuleType, tmp_path: Path, family: str
) -> None:
    """Stopped half-way and in its finish: the same losses and the same averaged weights."""
    whole = begun(small, tmp_path, family)
    whole.go()
    half = begun(small, tmp_path, family, "stopped")
    half.advance()
    half.advance()
    half.save()
    half.advance()  # lost, as it was not saved
    rest = begun(small, tmp_path, family, "stopped")
    assert rest.step == 2
    while rest.step < STEPS + 1:
        rest.advance()
    rest.save()
    begun(small, tmp_path, family, "stopped").go()
    rest = begun(small, tmp_path, family, "stopped")
    log, other = (
        pd.read_csv(tmp_path / out / "loss.csv").drop(columns="seconds")
        for out in ("run", "stopped")
    )
    pd.testing.assert_frame_equal(log, other, check_exact=True)
    assert len(log) == STEPS + FINISH
    assert (log["context"] == 48).tolist() == [False] * STEPS + [True] * FINISH
    assert log["rate"].iloc[STEPS:].max() > log["rate"].iloc[STEPS - 1]
    for ours, theirs in zip(whole.average, rest.average, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_smooth_motifs_come_if_asked_for_and_change_nothing_else() -> None:
    """Few waves: nearly all power in eight harmonics, which white and jumping motifs have not."""

    def share(smooth: float) -> np.ndarray:
        wish = MOTIFS.Wish(1, 0.0, 48, 48, 0.0, smooth, leaning=0.0)
        series = MOTIFS.repeated(np.random.default_rng(0), 200, 48, wish)
        power = np.abs(np.fft.rfft(series - series.mean(1, keepdims=True))) ** 2
        return power[:, 1:9].sum(1) / power.sum(1)

    assert (share(1.0) > 0.999).all()
    assert 0.4 < np.mean(share(0.5) > 0.999) < 0.6
    assert np.mean(share(0.0) > 0.999) < 0.05


def test_a_level_wanders_if_asked_for() -> None:
    """What repeats exactly on a level that stands does not where it wanders."""

    def change(wandering: float) -> np.ndarray:
        wish = MOTIFS.Wish(1, 0.0, 8, 8, 0.0, leaning=0.0, wandering=wandering)
        series = MOTIFS.repeated(np.random.default_rng(0), 100, 96, wish)
        return np.abs(series[:, -8:] - series[:, :8]).mean(1)

    assert (change(0.0) < 1e-4).all()
    assert (change(1.0) > 1e-3).all()


@pytest.mark.parametrize("family", FAMILIES.NAMES)
def test_what_is_exported_is_the_average_in_the_published_format(
    small: ModuleType, tmp_path: Path, family: str
) -> None:
    """The checkpoint loads by the package's own loader with the averaged weights, and forecasts."""
    run = begun(small, tmp_path, family)
    run.advance()
    run.advance()
    state = {"family": family, "average": run.average}
    EXPORT.export(state, tmp_path / "checkpoint")
    model = load(str(tmp_path / "checkpoint"))
    wanted = {
        name: average.half().float()
        for (name, _), average in zip(run.net.named_parameters(), run.average, strict=True)
    }
    found = dict(model.net.named_parameters())
    largest = max(wanted, key=lambda name: wanted[name].numel())
    torch.testing.assert_close(found[largest], wanted[largest], rtol=0, atol=0)
    values = model.forecast([np.sin(np.arange(64.0))], 8, samples=2).values
    assert np.isfinite(values).all()


def test_every_snapshot_is_at_half_of_the_next(small: ModuleType, tmp_path: Path) -> None:
    """Of a run of four steps with three of them: after one, two and all four."""
    begun(small, tmp_path, "timesfm-2.5", snapshots=3).go()
    kept = sorted((tmp_path / "run").glob("step-*.pt"))
    assert [int(one.stem[-6:]) for one in kept] == [1, 2, 4]
    EXPORT.export(torch.load(kept[0]), tmp_path / "first")
    EXPORT.export(torch.load(kept[-1]), tmp_path / "last")
    first, last = (load(str(tmp_path / name)) for name in ("first", "last"))
    assert any(
        not torch.equal(one, two)
        for one, two in zip(first.net.parameters(), last.net.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ("toto-1 --finish 5", "toto-1 has no finish"),
        ("chronos-t5 --finish 5 --seconds 60", "--finish follows --steps, and not --seconds"),
    ],
)
def test_a_finish_that_would_never_come_is_refused(
    words: str,
    pattern: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", *words.split(), "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        TRAIN.asked()
    assert ended.value.code == 2
    assert pattern in capsys.readouterr().err
