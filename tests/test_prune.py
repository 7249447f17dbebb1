"""`tsfm-probe prune`: what it writes, what it refuses, and what works on a pruned model."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.families import contexts
from tests.files import days, long_frame
from tests.said import Said
from tsfm_probe.laws.subject import Subject, relative
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut, cut
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.prune.width import loudest, without
from tsfm_probe.surgery.edit import Edit

Command = Callable[..., Said]
Checkpoints = Callable[[str], Path]
pytestmark = pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
BRIEF = ["--horizon", 2, "--windows", 2, "--samples", 2, "--no-curve", "--device", "cpu", "-q"]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file of three daily series of 56 values."""
    path = tmp_path_factory.mktemp("shops") / "shops.csv"
    long_frame({name: days(56) for name in "abc"}).to_csv(path, index=False)
    return path


def pruned(command: Command, model: Path, data: Path, out: Path, *words: object) -> dict[str, Any]:
    """What the command says of a pruning that goes well."""
    said = command(
        "prune", model, "--data", data, *BRIEF, "--out", out, "--json", "--budget-pp", 500,
        "--run-folder", out.with_suffix(".run"), *words,
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out, parse_constant=pytest.fail)


def off(original: Model, folder: Path, plan: dict[str, Any]) -> float:
    """How far the model of a folder is from the original without what its plan tells."""
    named = {at for one in plan["cut"] for at in original.anatomy.select(one)}
    parts = Cut.of(original.anatomy, named).addresses(original.anatomy)
    expected = Subject.of(original, contexts(), 9).forecast(*map(Edit, parts))
    if plan["neurons_cut"]:
        smaller = cut(original, named)
        silent = without(smaller, loudest(smaller, plan["neurons_cut"]))
        expected = Subject.of(silent, contexts(), 9).forecast()
    return relative(Subject.of(load(str(folder), "cpu"), contexts(), 9).forecast(), expected)


@pytest.mark.parametrize(
    ("family", "what", "keep"),
    [
        ("chronos-t5", "mlps", "decoder.1"),
        ("chronos-bolt", "all", "decoder.*.cross.0"),
        ("moirai-1.1", "heads", "encoder.0.*.1"),
    ],
)
def test_a_model_is_pruned_as_it_was_asked(
    family: str,
    what: str,
    keep: str,
    command: Command,
    checkpoints: Checkpoints,
    shops: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    told = pruned(command, checkpoints(family), shops, out, "--what", what, "--keep", keep)
    original, smaller = load(str(checkpoints(family)), "cpu"), load(str(out), "cpu")
    plan = json.loads((out / "prune.json").read_text(), parse_constant=pytest.fail)
    assert told["cut"] == plan["cut"] != []
    kept = {str(at) for at in original.anatomy.select(keep)}
    gone = {str(at) for one in told["cut"] for at in original.anatomy.select(one)}
    assert not kept & gone
    assert plan["parameters"] == smaller.parameters < original.parameters
    assert plan["original"]["weight_hash"] == original.source.weight_hash()
    assert plan["weights"]["model.safetensors"] == smaller.source.weight_hash()
    assert off(original, out, plan) <= 1e-5
    assert set(told) >= {"about", "summary", "alone", "steps", "confirmed", "costs", "behaviour"}
    folder = Path(told["folder"])
    assert json.loads((folder / "run.json").read_text())["status"] == "done"
    assert {f"{name}.csv" for name in ("steps", "costs")} <= {one.name for one in folder.iterdir()}
    assert Path(told["page"]).is_file()
    card = (out / "README.md").read_text()
    assert all(line in card for line in told["summary"])
    assert 'load("out")' in card
    shared = card + (out / "config.json").read_text()
    assert str(checkpoints(family).parent) not in shared


def test_a_pruned_model_is_a_model(
    command: Command, checkpoints: Checkpoints, shops: Path, tmp_path: Path
) -> None:
    """Every command works on it, pruning included."""
    wide = shutil.copytree(checkpoints("chronos-bolt"), tmp_path / "wide") / "config.json"
    wide.write_text(wide.read_text().replace('"context_length": 48', '"context_length": 96'))
    whole = load(str(tmp_path / "wide"), "cpu")
    asked = [*whole.anatomy.layers["decoder.0"], whole.anatomy.attentions[0]]
    cut(whole, [*asked, *(at for at in whole.anatomy.heads if at.head == 1)]).save(tmp_path / "a")
    data = ["--data", shops, "--limit", 1, "--device", "cpu", "-q"]
    few = ["--horizon", 4, "--count", 2, "--windows", 1, "--scale", 0, "--what", "behaviour"]
    for words in (
        ["check", tmp_path / "a", "--device", "cpu", "-q"],
        ["ablate", tmp_path / "a", *data, "--horizon", 2, "--windows", 1, "--order", "stable-rank"],
        ["score", tmp_path / "a", "--out", tmp_path / "score", "-q"],
        ["diagnose", tmp_path / "a", *data, *few, "--out", tmp_path / "diagnose"],
        ["attribute", tmp_path / "a", *data, "--horizon", 2, "--out", tmp_path / "attribute"],
    ):
        more = ["--out", tmp_path / "ablate"] if words[0] == "ablate" else []
        said = command(*words, *more)
        assert said.code == 0, said.err
    told = pruned(command, tmp_path / "a", shops, tmp_path / "b", "--what", "mlps")
    once, twice = load(str(tmp_path / "a"), "cpu"), load(str(tmp_path / "b"), "cpu")
    plan = json.loads((tmp_path / "b" / "prune.json").read_text())
    assert off(once, tmp_path / "b", plan) <= 1e-5
    assert {*twice.kept.heads.values()} == {(0, 2, 3)}
    assert {row["who"] for row in told["behaviour"]} == {"original", "pruned"}


REFUSED = [
    (["--what", "layer"], 2, "--what 'layer'; did you mean layers"),
    (["--order", "mesured"], 2, "the order 'mesured' .*did you mean measured"),
    (["--keep", "enkoder"], 2, "no part of this network matches 'enkoder'"),
    (["--target-size", 0.5, "--target-latency", 0.5], 2, "--target-size and --target-latency; one"),
    (["--budget-pp", -1], 2, "--budget-pp -1.0; a number of 0 or more"),
    (["--heal", "nan"], 2, "--heal nan --heal-on 'generated'; 0 or more minutes"),
    (["--heal-on", "dta"], 2, "--heal 0 --heal-on 'dta'"),
    (["--windows", 1, "--limit", 1], 1, "windows to search on and others to confirm .*there are 1"),
    (["--target-size", 0.01], 3, "1 % of the parameters; .* parts could go, which is not enough"),
]


@pytest.mark.parametrize(("words", "code", "pattern"), REFUSED)
def test_what_is_refused_leaves_nothing(
    words: list[object],
    code: int,
    pattern: str,
    command: Command,
    checkpoints: Checkpoints,
    shops: Path,
    tmp_path: Path,
) -> None:
    out = ["--out", tmp_path / "out", "--run-folder", tmp_path / "run"]
    what = [] if "--what" in words else ["--what", "layers"]
    said = command(
        "prune", checkpoints("chronos-bolt"), "--data", shops, *BRIEF, *out, *what, *words
    )
    assert re.search(pattern, said.complaint), said.complaint
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert {one.name for one in tmp_path.iterdir()} <= ({"run"} if code == 3 else set())


def test_its_own_original_and_what_it_reads_and_writes_are_not_overwritten(
    command: Command, checkpoints: Checkpoints, shops: Path, tmp_path: Path
) -> None:
    model = load(str(checkpoints("chronos-bolt")), "cpu")
    place = tmp_path / "place"
    cut(model, model.anatomy.layers["encoder.0"]).save(place / "model")
    (place / "model" / "prune.json").write_text("{}")
    (place / "prune.json").write_text("{}")
    data = shutil.copy(shops, place / "shops.csv")
    before = sorted(place.rglob("*"))
    for out in (place / "model", place, tmp_path / "run"):
        more = ["--overwrite", "--out", out, "--run-folder", tmp_path / "run" / "deep"]
        said = command("prune", place / "model", "--data", data, *BRIEF, *more)
        assert (said.code, sorted(place.rglob("*"))) == (2, before)
        assert "would be lost, which this run reads or writes; another folder" in said.complaint


def test_a_dry_run_writes_nothing(
    command: Command,
    checkpoints: Checkpoints,
    shops: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["prune", checkpoints("chronos-t5"), "--data", shops, *BRIEF, "--what", "layers"]
    said = command(*words, "--dry-run", "--json")
    told = json.loads(said.out)
    assert told["units"] == ["encoder.0", "encoder.1", "decoder.0", "decoder.1"]
    assert told["trials"] > 4
    assert told["flops"] > 0
    assert "4 parts may be cut" in command(*words, "--dry-run").out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", ["chronos-bolt", "chronos-2", "chronos-t5"])
def test_the_interface_of_upstream_forecasts_with_the_pruned_network(
    family: str, checkpoints: Checkpoints, tmp_path: Path
) -> None:
    model = load(str(checkpoints(family)), "cpu")
    at = [*model.anatomy.layers["encoder.0"], model.anatomy.heads[-1]]
    cut(model, at).save(tmp_path / "cut")
    smaller: Any = load(str(tmp_path / "cut"), "cpu")
    frame = long_frame({"a": days(40), "b": days(40)})
    theirs = smaller.upstream().predict_df(
        frame, prediction_length=6, quantile_levels=list(LEVELS), target="target"
    )
    assert theirs.groupby("item_id").size().tolist() == [6, 6]
    found = theirs[[str(one) for one in LEVELS]].to_numpy().reshape(2, 6, 9)
    assert np.isfinite(found).all()
    if not model.draws_samples:
        given = [frame["target"].to_numpy()[frame["item_id"] == name] for name in "ab"]
        assert relative(found, smaller.forecast(given, 6).values) <= 1e-5
