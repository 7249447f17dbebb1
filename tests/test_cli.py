"""The command line from end to end, on tiny checkpoints and a small data file."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file
from typer.main import get_command

import tsfm_probe
from tests.families import NETWORKS
from tests.files import days, long_frame
from tests.said import Said
from tsfm_probe import cli
from tsfm_probe.laws import LAWS
from tsfm_probe.models.names import KNOWN

Command = Callable[..., Said]
COMMANDS = get_command(cli.app).commands  # pyright: ignore[reportAttributeAccessIssue]
WRITTEN = {
    "run.json", ".lock", "shards", "table.parquet", "answer.csv", "answer.parquet", "skipped.csv",
    "report.html", "figures",
}  # fmt: skip
BRIEF = ("--horizon", 4, "--windows", 2)


def strict_json(text: str) -> object:
    """Read JSON that is all of the text and knows no NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def finished(folder: Path) -> pd.DataFrame:
    """The table of a finished run; fails unless its folder holds what it should and no more."""
    assert {one.name for one in folder.iterdir()} == WRITTEN
    assert list((folder / "figures").iterdir())
    table = pd.read_parquet(folder / "table.parquet")
    record = json.loads((folder / "run.json").read_text())
    trials = list(table["trial"].cat.categories)
    assert (record["status"], record["plan"]) == ("done", trials)
    assert len(list((folder / "shards").iterdir())) == len(trials)
    assert set(pd.read_csv(folder / "answer.csv")["trial"]) == set(trials)
    assert str(table["value"].dtype) == "float64"
    assert table["value"].notna().to_numpy().any()
    return table


def page_of(said: Said) -> Path:
    """The page that a quiet run told; fails if it said anything else."""
    assert (said.code, said.err) == (0, "")
    found = re.fullmatch(r"page: (.*)\n", said.out)
    assert found
    return Path(found[1])


@pytest.mark.parametrize(
    ("by", "family", "expected"),
    [
        ("head", "chronos-bolt", [f"encoder.1.self.{head}" for head in range(4)]),
        ("part", "chronos-2", ["encoder.1.time", "encoder.1.group", "encoder.1.mlp"]),
        ("layer", "chronos-t5", ["encoder.1"]),
    ],
)
def test_a_run_does_what_its_dry_run_told(
    command: Command,
    checkpoints: Callable[[str], Path],
    sales: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
    family: str,
    expected: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["ablate", checkpoints(family), "--data", sales, "--by", by, "--only", "encoder.1"]
    words += [*BRIEF, "--samples", 5]
    told = strict_json(command(*words, "--dry-run", "--json").out)
    said = command(*words, "--dry-run")
    assert list(tmp_path.iterdir()) == []
    noise = ["noise-1", "noise-2"] if family == "chronos-t5" else ["noise-1"]
    assert isinstance(told, dict)
    assert told["trials"] == [*expected, *noise, "random-1", "random-2", "random-3"]
    forecasts = (len(told["trials"]) + 1) * told["windows"]
    assert f"{len(told['trials'])} trials and the untouched model on 4 windows of 2" in said.out
    assert f"{forecasts} forecasts of 4 steps" in said.out
    assert "Nothing was run" in said.out

    folder = page_of(command(*words, "--quiet")).parent
    assert folder.parent == tmp_path / "runs"
    assert re.fullmatch(rf"{family}-sales-{by}-[0-9a-f]{{8}}", folder.name)
    table = finished(folder)
    assert list(table["trial"].cat.categories) == told["trials"]
    assert len(table[["series", "window"]].drop_duplicates()) == told["windows"] == 4


@pytest.fixture
def ablate(command: Command, checkpoints: Callable[[str], Path], tmp_path: Path) -> Command:
    """`tsfm-probe ablate` of one layer of a tiny model into the folder "run" of tmp_path."""
    words = ["ablate", checkpoints("chronos-bolt"), "--by", "layer", "--only", "decoder.0", *BRIEF]
    return lambda *more: command(*words, "--out", tmp_path / "run", *more)


def test_json_is_alone_on_stdout_and_the_same_command_continues(
    ablate: Command, sales: Path, tmp_path: Path
) -> None:
    first = ablate("--data", sales, "--json")
    assert first.code == 0
    assert first.err.startswith("loading ")
    found = strict_json(first.out)
    assert isinstance(found, dict)
    assert {"about", "summary", "answer", "folder", "page"} == set(found)
    assert found["about"]["command"].endswith("--json")
    assert {"decoder.0", "noise-1", "random-3"} <= {one["trial"] for one in found["answer"]}
    times = shard_times(tmp_path / "run")
    table = finished(tmp_path / "run")

    again = ablate("--data", sales, "--json")
    other = strict_json(again.out)
    assert isinstance(other, dict)
    assert shard_times(tmp_path / "run") == times
    assert other["answer"] == found["answer"]
    pd.testing.assert_frame_equal(finished(tmp_path / "run"), table)
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["continued"]) == 1


def shard_times(folder: Path) -> dict[str, tuple[int, int]]:
    """When each shard was written, and its inode, which a shard that is written again changes."""
    found = ((one.name, one.stat()) for one in (folder / "shards").iterdir())
    return {name: (stat.st_mtime_ns, stat.st_ino) for name, stat in found}


def test_what_a_person_sees(ablate: Command, tmp_path: Path) -> None:
    frame = long_frame({"a": days(31), "b": days(31), "c": days(31), "tiny": days(5)})
    frame = frame.drop(index=70)  # a hole in c
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    said = ablate("--data", tmp_path / "mixed.csv")
    assert said.code == 0
    left_out = "left out: 1 skipped for irregular time stamps.*1 skipped for too short"
    assert re.search(left_out, " ".join(said.err.split()))
    assert re.search(r"decoder\.0 .* %", said.out)
    assert f"page: {tmp_path / 'run' / 'report.html'}\n" in said.out
    finished(tmp_path / "run")
    skipped = pd.read_csv(tmp_path / "run" / "skipped.csv")
    assert list(skipped["series"]) == ["c", "tiny"]
    assert skipped["reason"].str.contains("irregular time stamps|too short").all()


def test_models_lists_all(command: Command) -> None:
    said = command("models")
    assert (said.code, said.err) == (0, "")
    for one in KNOWN.values():
        assert re.search(rf"{one.name} .*{one.family} .*{one.hub_id}", said.out)
    found = strict_json(command("models", "--json").out)
    assert isinstance(found, list)
    assert [one["name"] for one in found] == list(KNOWN)
    assert set(found[0]) == {
        "name", "family", "hub_id", "layers", "heads", "parameters", "here",
    }  # fmt: skip


@pytest.mark.parametrize("family", NETWORKS)
def test_check_holds_on_a_tiny_model(
    command: Command, checkpoints: Callable[[str], Path], family: str
) -> None:
    said = command("check", checkpoints(family), "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    found = strict_json(said.out)
    assert isinstance(found, list)
    assert all(one["holds"] for one in found if one["tried"])
    assert [one["number"] for one in found] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert len(found) == len(LAWS)


def test_check_fails_on_a_dead_head(
    command: Command, checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoints("chronos-bolt"), folder)
    weights = load_file(folder / "model.safetensors")
    weights["decoder.block.1.layer.1.EncDecAttention.o.weight"][:, 8:16] = 0
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    said = command("check", folder)
    assert said.code == 3
    assert re.search(r"1 of 14 laws fail; law 2 \(every edit reaches .*\): 1$", said.complaint)
    assert re.search(r" 2 every edit .*FAILS .* 1 .*without effect: decoder.1.cross.1 ", said.out)
    assert said.out.count("FAILS") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_every_option(command: Command, name: str) -> None:
    for flag in ("--help", "-h"):
        said = command(name, flag)
        assert (said.code, said.err) == (0, "")
    for option in COMMANDS[name].params:
        assert option.help, f"{option.name} is explained"
        for word in [option.metavar] if option.opts == [option.name] else option.opts:
            assert re.search(rf"^ +(-\w, )?{re.escape(word)}\b", said.out, re.MULTILINE), word


def test_help_alone_lists_the_commands(command: Command) -> None:
    said = command()
    assert (said.code, said.err) == (0, "")
    assert said == command("--help")
    assert said.out.startswith("Usage: tsfm-probe ")
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z].*[^.]\.$", said.out, re.MULTILINE)


def python(*words: str) -> Sequence[str]:
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout.split()


def test_the_version_as_a_module() -> None:
    assert python("-m", "tsfm_probe", "version") == [tsfm_probe.__version__]


def test_importing_is_light() -> None:
    found = python("-c", "import sys, tsfm_probe, tsfm_probe.cli; print(*sys.modules)")
    assert "tsfm_probe.cli" in found
    assert {"torch", "transformers", "pandas", "numpy", "plotly"}.isdisjoint(found)
