"""`tsfm-probe extract`, and the activations that it writes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.families import NETWORKS
from tests.said import Said
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.probes.activations import WHAT, Wanted, activations, tokens
from tsfm_probe.probes.batches import seen
from tsfm_probe.surgery.record import recorded

Command = Callable[..., Said]
Checkpoints = Callable[[str], Path]
HORIZON = 6
CONTEXTS = [np.random.default_rng(row).normal(size=40) for row in range(3)]


@pytest.mark.parametrize("family", NETWORKS)
def test_every_tensor_has_a_row_for_each_context_and_a_place_for_each_token(
    tiny: Callable[[str], Model], family: str
) -> None:
    model = tiny(family)
    found = activations(model, CONTEXTS, Wanted(WHAT, horizon=HORIZON))
    count = tokens(model, 40, HORIZON).groupby("stack").size()
    for name, value in found.items():
        what, address = name.split("/")
        at = address.split(".")[0]
        assert value.shape[:2] == (3, count[at]), name
        if what == "attention":
            keys = model.anatomy[model.anatomy.select(address)[0]].keys_from or at
            assert value.shape[2] == count[keys]
            assert value.sum(-1).max() == pytest.approx(1, abs=1e-4)
    heads = {str(at) for at in model.anatomy.heads}
    assert {name.removeprefix("heads/") for name in found if name.startswith("heads/")} == heads
    layers = sum(len(stack.starts) + 1 for stack in model.anatomy.stacks.values())
    assert sum(name.startswith("stream/") for name in found) == layers


def test_what_is_written_is_what_the_network_held(tiny: Callable[[str], Model]) -> None:
    model = tiny("chronos-bolt")
    at = model.anatomy.select("decoder.1.cross.2")[0]
    with recorded(model.anatomy, [at], ["decoder"]) as record:
        model.forecast(CONTEXTS, HORIZON)
    found = activations(model, CONTEXTS, Wanted(("stream", "heads"), "decoder.1", HORIZON))
    torch.testing.assert_close(found[f"heads/{at}"], record.parts[at][0])
    torch.testing.assert_close(found["stream/decoder.1"], record.streams["decoder", 1][0])
    torch.testing.assert_close(found["stream/decoder.end"], record.streams["decoder", 2][0])
    assert {name for name in found if name.startswith("stream/")} == {
        "stream/decoder.1",
        "stream/decoder.end",
    }


def test_the_first_pass_alone_is_taken(tiny: Callable[[str], Model]) -> None:
    """The native length of the tiny Chronos-T5 is 6 steps, that of Toto one patch."""
    for family, name in (("chronos-t5", "stream/decoder.0"), ("toto-1", "stream/decoder.0")):
        short, long = (
            activations(tiny(family), CONTEXTS, Wanted(("stream",), horizon=horizon))[name]
            for horizon in (6, 20)
        )
        assert torch.equal(short, long)


def words(checkpoints: Checkpoints, sales: Path, out: Path, *more: object) -> tuple[object, ...]:
    return (
        *("extract", checkpoints("chronos-bolt"), "--data", sales, "--horizon", 4),
        *("--windows", 2, "--out", out, *more),
    )


def test_files_rows_and_tokens_belong_together(
    command: Command, checkpoints: Checkpoints, tiny: Callable[[str], Model], sales: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    said = command(*words(checkpoints, sales, tmp_path, "--what", "stream,heads", "--json"))
    assert said.code == 0
    told = json.loads(said.out)
    windows, spans = (pd.read_csv(tmp_path / f"{one}.csv") for one in ("windows", "tokens"))
    assert set(windows["file"]) == set(told["files"])
    assert told["bytes"] == sum((tmp_path / one).stat().st_size for one in told["files"])
    job = Job.of(tiny("chronos-bolt"), _sales(sales), Setting(horizon=4, windows=2))
    for place, context in enumerate(seen(job.windows)):
        series, index = job.windows[place].series, job.windows[place].index
        row = windows[(windows["series"] == series) & (windows["window"] == index)].iloc[0]
        found = load_file(tmp_path / row["file"])
        alone = activations(job.model, [context], Wanted(("stream", "heads"), horizon=4))
        assert set(found) == set(alone)
        for name, value in alone.items():
            torch.testing.assert_close(found[name][row["row"]], value[0], rtol=1e-4, atol=1e-5)
        mine = spans.query("length == @row.length and stack == 'encoder'")
        assert len(mine) == found["stream/encoder.0"].shape[1]
        start, end = (pd.Timestamp(row[one]) for one in ("context_start", "forecast_start"))
        assert (end - start).days == row["length"] == len(context)


def _sales(path: Path) -> list:
    from tsfm_probe.data.read import read

    return list(read([path], item="item_id", time="timestamp", target="target", freq=None).series)


def test_parquet_holds_the_same_numbers(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    what = ("--what", "attention", "--only", "encoder.1")
    for form in ("safetensors", "parquet"):
        asked = words(checkpoints, sales, tmp_path / form, *what, "--format", form)
        assert command(*asked).code == 0
    table = pd.read_parquet(tmp_path / "parquet" / "activations-00000.parquet")
    found = load_file(tmp_path / "safetensors" / "activations-00000.safetensors")
    for name, value in found.items():
        rows = table[table["name"] == name]
        places = list(zip(rows["row"], rows["token"], strict=True))
        assert places == list(np.ndindex(*value.shape[:2]))
        assert np.array_equal(np.stack(rows["values"].to_numpy()), value.flatten(0, 1).numpy())


def test_the_same_command_again_writes_what_is_missing_alone(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    asked = words(checkpoints, sales, tmp_path)
    assert command(*asked).code == 0
    files = sorted(tmp_path.glob("*.safetensors"))
    first = {one: (one.stat().st_mtime_ns, one.read_bytes()) for one in files}
    files[0].unlink()
    assert command(*asked).code == 0
    assert files[0].read_bytes() == first[files[0]][1]
    assert all(one.stat().st_mtime_ns == first[one][0] for one in files[1:])
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "done"
    other = command(*words(checkpoints, sales, tmp_path, "--what", "heads"))
    assert (other.code, "another run" in other.complaint) == (2, True)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--what", "streams"), "stream"),
        (("--what", ","), "stream, heads, attention"),
        (("--format", "pickle"), "safetensors"),
        (("--only", "decoder.9"), "decoder.1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path,
    more: tuple[str, ...], named: str,
) -> None:  # fmt: skip
    said = command(*words(checkpoints, sales, tmp_path / "run", *more))
    assert said.code == UsageError.exit_code
    assert named in said.complaint
    assert not (tmp_path / "run").exists()
