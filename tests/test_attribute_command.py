"""`tsfm-probe attribute` from the command line to the page."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser

from tests.made_pages import HOSTILE
from tests.opened import Opened
from tests.said import Said
from tsfm_probe.attribution.answer import Answer
from tsfm_probe.attribution.probe import attribute
from tsfm_probe.data.read import read
from tsfm_probe.models.base import Model
from tsfm_probe.report.attribution_page import Shown, write

Command = Callable[..., Said]
Checkpoints = Callable[[str], Path]
Tiny = Callable[[str], Model]
TABLES = {
    "effects", "lens", "errors", "forecasts", "bins", "series", "ranks", "cosines", "totals",
    "overthinking",
}  # fmt: skip
FIGURES = {
    "stack", "stack-encoder", "ranking", "lens-1", "lens-2", "layers", "overthinking", "cosines",
    "ranks", "totals",
}  # fmt: skip
FEW = ("--horizon", 3, "--windows", 1, "--context", 20)


def charts(page: str) -> dict[str, dict]:
    """The drawings in a page, by the id of their place."""
    return json.loads(page.rpartition('id="figures">')[2].partition("</script>")[0])


def test_it_ends_with_tables_a_page_and_an_answer(
    command: Command, checkpoints: Checkpoints, tiny: Tiny, sales: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    folder = checkpoints("chronos-t5")
    said = command("attribute", folder, "--data", sales, *FEW, "--out", out)
    assert said.code == 0, said.err
    files = {f"{name}.csv" for name in (*TABLES, "answer", "skipped")}
    assert {one.name for one in out.iterdir()} == {
        *files,
        "figures",
        "report.html",
        "run.json",
        ".lock",
    }
    drawn = {one.name for one in (out / "figures").iterdir()}
    assert drawn == {f"{name}.{form}" for name in FIGURES for form in ("png", "svg")}
    model = tiny("chronos-t5")
    made = attribute(model, read(sales), horizon=3, windows=1, context=20)
    assert set(made) == TABLES
    for name, table in made.items():
        there = pd.read_csv(out / f"{name}.csv").astype(table.dtypes)
        pd.testing.assert_frame_equal(there, table, rtol=1e-4, atol=1e-4)
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "done"
    assert record["plan"] == ["walk", "totals", "overthinking"]
    same = record["identity"]
    assert (same["target"], same["unit"], same["step"]) == ("bin", "logit", "all")
    page = (out / "report.html").read_text()
    assert all(str(at) in page for at in model.anatomy.heads)
    assert "The effects sum to the prediction: the remainder is 0 within rounding." in page
    assert "a, window 0" in page
    for name in FIGURES:
        assert f"{name}-1" in charts(page)
    assert "towards the most likely bin by" in said.out


def test_a_decoder_alone_is_told_without_an_encoder(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    words = ("attribute", checkpoints("timesfm-2.5"), "--data", sales, *FEW, "--out", tmp_path)
    found = json.loads(command(*words, "--target", "0.9", "--json").out)
    assert found["about"]["what"] == "effects, lens, heads, totals, overthinking"
    assert found["about"]["target"] == "0.9"
    assert {row["path"] for row in found["answer"]} == {"direct"}
    assert sum(row["share"] for row in found["answer"]) == pytest.approx(1)
    assert found["summary"][0].startswith("Most is written towards the 0.9 quantile by decoder.")
    assert {row["measure"] for row in found["layers"]} == {
        "error", "distance from the last", "width"
    }  # fmt: skip
    assert {row["attention"] for row in found["ranks"]} == {"decoder.0.time", "decoder.1.time"}
    assert len(found["totals"]) == found["agreement"]["heads"]
    assert {Path(one).stem for one in found["tables"]} == TABLES
    assert not any("encoder" in line.replace("decoder", "") for line in found["summary"])
    page = (tmp_path / "report.html").read_text()
    assert "stack-1" in charts(page)
    assert "stack-encoder-1" not in charts(page)


def test_a_run_goes_on_with_the_stage_that_is_not_done(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    words = ("attribute", checkpoints("chronos-bolt"), "--data", sales, *FEW, "--out", tmp_path)
    words += ("--what", "effects,totals", "--only", "decoder.0")
    first = command(*words)
    assert first.code == 0, first.err
    whole = {one.name: one.read_bytes() for one in tmp_path.glob("*.csv")}
    assert set(whole) == {f"{one}.csv" for one in ("effects", "totals", "answer", "skipped")}
    assert len(pd.read_csv(tmp_path / "totals.csv")) == 8
    (tmp_path / "totals.csv").unlink()
    (tmp_path / "report.html").unlink()
    marked = whole["effects.csv"].replace(b"decoder.embedding", b"decoder.embeddong")
    (tmp_path / "effects.csv").write_bytes(marked)
    second = command(*words)
    assert second.code == 0
    assert "watching: done before" in second.err
    assert "ablating: done before" not in second.err
    assert (tmp_path / "totals.csv").read_bytes() == whole["totals.csv"]
    assert b"embeddong" in (tmp_path / "answer.csv").read_bytes()
    assert len(json.loads((tmp_path / "run.json").read_text())["continued"]) == 1
    (tmp_path / "effects.csv").write_bytes(whole["effects.csv"][:-4])
    assert "watching: done before" not in command(*words).err
    assert {one.name: one.read_bytes() for one in tmp_path.glob("*.csv")} == whole


def test_the_run_of_another_is_refused(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    words = ("attribute", checkpoints("chronos-bolt"), "--data", sales, *FEW, "--out", tmp_path)
    words += ("--what", "heads")
    (tmp_path / "letter.txt").write_text("mine")
    assert "no run.json" in command(*words).complaint
    (tmp_path / "letter.txt").unlink()
    assert command(*words).code == 0
    other = command(*words, "--step", 2)
    assert (other.code, "step is 2 here and all there" in other.complaint) == (2, True)


@pytest.mark.parametrize(
    ("family", "words", "message"),
    [
        ("chronos-bolt", ("--target", "bin"), "allowed is median, a level such as 0.9, truth"),
        ("chronos-t5", ("--target", "centre"), "allowed is bin, median, a level such as 0.9"),
        ("toto-1", ("--target", "1.5"), "allowed is centre, truth"),
        ("chronos-bolt", ("--step", 4), "the horizon has steps 1 to 3"),
        ("chronos-bolt", ("--step", -1), "the horizon has steps 1 to 3"),
        ("chronos-bolt", ("--what", "efects"), "did you mean effects"),
        ("chronos-bolt", ("--what", ","), "allowed is all, or effects"),
        ("timesfm-2.5", ("--what", "encoder"), "has no cross-attention"),
        ("chronos-bolt", ("--only", "decoder.7"), "no part of this network matches"),
        ("chronos-bolt", ("--horizon", 0), "horizon 0"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    family: str,
    words: tuple[object, ...],
    message: str,
    command: Command,
    checkpoints: Checkpoints,
    sales: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    said = command("attribute", checkpoints(family), "--data", sales, *FEW, *words, "--out", out)
    assert (said.code, message in said.complaint) == (2, True), said.err
    assert not out.exists()


def test_one_step_alone_is_told(
    command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    words = ("attribute", checkpoints("chronos-t5"), "--data", sales, *FEW, "--out", tmp_path)
    assert command(*words, "--what", "effects", "--step", 3, "--quiet").code == 0
    assert set(pd.read_csv(tmp_path / "effects.csv")["step"]) == {2}
    (stack,) = (charts((tmp_path / "report.html").read_text())[name] for name in ("stack-1",))
    assert {tuple(one["x"]) for one in stack["data"] if isinstance(one["x"], list)} <= {(3,)}


def test_names_on_the_page_are_text_and_bars_sum_to_the_prediction(
    tiny: Tiny, sales: Path, tmp_path: Path
) -> None:
    model = tiny("chronos-t5")
    made = attribute(model, read(sales), horizon=3, windows=1, what=("effects", "lens"))
    found = Answer.of(made)
    shown = Shown(
        made, found.parts, found.layers, found.crystallised, "", {}, {0: HOSTILE, 1: "other"}
    )
    about = {"model": HOSTILE, "data": "d", "target": "bin", "unit": HOSTILE, "command": HOSTILE}
    page = write(tmp_path, about, [HOSTILE], shown).read_text()
    assert HOSTILE not in page
    assert len(re.findall(r"</script>", page)) == 3
    drawn = charts(page)
    effects = made["effects"]
    layered = effects.loc[effects["kind"].isin(["embedding", "head", "mlp"])]
    whole = effects.loc[effects["kind"] == "prediction"].set_index("step")["effect"]
    difference = layered.groupby("step")["effect"].sum() - whole
    assert difference.abs().max() < 1e-4 * whole.abs().max()
    assert len(drawn["stack-1"]["data"]) == 1 + 2 * 2 + 1 + 1
    assert {one["type"] for one in drawn["lens-1-3"]["data"]} == {"heatmap", "scatter"}


def test_a_browser_draws_all_of_it_and_asks_for_nothing(
    browser: Browser, command: Command, checkpoints: Checkpoints, sales: Path, tmp_path: Path
) -> None:
    words = ("attribute", checkpoints("chronos-bolt"), "--data", sales, *FEW, "--out", tmp_path)
    assert command(*words).code == 0
    opened = Opened(browser, tmp_path / "report.html")
    drawn = opened.drawn()
    assert {"stack-1", "stack-encoder-1", "ranking-2", "lens-1-3", "layers-1"} < set(drawn)
    assert {"cosines-3", "ranks-3", "totals-2", "overthinking-2"} < set(drawn)
    assert "lens-2-1" not in drawn
    opened.page.get_by_text("b, window 0", exact=True).first.click()
    assert "lens-2-3" in opened.drawn()
    opened.page.get_by_role("button", name="share").click()
    shares = [float(text.removesuffix(" %")) for text in opened.column(4)]
    assert shares == sorted(shares)
    assert "heads" in opened.hovered("cosines-3", row=0.3, column=0.3)
    opened.in_order()
    phone = Opened(browser, tmp_path / "report.html", width=390)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
