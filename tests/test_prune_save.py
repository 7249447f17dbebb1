"""A pruned model is written as a whole, forecasts as the ablated one, or is not written."""

import errno
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.families import NETWORKS, contexts
from tests.searched import PROOF, some
from tsfm_probe.errors import CheckFailed, ProbeError, UsageError
from tsfm_probe.laws.subject import ROUNDING
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import cut
from tsfm_probe.prune.save import refuse_existing, refuse_needed, stored, write

Tiny = Callable[[str], Model]
FILES = ["README.md", "config.json", "model.safetensors", "prune.json"]
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")


def written(model: Model, out: Path, **told: Any) -> float:
    """Cut some parts of a model, write what is left; how far it is from the ablated model."""
    expected = PROOF.ablated(model, some(model))
    holds = lambda read: PROOF.off(read, expected)  # noqa: E731
    dtype = stored(model.source)
    return write(cut(model, some(model)), out, dtype, told, "a card", holds, ROUNDING)


def inside(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*.*")}


@pytest.mark.parametrize("name", ["nano-chronos-bolt", "nano-toto-1"])
def test_the_file_has_the_dtype_of_the_original_and_forecasts_the_same(
    name: str, tmp_path: Path
) -> None:
    model = load(name, "cpu", "float32")
    off = written(model, tmp_path / "new" / "deep" / "out")
    assert off <= ROUNDING
    folder = tmp_path / "new" / "deep" / "out"
    assert sorted(one.name for one in folder.iterdir()) == FILES
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert {file.get_slice(one).get_dtype() for one in file.keys()} == {"F16"}  # noqa: SIM118
    plan = json.loads((folder / "prune.json").read_text())
    again = load(str(folder), "cpu", "float32")
    assert plan["off"] == off == PROOF.off(again, PROOF.ablated(model, some(model)))
    assert plan["weights"] == {"model.safetensors": again.source.weight_hash()}
    assert (folder / "config.json").stat().st_mode & 0o777 == 0o644 & ~umask()
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644 & ~umask()


def umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_a_checkpoint_of_two_dtypes_is_kept_in_one_that_holds_both(
    tiny: Tiny, tmp_path: Path
) -> None:
    tiny("toto-1").save(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    for name in list(weights)[1:]:
        weights[name] = weights[name].bfloat16()
    save_file(weights, path)
    model = load(str(tmp_path), "cpu", "float32")
    assert stored(model.source) == torch.float32
    assert written(model, tmp_path / "out") <= ROUNDING


def test_a_random_twin_of_a_half_precision_model_is_written_in_full(tmp_path: Path) -> None:
    model = load("random:nano-moirai-1.1", "cpu", "float32")
    assert written(model, tmp_path / "out") <= ROUNDING


@pytest.mark.parametrize("family", NETWORKS)
def test_what_is_cut_of_any_family_is_proven_in_memory_and_on_disk(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(family)
    at = some(model)
    assert PROOF.of_cut(model, cut(model, at), at) <= ROUNDING
    assert written(model, tmp_path / "out") <= ROUNDING
    assert laws_of(load(str(tmp_path / "out"), "cpu"))


def laws_of(model: Model) -> bool:
    """Whether upstream, where it can build the network, forecasts as it does."""
    off = model.deviation_from_upstream(contexts(), 6)
    return off is None or off <= ROUNDING


def test_what_does_not_read_back_is_not_written(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("chronos-bolt")
    save = Model.save

    def wrong(self: Model, folder: Path) -> None:
        save(self, folder)
        weights = load_file(folder / "model.safetensors")
        name = next(one for one in weights if one.endswith("output_layer.bias"))
        weights[name] = weights[name] * 1.01
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    monkeypatch.setattr(Model, "save", wrong)
    with pytest.raises(CheckFailed, match="what was read back differs"):
        written(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_is_no_strict_json_is_not_written(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        written(tiny("toto-1"), tmp_path / "out", ratio=float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_folder_is_replaced_as_a_whole(tiny: Tiny, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(tiny("toto-1"), out)
    (out / "old.safetensors").write_text("")
    (tmp_path / ".out.0123abcd.tmp").mkdir()
    others = [".out.v2.0123abcd.tmp", ".outer.0123abcd.tmp"]  # another process may write these
    for other in others:
        (tmp_path / other).mkdir()
    written(tiny("chronos-bolt"), out)
    assert sorted(one.name for one in out.iterdir()) == FILES
    assert load(str(out), "cpu").family == "chronos-bolt"
    assert sorted(one.name for one in tmp_path.iterdir()) == [*others, "out"]


def test_a_link_stays_a_link(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    written(tiny("toto-1"), tmp_path / "link")
    assert sorted(one.name for one in (tmp_path / "there").iterdir()) == FILES
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "there"]


@contextmanager
def a_full_disk() -> Iterator[None]:
    """No file grows beyond 9000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("family", ["chronos-bolt", "toto-1"])
def test_a_full_disk_leaves_what_was_there(family: str, tiny: Tiny, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(tiny("toto-1"), out)
    before, model = inside(tmp_path), tiny(family)
    with a_full_disk(), pytest.raises(ProbeError, match="File too large; free some space or"):
        written(model, out)
    assert inside(tmp_path) == before


def answering(number: int, after: int, call: Any) -> Any:
    """A system call that works so many times and then fails."""
    left = iter(range(after))

    def failing(*given: Any) -> Any:
        if next(left, None) is None:
            raise OSError(number, os.strerror(number))
        return call(*given)

    return failing


@pytest.mark.parametrize("after", range(0, 9, 2))
def test_a_disk_that_fills_up_at_any_moment_leaves_what_was_there(
    after: int, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    written(tiny("toto-1"), out)
    before, model = inside(tmp_path), tiny("toto-1")
    monkeypatch.setattr(os, "fsync", answering(errno.ENOSPC, after, os.fsync))
    with pytest.raises(ProbeError, match="No space left on device; free some space"):
        written(model, out)
    assert inside(tmp_path) == before


def test_where_nothing_may_be_written_is_told_before_the_search(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "prune.json").write_text("{}")
    for out, overwrite, words in (
        ("file", True, "it is a file"),
        ("file/deeper", False, "is a file"),
        ("full", False, "there is something in it; --overwrite, or another"),
        ("full", True, r"was not written by prune \(there is no prune\.json\); another folder"),
        ("ours", False, "there is something in it"),
    ):
        with pytest.raises(UsageError, match=words):
            refuse_existing(tmp_path / out, overwrite)
    for out, overwrite in (("ours", True), ("new", False), ("new/deeper", False)):
        refuse_existing(tmp_path / out, overwrite)


def test_what_is_needed_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to("model")
    for out in ("model", "link", "link/..", "."):
        with pytest.raises(UsageError, match="model would be lost, which this run reads or writes"):
            refuse_needed(tmp_path / out, [tmp_path / "model"])
    refuse_needed(tmp_path / "model" / "pruned", [tmp_path / "model"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_told_before_the_search(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ProbeError, match="cannot be written to"):
        refuse_existing(tmp_path / "out", overwrite=False)
