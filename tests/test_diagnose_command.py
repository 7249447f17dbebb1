"""`tsfm-probe diagnose` from the command line to the page."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

from tests.files import days, long_frame
from tests.made_pages import HOSTILE
from tests.opened import Opened
from tests.planted_behaviour import PAIR_PARROT, pair_parrot
from tests.said import Said
from tsfm_probe.data.series import Series
from tsfm_probe.data.synthetic import START, walk
from tsfm_probe.diagnosis.answer import EFFECT, matrix
from tsfm_probe.diagnosis.inputs import COPIED, FREE, OWN, PARROTING
from tsfm_probe.diagnosis.probe import WHAT, Request, diagnose
from tsfm_probe.diagnosis.words import sentences
from tsfm_probe.errors import UsageError
from tsfm_probe.models import load
from tsfm_probe.report.diagnosis_page import Shown, write

Command = Callable[..., Said]
Checkpoints = Callable[[str], Path]
BEHAVIOUR = {"twin", "indices", "against", "steps", "seasons", "examples"}
TABLES = BEHAVIOUR | {"heads", "causal", "flags", "validation", "repair", "order"}
FIGURES = {"card", "steps", "seasons", "heads", "repair", "order"}
FEW = ("--horizon", 8, "--count", 2, "--context", 80, "--windows", 1, "--scale", 0)


def charts(page: str) -> dict[str, dict]:
    """The drawings in a page, by the id of their place."""
    return json.loads(page.rpartition('id="figures">')[2].partition("</script>")[0])


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file: two daily series, a and b, of 120 values."""
    path = tmp_path_factory.mktemp("data") / "visits.csv"
    long_frame({"a": days(120), "b": days(120)}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def bolt(checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Chronos-Bolt that reads contexts long enough for motifs."""
    folder = tmp_path_factory.mktemp("long") / "bolt"
    shutil.copytree(checkpoints("chronos-bolt"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["chronos_config"]["context_length"] = 128
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_the_parrot_is_told_with_the_heads_that_make_it_one(
    command: Command, tmp_path: Path
) -> None:
    folder, out = pair_parrot().write(tmp_path / "parrot"), tmp_path / "run"
    words = ("--context", 72, "--horizon", 4, "--count", 12, "--samples", 1, "--windows", 1)
    said = command(
        "diagnose", folder, *words, "--scale", 0, "--what", "behaviour,causal",
        "--json", "--out", out,
    )  # fmt: skip
    assert said.code == 0, said.err
    found = json.loads(said.out)
    first, *others = found["summary"]
    assert first.startswith("It parrots where the end of a context repeats a motif")
    assert any("On" not in one and "not shown to see seasons" in one for one in others)
    (behind,) = [one for one in others if one.startswith("Behind parroting: Heads without which")]
    assert str(PAIR_PARROT.induction) in behind
    sure = {row["address"] for row in found["answer"] if row["sure"] and row["score"] == PARROTING}
    assert sure == set(map(str, PAIR_PARROT.heads))
    (twin,) = [
        row for row in found["indices"]
        if (row["who"], row["set"], row["measure"]) == ("random twin", "motif", PARROTING)
    ]  # fmt: skip
    assert twin["value"] < 0.5
    page = (out / "report.html").read_text()
    assert behind in page
    grid = charts(page)["heads-1"]["data"][0]
    row = grid["y"].index(str(PAIR_PARROT.induction))
    assert grid["text"][row][grid["x"].index(f"{PARROTING} {EFFECT}")] == "×"


def test_the_head_that_attends_to_what_a_copy_would_say_is_named() -> None:
    made = diagnose(pair_parrot().model, what=("heads",), count=2, context=40, horizon=4, windows=1)
    (told,) = sentences(made, "d")
    assert told.startswith(f"To what a copy would say attends most {PAIR_PARROT.induction} (")


def test_it_ends_with_tables_a_page_and_an_answer(
    command: Command, bolt: Path, visits: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    said = command("diagnose", bolt, "--data", visits, *FEW, "--out", out)
    assert said.code == 0, said.err
    files = {f"{name}.csv" for name in (*TABLES, "answer", "skipped")}
    assert {one.name for one in out.iterdir()} == {
        *files,
        "figures",
        "report.html",
        "run.json",
        ".lock",
    }
    drawn = {one.stem for one in (out / "figures").iterdir()}
    assert drawn - {"validation"} == FIGURES | {f"examples-{one}" for one in range(1, 9)}
    assert all((out / "figures" / f"{one}.svg").exists() for one in drawn)
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["plan"]) == ("done", list(WHAT))
    same = record["identity"]
    assert (same["count"], same["generated_context"], same["scales"]) == ("2", "80", "0")
    sets = pd.read_csv(out / "indices.csv")["set"].unique()
    assert sets[-1] == OWN
    page = (out / "report.html").read_text()
    assert "On your series its parroting index is" in page
    assert page.count("Repair: ") == 2
    assert "a, window 0" in page
    assert "page: " in said.out
    assert "Parroting index" in said.out
    marks = pd.read_csv(out / "examples.csv")
    motif = marks[(marks["series"] == "motif-0") & (marks["role"] == "copied")]
    # A motif of 80 values and a horizon of 8: it is 44 long, of which 36 stand again at the end.
    assert motif["step"].tolist() == list(range(-44, -36))


def test_the_command_makes_what_the_function_makes(
    command: Command, bolt: Path, tmp_path: Path
) -> None:
    words = ("diagnose", bolt, *FEW, "--season", 4, "--quiet", "--out", tmp_path)
    assert command(*words, "--what", "order,flags,causal").code == 0
    model = load(str(bolt), "cpu")
    what = ("causal", "flags", "order")
    few = {"horizon": 8, "count": 2, "context": 80, "windows": 1, "scales": (0,)}
    made = diagnose(model, what=what, season=4, **few)
    plain = diagnose(model, what=("causal",), **few)["causal"]["change"]
    assert not made["causal"]["change"].equals(plain)
    assert list(made) == ["causal", "flags", "validation", "order"]
    for name, table in made.items():
        there = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=name != "validation")
        numbers = table.select_dtypes("number")
        np.testing.assert_allclose(
            there[numbers.columns].apply(pd.to_numeric, errors="coerce"), numbers, atol=1e-4
        )
    assert made["order"]["matched"].tolist() == [0, 1, 2, 4, 8]


def test_a_run_goes_on_with_the_stage_that_is_not_done(
    command: Command, bolt: Path, tmp_path: Path
) -> None:
    words = ("diagnose", bolt, *FEW, "--out", tmp_path)
    words += ("--what", "flags,order,repair")
    first = command(*words)
    assert first.code == 0, first.err
    whole = {one.name: one.read_bytes() for one in tmp_path.glob("*.csv")}
    names = ("flags", "order", "repair", "answer", "skipped")
    assert set(whole) == {f"{one}.csv" for one in names}
    (tmp_path / "repair.csv").write_bytes(whole["repair.csv"][:-4])
    marked = whole["flags.csv"].replace(b"OV copying (plain)", b"OV copying (plane)")
    (tmp_path / "flags.csv").write_bytes(marked)
    second = command(*words)
    assert second.code == 0
    assert "flagging: done before" in second.err
    assert "matching: done before" in second.err
    assert "repairing: done before" not in second.err
    assert b"copying (plane)" in (tmp_path / "answer.csv").read_bytes()
    (tmp_path / "flags.csv").write_bytes(whole["flags.csv"])
    (tmp_path / "repair.csv").unlink()
    assert command(*words).code == 0
    assert {one.name: one.read_bytes() for one in tmp_path.glob("*.csv")} == whole
    other = command(*words, "--seed", 1)
    assert (other.code, "seed is 1 here and 0 there" in other.complaint) == (2, True)


def test_a_folder_that_is_no_run_is_refused(command: Command, bolt: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    words = ("diagnose", bolt, *FEW, "--what", "flags", "--out", tmp_path)
    assert "no run.json" in command(*words).complaint
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--what", "behavior"), "did you mean behaviour"),
        (("--what", ","), "allowed is all, or behaviour"),
        (("--count", 1), "2 contexts or more"),
        (("--scale", "half"), "numbers such as 0,0.5"),
        (("--season", "1"), "2 steps or more, or 0"),
        (("--scale", "0,1"), "0 or more, but not 1"),
        (("--scale", "nan"), "0 or more, but not 1"),
        (("--context", 9999), "values at most"),
        (("--context", 60), "the context must have 72 values or more"),
        (("--what", "order", "--context", 20), "a context of"),
        (("--horizon", 0), "horizon 0"),
        (("--seed", -1), "seed -1"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    words: tuple[object, ...],
    message: str,
    command: Command,
    bolt: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    said = command("diagnose", bolt, *FEW, *words, "--out", out)
    assert (said.code, message in said.complaint) == (2, True), said.err
    assert not out.exists()


def test_nothing_and_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="nothing was asked for"):
        Request(())
    with pytest.raises(UsageError, match="did you mean flags"):
        Request(("flag",))


def test_names_are_text_and_a_twin_that_cannot_be_made_is_told_with_its_reason(
    tmp_path: Path,
) -> None:
    values = walk(np.random.default_rng(0), 120)
    series = [Series(f"{HOSTILE}{one}", values + one, START, "D") for one in range(2)]
    model = pair_parrot().model  # it has no folder, so no twin either
    made = diagnose(
        model, series, what=("behaviour", "flags"), horizon=8, count=2, context=72, samples=1,
        windows=1,
    )  # fmt: skip
    assert "random twin" not in set(made["indices"]["who"])
    said = sentences(made, HOSTILE)
    (lacking,) = [one for one in said if one.startswith("There is no random twin beside it:")]
    assert "by hand" in lacking
    about = {"model": HOSTILE, "data": HOSTILE, "command": HOSTILE}
    shown = Shown(made, matrix(made), COPIED, FREE, OWN)
    page = write(tmp_path, about, [HOSTILE, *said], shown).read_text()
    assert HOSTILE not in page
    assert len(re.findall(r"</script>", page)) == 3
    title = charts(page)["examples-8-2"]["layout"]["title"]["text"]
    assert title.startswith("&lt;b&gt;&#36;x&#36;&lt;/b&gt;")


def test_a_browser_draws_all_of_it_and_asks_for_nothing(
    browser: Browser, command: Command, bolt: Path, tmp_path: Path
) -> None:
    words = ("diagnose", bolt, *FEW, "--out", tmp_path)
    assert command(*words).code == 0
    opened = Opened(browser, tmp_path / "report.html")
    drawn = opened.drawn()
    assert {"card-1", "card-2", "steps-1", "seasons-3", "examples-1-2"} < set(drawn)
    assert {"heads-1", "repair-1", "repair-2", "order-1"} < set(drawn)
    assert "examples-7-1" not in drawn
    opened.page.locator(".switch").get_by_text("patches", exact=True).click()
    assert "examples-7-1" in opened.drawn()
    opened.page.get_by_role("button", name="prefix matching").click()
    cells = [float(text.replace("−", "-")) for text in opened.column(4) if text != "–"]
    assert cells == sorted(cells)
    assert "encoder.0.self" in opened.hovered("heads-1", row=0.02, column=0.02)
    opened.in_order()
    phone = Opened(browser, tmp_path / "report.html", width=390)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
