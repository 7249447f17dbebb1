"""Checkpoints that cannot be had, read or trusted, and what a hub's cache gives without a hub."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.families import contexts
from tests.said import Said
from tsfm_probe.commands.origin import origin
from tsfm_probe.data.read import read
from tsfm_probe.models import FAMILIES, load
from tsfm_probe.models.source import shipped

Command = Callable[..., Said]
SHA = "0123456789abcdef0123456789abcdef01234567"
WAYS_OUT = "ways out: the path of a local folder.*HF_HOME.*ships: .*nano-chronos-bolt"
SOME = "encoder.block.0.layer.0.SelfAttention.q.weight"


def rewrite(folder: Path, **facts: object) -> None:
    """Change facts of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def reweigh(folder: Path, name: str, weight: torch.Tensor | None) -> None:
    """Replace, add or (None) remove a weight."""
    path = folder / "model.safetensors"
    weights = {one: value for one, value in load_file(path).items() if one != name}
    path.unlink()
    more = {} if weight is None else {name: weight}
    save_file(weights | more, path, metadata={"format": "pt"})


def cut(folder: Path, size: int) -> None:
    """Keep the first bytes of the weights alone."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (
        lambda at: (at / "config.json").unlink(),
        "it has no config.json; a checkpoint has config.json and model.safetensors",
    ),
    "half a config": (
        lambda at: (at / "config.json").write_text('{"d_model": '),
        "config.json was to be read; it is damaged .*line 1",
    ),
    "a config of bytes": (
        lambda at: (at / "config.json").write_bytes(b"\xff\xfe\x00"),
        "config.json was to be read; it is damaged .*utf-8",
    ),
    "a list as config": (lambda at: (at / "config.json").write_text("[]"), "holds no JSON object"),
    "unknown family": (
        lambda at: rewrite(at, architectures=["Llama"], chronos_pipeline_class=None),
        "architectures \\['Llama'\\], model_type 't5'; families are " + ", ".join(FAMILIES),
    ),
    "family of nonsense": (
        lambda at: rewrite(at, architectures=7, chronos_pipeline_class=0, chronos_config=7),
        "architectures \\[7\\], model_type 't5'; families are",
    ),
    "no chronos_config": (lambda at: rewrite(at, chronos_config=7), "config.json is damaged.*int"),
    "text as a size": (
        lambda at: rewrite(at, d_model="wide"),
        "config.json is damaged or does not fit .*'d_model' expected int, got str",
    ),
    "no weights": (
        lambda at: (at / "model.safetensors").unlink(),
        "no \\*.safetensors was found; a checkpoint has config.json and model.safetensors",
    ),
    "only a pickle": (
        lambda at: (at / "model.safetensors").rename(at / "pytorch_model.bin"),
        "only a pickle was found \\(pytorch_model.bin\\); .*convert it to safetensors",
    ),
    "another name": (
        lambda at: (at / "model.safetensors").rename(at / "other.safetensors"),
        "no file named model.safetensors",
    ),
    "empty weights": (lambda at: cut(at, 0), "model.safetensors .*is damaged.*header"),
    "header cut": (lambda at: cut(at, 100), "model.safetensors .*is damaged.*header"),
    "weights cut": (lambda at: cut(at, -100), "model.safetensors .*is damaged.*incomplete"),
    "missing weight": (lambda at: reweigh(at, SOME, None), f"1 weights missing \\({SOME}\\)"),
    "missing layer": (
        lambda at: rewrite(at, num_layers=3),
        "8 weights missing \\(encoder.block.2.layer.0.SelfAttention.k.weight, .*, ...\\); its",
    ),
    "unexpected weight": (
        lambda at: reweigh(at, "adapter.weight", torch.ones(3)),
        "1 weights unexpected \\(adapter.weight\\); its weights must be those that its config.json",
    ),
    "another shape": (
        lambda at: reweigh(at, SOME, torch.ones(32, 23)),
        f"1 weights of another shape \\({SOME}\\); its weights must be",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_a_bad_checkpoint(
    command: Command, checkpoints: Callable[[str], Path], sales: Path, tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoints("chronos-bolt"), folder)
    damage, pattern = DAMAGE[how]
    damage(folder)
    refused(command("check", folder, "--quiet"), 1, pattern)
    out = tmp_path / "run"
    refused(command("ablate", folder, "--data", sales, "-q", "--out", out), 1, pattern)
    assert not out.exists()


def refused(said: Said, code: int, pattern: str) -> None:
    """One line on stderr that matches, nothing on stdout, this exit code."""
    assert re.search(pattern, said.complaint), said.complaint
    assert said.err.count("\n") == 1
    assert (said.code, said.out) == (code, "")


def test_a_checkpoint_that_forecasts_nothing_finite(
    command: Command, checkpoints: Callable[[str], Path], sales: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoints("chronos-bolt"), folder)
    reweigh(folder, SOME, torch.full((32, 24), torch.nan))
    words = ["--data", sales, "--horizon", 2, "--windows", 1, "--out", tmp_path / "run", "--quiet"]
    said = command("ablate", folder, *words)
    refused(said, 1, "forecast of window 0 of series .* is nan .*must be finite")


@pytest.mark.parametrize(
    ("name", "code", "pattern"),
    [
        ("chronos-bolt-smal", 2, "'chronos-bolt-smal' .*did you mean chronos-bolt-small"),
        ("", 2, "model ''.*allowed are nano-chronos-bolt, nano-.*, chronos-t5"),
        ("./models/mine", 2, "'./models/mine' .*no folder, no known name.*allowed are"),
        ("~nobody-of-this-name/mine", 2, "'~nobody-of-this-name/mine' .*no such user"),
        ("one/two/three", 2, "'one/two/three' .*no hub id org/name"),
        ("org/not valid", 2, "org/not valid was asked for; it is no valid hub id; such as org/"),
        ("nano-chronos-bolt@main", 2, "'nano-chronos-bolt@main' .*ships in one revision"),
        ("org/name", 1, f"org/name was asked for; .*no such folder, no cached.*{WAYS_OUT}"),
        ("org/name@main", 1, f"org/name@main was asked for; .*no cached copy.*{WAYS_OUT}"),
        ("chronos-bolt-tiny", 1, f"amazon/chronos-bolt-tiny was asked for; .*{WAYS_OUT}"),
        ("name" * 100, 1, "name: File name too long"),
    ],
)
@pytest.mark.usefixtures("offline")
def test_a_bad_name(command: Command, name: str, code: int, pattern: str) -> None:
    refused(command("check", name, "--quiet"), code, pattern)


def test_a_file_as_model(command: Command, checkpoints: Callable[[str], Path]) -> None:
    file = checkpoints("chronos-bolt") / "config.json"
    refused(command("check", file, "--quiet"), 2, "config.json' .*it is a file; a folder with")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The empty cache of a hub that cannot be reached."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cached(cache: Path, hub_id: str, checkpoint: Path) -> None:
    """A checkpoint in the cache, as the hub's client lays it down."""
    place = cache / f"models--{hub_id.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(SHA)
    shutil.copytree(checkpoint, place / "snapshots" / SHA)


@pytest.mark.parametrize("name", ["org/name", f"org/name@{SHA}", "org/name@main"])
def test_a_cached_model_needs_no_hub(
    offline: Path, checkpoints: Callable[[str], Path], sales: Path, name: str
) -> None:
    cached(offline, "org/name", checkpoints("chronos-bolt"))
    model = load(name, "cpu")
    facts = origin(model, read(sales))
    assert (facts["origin"], facts["revision"]) == ("org/name", SHA)
    expected = load(str(checkpoints("chronos-bolt")), "cpu").forecast(contexts(), 4).values
    assert (model.forecast(contexts(), 4).values == expected).all()


def test_a_revision_that_is_not_cached(
    command: Command, offline: Path, checkpoints: Callable[[str], Path]
) -> None:
    cached(offline, "org/name", checkpoints("chronos-bolt"))
    other = f"org/name@{SHA[::-1]}"
    refused(command("check", other, "--quiet"), 1, f"{other} was asked for; .*{WAYS_OUT}")


def test_models_tells_what_is_here(
    command: Command, offline: Path, checkpoints: Callable[[str], Path]
) -> None:
    cached(offline, "amazon/chronos-bolt-tiny", checkpoints("chronos-bolt"))
    here = [one["name"] for one in json.loads(command("models", "--json").out) if one["here"]]
    assert sorted(here) == sorted([*shipped(), "chronos-bolt-tiny"])
