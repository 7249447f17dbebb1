"""`ablate --order` and `--sets` from end to end, and sets of layers."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.known import HORIZON, START, job, nearly_perfect
from tests.said import Said
from tsfm_probe.models.base import Model
from tsfm_probe.probes.cumulative import ORDER_FILE
from tsfm_probe.probes.layer_sets import layer_sets

Tiny = Callable[[str], Model]
Command = Callable[..., Said]


OPTIONS = [
    ("--order stabel-rank", "'stabel-rank'.*no such file; did you mean stable-rank"),
    ("--order measured --up-to 25", "--up-to '25'; allowed is a number from 1 to 24, or a share"),
    ("--order measured --up-to 0", "--up-to '0'; allowed is a number from 1 to 24"),
    ("--order measured --up-to 1.5", "--up-to '1.5'; allowed is a number from 1 to 24"),
    ("--order measured --up-to many", "--up-to 'many'; allowed is a number from 1 to 24"),
    ("--order measured --per-layer --up-to 5", "--up-to '5'; allowed is a number from 1 to 4"),
    ("--order measured --by part", "an order of parts.*--by head or --by layer"),
    ("--order measured --by layer --per-layer", "within each attention, by layer.*--by head"),
    ("--order measured --sets pairs", "--order measured together with --sets pairs; one of them"),
    ("--per-layer", "--per-layer without an order; --order NAME --per-layer"),
    ("--up-to 3", "--up-to 3 of nothing; --order NAME --up-to"),
    ("--by layer --sets triples", "--sets triples; allowed are single, blocks, pairs"),
    ("--sets pairs", "sets of layers were asked for, by head; --by layer"),
    ("--by layer --sets blocks --up-to 3", "--up-to '3'; allowed is a number from 1 to 2"),
]


@pytest.mark.parametrize(("words", "pattern"), OPTIONS, ids=[one[0] for one in OPTIONS])
def test_a_bad_option(
    words: str,
    pattern: str,
    command: Command,
    checkpoints: Callable[[str], Path],
    sales: Path,
    tmp_path: Path,
) -> None:
    brief = ["--data", sales, "--horizon", 4, "--quiet", "--out", tmp_path / "run"]
    said = command("ablate", checkpoints("chronos-bolt"), *brief, *words.split())
    assert (said.code, said.out) == (2, "")
    assert re.search(pattern, said.complaint), said.complaint
    assert not (tmp_path / "run").exists()


def test_sets_of_layers_are_blocks_within_a_stack_or_any_two(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    asked = job(model, by="layer")
    blocks, pairs = (
        [trial for trial in layer_sets(asked, kind) if trial.kind in ("block", "pair")]
        for kind in ("blocks", "pairs")
    )
    assert [one.name for one in blocks] == ["encoder.0-1", "decoder.0-1"]
    assert len(pairs) == 6
    layers = model.anatomy.layers
    for one in pairs:
        first, second = one.name.split("+")
        assert one.at == (*layers[first], *layers[second])
    assert blocks[1].at == (*layers["decoder.0"], *layers["decoder.1"])


def without_layers(model: Model, names: Sequence[str]) -> Model:
    with torch.no_grad():
        for name in names:
            for at in model.anatomy.layers[name]:
                model.anatomy[at].write.weight.zero_()
    return model


def planted(checkpoint: Path, folder: Path, load: Tiny, dead: Sequence[str]) -> tuple[Path, Path]:
    """A checkpoint of which some layers are dead, and a file of series that it knows."""
    model = without_layers(load("chronos-bolt"), dead)
    model.save(folder / "planted")
    frames = [
        pd.DataFrame(
            {
                "item_id": one.name,
                "timestamp": pd.date_range(START, periods=len(one.values), freq="h"),
                "target": one.values,
            }
        )
        for one in nearly_perfect(model)
    ]
    pd.concat(frames).to_csv(folder / "known.csv", index=False)
    return folder / "planted", folder / "known.csv"


@pytest.mark.parametrize(
    ("words", "figures", "said"),
    [
        ("--by layer --order measured", {"curve", "layers"}, "R@1 of layers by MASE is 0.50"),
        ("--by layer --sets blocks", {"sets", "layers"}, "0.50: encoder.0-1, 2 of 4 layers"),
        (
            "--order gradient --per-layer --only encoder.0,decoder.0",
            {"counts", "steps"},
            "R@1 of heads by MASE is 0.33",
        ),
    ],
)
def test_a_command_from_end_to_end(
    words: str,
    figures: set[str],
    said: str,
    command: Command,
    checkpoints: Callable[[str], Path],
    tiny: Tiny,
    tmp_path: Path,
) -> None:
    dead = ("encoder.0", "encoder.1")
    model, data = planted(checkpoints("chronos-bolt"), tmp_path, tiny, dead)
    brief = ["--data", data, "--horizon", HORIZON, "--windows", 1, "--device", "cpu", "--json"]
    asked = ["ablate", model, *brief, *words.split(), "--out", tmp_path / "run"]
    told = json.loads(command(*asked, "--dry-run").out)
    assert not (tmp_path / "run").exists()
    ended = command(*asked)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert said in " ".join(found["summary"])
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert set(told["trials"]) <= set(record["plan"])
    assert len(record["plan"]) <= len(told["trials"]) + told.get("further", 0)
    stems = {one.stem.split("-")[0] for one in (tmp_path / "run" / "figures").iterdir()}
    assert figures <= stems
    if "order" in found:
        table = pd.read_csv(tmp_path / "run" / "curves.csv")
        assert len(table) == len(found["curves"])
        assert table["control"].any()
        assert found["order"] == (tmp_path / "run" / ORDER_FILE).read_text().split()
    other = command(*asked, "--up-to", 1)
    assert other.code == 2
    assert "it is another run: up_to is 1 here and all there" in other.complaint
