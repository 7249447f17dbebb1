"""`tsfm-probe score` from the command line to the page."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.made_pages import HOSTILE
from tests.said import Said
from tsfm_probe.commands.score import Request
from tsfm_probe.models.base import Model
from tsfm_probe.report.score_page import write
from tsfm_probe.scores.matrices import matrices
from tsfm_probe.scores.weights import COMPARED, METHODS, head_order, scored, spectrum

Command = Callable[..., Said]
Checkpoints = Callable[[str], Path]
FILES = {
    "figures", "matrices.parquet", "order.txt", "report.html", "run.json", ".lock", "scores.csv",
    "scores.parquet", "spectra.parquet",
}  # fmt: skip


def test_it_ends_with_a_table_an_order_and_a_page(
    command: Command, checkpoints: Checkpoints, tiny: Callable[[str], Model], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    methods = ("stable-rank", "ov-copying")
    said = command("score", checkpoints("chronos-t5"), "--method", ",".join(methods), "--out", out)
    assert said.code == 0
    assert {one.name for one in out.iterdir()} == FILES
    model = tiny("chronos-t5")
    table = pd.read_parquet(out / "scores.parquet")
    expected = scored(model, methods)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert (out / "order.txt").read_text().split() == [str(at) for at in head_order(model)]
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["identity"]["variant"]) == ("done", "plain")
    names = {f"map-{name}" for name in methods} | {"spectra"}
    drawn = {one.name for one in (out / "figures").iterdir()}
    assert drawn == {f"{name}.{form}" for name in names for form in ("png", "svg")}
    page = (out / "report.html").read_text()
    assert "W_U W_O W_V W_E, from token to token" in page
    assert all(str(at) in page for at in model.anatomy.heads)
    assert page.count('class="chart"') == page.count('role="img"') == 2 * (3 + 1) + 2
    assert "decoder.0.cross.3" in said.out


def test_json_is_the_whole_result_and_a_second_run_the_same(
    command: Command, checkpoints: Checkpoints, tmp_path: Path
) -> None:
    words = ("score", checkpoints("toto-2"), "--method", "stable-rank", "--variant", "rotary",
             "--lags", "0,3", "--json")  # fmt: skip
    first = command(*words, "--out", tmp_path)
    found = json.loads(first.out)
    assert (first.code, first.err.count("Error")) == (0, 0)
    assert {row["lag"] for row in found["scores"]} == {0.0, 3.0}
    assert {row["variant"] for row in found["scores"]} == {"rotary"}
    assert {row["part"] for row in found["scores"]} == {"time"}
    assert len(found["order"]) == 4
    assert {row["matrix"] for row in found["matrices"]} == {*"qkvo", "gate", "value", "out"}
    assert json.loads(command(*words, "--out", tmp_path).out)["scores"] == found["scores"]
    assert (tmp_path / "figures" / "map-stable-rank-at-lag-3.png").is_file()


@pytest.mark.parametrize(
    ("family", "words", "message"),
    [
        ("chronos-t5", ("--method", "stable-rnk"), "did you mean stable-rank"),
        ("chronos-t5", ("--variant", "foldde"), "did you mean folded"),
        ("chronos-t5", ("--variant", "rotary"), "does not turn queries and keys"),
        ("chronos-t5", ("--lags", "1"), "--variant rotary has lags"),
        ("toto-2", ("--variant", "rotary", "--lags", "1,x"), "allowed are numbers of tokens"),
        (
            "toto-2",
            ("--variant", "rotary", "--method", "ov-copying"),
            "turn queries and keys alone",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    family: str,
    words: tuple[str, ...],
    message: str,
    command: Command,
    checkpoints: Checkpoints,
    tmp_path: Path,
) -> None:
    said = command("score", checkpoints(family), *words, "--quiet", "--out", tmp_path / "run")
    assert said.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_all_scores_that_a_variant_has_are_asked_for_in_one_word_or_none() -> None:
    def asked(*words: str) -> tuple[str, ...]:
        return Request.parsed("a", "cpu", *words, "", None).methods

    assert asked("all", "folded") == METHODS
    assert asked("", "plain") == (*COMPARED, "ov-copying")
    assert asked("", "rotary") == COMPARED
    assert asked(" skew-fraction,stable-rank, stable-rank", "plain") == (
        "skew-fraction",
        "stable-rank",
    )


def test_a_folder_with_something_else_is_refused(
    command: Command, checkpoints: Checkpoints, tmp_path: Path
) -> None:
    words = ("score", checkpoints("chronos-bolt"), "--method", "stable-rank", "--out", tmp_path)
    (tmp_path / "letter.txt").write_text("mine")
    assert "no run.json" in command(*words).err
    (tmp_path / "letter.txt").unlink()
    assert command(*words).code == 0
    other = command(*words, "--variant", "folded")
    assert (other.code, "variant is folded here and plain there" in other.err) == (2, True)


def test_names_on_the_page_are_text(tiny: Callable[[str], Model], tmp_path: Path) -> None:
    model = tiny("chronos-bolt")
    table = scored(model, ("stable-rank",))
    order = list(map(str, head_order(model)))
    about = {"model": HOSTILE, "variant": "plain", "command": HOSTILE}
    lines = spectrum(model)
    page = write(tmp_path, about, table, lines, matrices(model), order, [HOSTILE]).read_text()
    assert HOSTILE not in page
    assert len(re.findall(r"</script>", page)) == 3
    assert not re.search(r"https?://(?!www\.w3\.org)[^\"]*\"[^>]*src=", page)


def test_the_ends_of_the_order_are_drawn(tiny: Callable[[str], Model], tmp_path: Path) -> None:
    model = tiny("toto-1")
    table, order = scored(model, ("stable-rank",)), list(map(str, head_order(model)))
    lines = spectrum(model)
    about = {"model": "toto", "variant": "plain"}
    page = write(tmp_path, about, table, lines, matrices(model), order, ["A sentence."])
    figures = page.read_text().rpartition('id="figures">')[2].partition("</script>")[0]
    charts = json.loads(figures)
    drawn = [trace["name"] for trace in charts["spectra-2"]["data"]]
    assert drawn == order
    first = lines[lines["address"] == order[0]]["energy"]
    assert np.isclose(first.iloc[-1], 1.0)
