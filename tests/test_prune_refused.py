"""Checkpoints that cannot be pruned, or run at all: others cut or quantised them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.said import Said

Command = Callable[..., Said]
Checkpoints = Callable[[str], Path]


def copied(folder: Path, there: Path, **facts: object) -> Path:
    """A checkpoint with other facts in its config.json."""
    shutil.copytree(folder, there)
    path = there / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    return there


def test_what_others_pruned_is_refused(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    """Heads were taken out of one attention, of which config.json says nothing."""
    folder = copied(checkpoints("chronos-t5"), tmp_path / "model")
    path = folder / "model.safetensors"
    weights = load_file(path)
    for name in [one for one in weights if "encoder.block.1.layer.0.SelfAttention." in one]:
        short = weights[name][:, :16] if name.endswith("o.weight") else weights[name][:16]
        weights[name] = short.contiguous()
    path.unlink()
    save_file(weights, path, {"format": "pt"})
    said = command(
        "prune", folder, "--data", sales, "--horizon", 2, "-q", "--out", tmp_path / "out"
    )
    assert (said.code, "4 weights of another shape" in said.complaint) == (1, True)


@pytest.mark.parametrize("family", ["chronos-bolt", "toto-1"])
@pytest.mark.parametrize("how", ["told", "seen"])
def test_a_quantised_checkpoint_is_refused(
    family: str, how: str, command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    told = {"quantization_config": {"quant_method": "bitsandbytes"}} if how == "told" else {}
    folder = copied(checkpoints(family), tmp_path / "model", **told)
    if how == "seen":
        path = folder / "model.safetensors"
        weights = load_file(path)
        name = max(weights, key=lambda one: weights[one].numel())
        weights[name] = (weights[name] * 40).to(torch.int8)
        path.unlink()
        save_file(weights, path, {"format": "pt"})
    said = command(
        "prune", folder, "--data", sales, "--horizon", 2, "-q", "--out", tmp_path / "out"
    )
    words = "quantised checkpoints are not supported: dequantise it first"
    assert (said.code, words in said.complaint) == (1, True)
