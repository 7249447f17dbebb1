"""`tsfm-probe bench gift-eval` from the words to the files, killed and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tests import gift_eval_data
from tests.families import write_checkpoint
from tests.said import Said
from tsfm_probe.cli import main
from tsfm_probe.evaluate.gift_eval_sets import official
from tsfm_probe.evaluate.sums import METRICS

Command = Callable[..., Said]
CONFIGS = "us_births/M/short,bizitobs_l2c/H/short,m4_weekly/W/short"
KEYS = ["m4_weekly/W/short", "us_births/M/short", "bizitobs_l2c/H/short"]
PLAN = [{"name": "both ends", "ablate": ["encoder.0.mlp", "decoder.*.self.0-1"]}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gift_eval_data.write(tmp_path_factory.mktemp("gift"))


@pytest.fixture(scope="module")
def words(
    folder: Path,
    checkpoints: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[object]:
    """A run with every kind of trial; the pruned model is another network of the family."""
    made = tmp_path_factory.mktemp("trials")
    write_checkpoint("chronos-bolt", made / "other", seed=1)
    (made / "plan.json").write_text(json.dumps(PLAN))
    ablated = ["--ablate", "decoder.0.cross,encoder.1", "--ablate", "decoder"]
    more = ["--prune", made / "other", "--trials", made / "plan.json", "--device", "cpu"]
    model = checkpoints("chronos-bolt")
    return ["bench", "gift-eval", model, "--data", folder, "--configs", CONFIGS, *ablated, *more]


TRIALS = ["seasonal_naive", "untouched", "decoder.0.cross,encoder.1", "decoder", "pruned other"]
TRIALS.append("both ends")


def shards(out: Path) -> dict[str, tuple[int, int]]:
    """When the file of each unit was written, and its inode."""
    found = ((one, one.stat()) for one in (out / "shards").glob("*/[!.]*.parquet"))
    return {f"{one.parent.name}/{one.name}": (at.st_mtime_ns, at.st_ino) for one, at in found}


@pytest.fixture(scope="module")
def whole(words: Sequence[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was never killed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tsfm-probe", *map(str, words), "--quiet", "--out", str(out)])
        with pytest.raises(SystemExit):
            main()
    return out


def killed(words: Sequence[object], out: Path, count: int) -> dict[str, tuple[int, int]]:
    """Start a run in another process and kill it once it has `count` units; returns those."""
    said = [sys.executable, "-m", "tsfm_probe", *map(str, words), "--quiet", "--out", str(out)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(said, stderr=subprocess.PIPE, text=True, env=one_thread) as process:
        end = time.monotonic() + 120
        while len(shards(out)) < count and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        process.kill()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert count <= len(shards(out)) < len(TRIALS) * len(KEYS)
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    return shards(out)


def test_a_run_ends_with_a_table_scores_and_submissions(whole: Path) -> None:
    table = pd.read_parquet(whole / "table.parquet")
    assert_frame_equal(table, pd.read_csv(whole / "table.csv"), check_exact=False)
    assert len(table) == len(TRIALS) * len(KEYS) * len(METRICS)
    assert set(table["trial"]) == set(TRIALS)
    kinds = dict(zip(table["trial"], table["kind"], strict=True))
    assert [kinds[one] for one in TRIALS] == [
        *("naive", "untouched", "ablated", "ablated", "pruned", "ablated")
    ]
    untouched = table[table["trial"] == "untouched"]
    assert (untouched["value"] == untouched["base"]).all()
    others = table[(table["kind"] != "untouched") & (table["metric"] == "MASE[0.5]")]
    assert (others["value"] != others["base"]).all()

    scores = pd.read_csv(whole / "summary.csv").set_index("trial")
    assert list(scores.index) == TRIALS
    assert (scores["configurations"] == 3).all()
    mase = table[table["metric"] == "MASE[0.5]"].groupby("trial")
    for trial, rows in mase:
        expected = np.exp(np.log(rows["value"] / rows["naive"]).mean())
        assert scores.loc[trial, "MASE"] == pytest.approx(expected)
    assert scores.loc["seasonal_naive", "CRPS"] == 1.0

    submitted = [one.parent for one in (whole / "submissions").glob("*/all_results.csv")]
    assert len(submitted) == len(TRIALS)
    results = pd.read_csv(whole / "submissions" / "untouched" / "all_results.csv")
    names = ["dataset", "model", *(f"eval_metrics/{one}" for one in METRICS)]
    assert list(results.columns) == [*names, "domain", "num_variates"]
    assert list(results["dataset"]) == KEYS
    assert list(results["num_variates"]) == [1, 1, 7]
    config = json.loads((whole / "submissions" / "untouched" / "config.json").read_text())
    assert config["model_dtype"] == "float32"
    assert config["testdata_leakage"] == ""


def test_a_killed_run_ends_like_one_never_killed(
    words: Sequence[object], whole: Path, command: Command, tmp_path: Path
) -> None:
    before = killed(words, tmp_path, 3)
    said = command(*words, "--quiet", "--out", tmp_path)
    assert (said.code, said.err) == (0, "")
    assert before.items() < shards(tmp_path).items()
    for name in ("table.parquet", "table.csv", "summary.csv", "summary.parquet"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name
    assert shards(tmp_path).keys() == shards(whole).keys()
    for one in shards(whole):
        same = [(place / "shards" / one).read_bytes() for place in (tmp_path, whole)]
        assert same[0] == same[1]
    half_a_unit_is_made_again(words, command, tmp_path)


def half_a_unit_is_made_again(words: Sequence[object], command: Command, out: Path) -> None:
    expected, before = (out / "table.csv").read_bytes(), shards(out)
    (path,) = (out / "shards").glob("m4_weekly_W_short_both_ends-*/000000.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    said = command(*words, "--out", out)
    assert said.code == 0
    told = " ".join(said.err.split())
    assert "damaged results were found and made again: m4_weekly/W/short both ends" in told
    changed = {name for name, when in shards(out).items() if before[name] != when}
    assert changed == {f"{path.parent.name}/{path.name}"}
    assert (out / "table.csv").read_bytes() == expected
    (line,) = json.loads((out / "run.json").read_text())["damaged"]
    assert "m4_weekly/W/short both ends" in line


def test_trials_and_configurations_are_added_to_what_is_there(
    words: Sequence[object], folder: Path, whole: Path, command: Command, tmp_path: Path
) -> None:
    short = [*words[:5], "--configs", "us_*", "--device", "cpu", "--out", tmp_path, "--json"]
    first = json.loads(command(*short).out)
    assert [one["trial"] for one in first["summary"]] == ["seasonal_naive", "untouched"]
    assert [one["configuration"] for one in first["results"]] == ["us_births/M/short"] * 2
    before = shards(tmp_path)
    command(*words, "--quiet", "--out", tmp_path)
    assert before.items() < shards(tmp_path).items()
    assert (tmp_path / "table.csv").read_bytes() == (whole / "table.csv").read_bytes()


def test_a_trial_of_the_same_name_that_does_something_else_is_run(
    words: Sequence[object], command: Command, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    found = []
    for patterns in (["decoder.0.cross"], ["decoder.1.cross"]):
        plan.write_text(json.dumps([{"name": "one", "ablate": patterns}]))
        short = [*words[:5], "--configs", "m4_*", "--trials", plan, "--json", "--device", "cpu"]
        said = json.loads(command(*short, "--out", tmp_path / "run").out)
        found.append({one["trial"]: one["MASE[0.5]"] for one in said["results"]})
    assert found[0]["untouched"] == found[1]["untouched"]
    assert found[0]["one"] != found[1]["one"]


def test_dry_run_tells_the_cost_and_leaves_nothing(
    words: Sequence[object], command: Command, tmp_path: Path, tiny: Any
) -> None:
    said = command(*words, "--dry-run", "--json", "--out", tmp_path / "run")
    told = json.loads(said.out)
    assert set(told["trials"]) == set(TRIALS)
    assert {one["configuration"]: one["windows"] for one in told["configurations"]} == {
        "m4_weekly/W/short": 2,
        "us_births/M/short": 6,
        "bizitobs_l2c/H/short": 4,
    }
    model = tiny("chronos-bolt")
    cost = 2 * model.multiply_adds(48, 12, 1) * 6  # every context is longer than 48
    flops = {one["configuration"]: one["flops"] for one in told["configurations"]}
    assert flops["us_births/M/short"] == pytest.approx(cost)
    assert told["flops"] == pytest.approx(5 * sum(flops.values()))
    assert not (tmp_path / "run").exists()
    spoken = command(*words, "--dry-run").out
    assert "3 of 97 configurations, 5 trials with a model" in spoken


def test_scores_stand_beside_published_ones_and_say_when_they_cannot_be_compared(
    words: Sequence[object], command: Command, tmp_path: Path
) -> None:
    lines = tmp_path / "board.csv"
    lines.write_text("model,MASE,CRPS\nMine,0.5,0.25\n")
    short = [*words[:5], "--configs", "m4_*", "--leaderboard", lines, "--device", "cpu"]
    said = command(*short, "--out", tmp_path / "run")
    for words_of in ("Chronos-2", "0.698", "published, on all 97", "Mine", "0.250"):
        assert words_of in said.out
    assert "1 of 97 configurations: these scores are not comparable" in said.out
    assert "forecasting" in said.err


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--configs", "m4_weakly/W/short"], "did you mean m4_weekly/W/short"),
        (["--configs", "ett1/H/short"], "hf download Salesforce/GiftEval"),
        (["--term", "shrot"], "did you mean short"),
        (["--ablate", "decoder.9.cross"], "no part of this network matches 'decoder.9.cross'"),
        (["--ablate", "decoder", "--ablate", "decoder"], "2 are named 'decoder'"),
        (["--prune", "nowhere"], "'nowhere' was asked for"),
        (["--trials", "nowhere.json"], "No such file"),
        (["--leaderboard", "nowhere.csv"], "the leaderboard nowhere.csv"),
        (["--joint"], "chronos-bolt reads each series on its own"),
        (["--context", "999"], "reads 48 values at most"),
        (["--samples", "-1"], "samples -1 was asked for; 0 or more"),
        (["--data", "nowhere"], "there is no such folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    more: list[str], complaint: str, words: Sequence[object], command: Command, tmp_path: Path
) -> None:
    some = [] if "--configs" in more else ["--configs", "us_*"]
    said = command(*words[:5], *some, *more, "--device", "cpu", "--out", tmp_path / "run")
    assert complaint in said.complaint
    assert said.code in (1, 2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text", ["{", "{}", "[]", '[{"name": "a"}]', '[{"name": "a", "ablate": []}]', '[{"name": 1}]']
)
def test_a_plan_that_is_none_shows_what_one_looks_like(
    text: str, words: Sequence[object], command: Command, tmp_path: Path
) -> None:
    (tmp_path / "plan.json").write_text(text)
    said = command(
        *words[:5], "--configs", "us_*", "--trials", tmp_path / "plan.json", "--device", "cpu"
    )
    assert '[{"name": "first cross", "ablate": ["decoder.0.cross"]}]' in said.complaint


def test_every_key_is_one_that_the_command_takes() -> None:
    assert set(KEYS) <= {one.key for one in official()}
