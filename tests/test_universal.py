"""The study of benchmarks/universal.yaml: what it accepts, what it plans, how it goes on."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests import gift_eval_data
from tests.conftest import REPOSITORY
from tests.said import Said
from tsfm_probe.evaluate.trials import trials
from tsfm_probe.models.base import Model
from tsfm_probe.models.names import KNOWN
from tsfm_probe.scores.weights import scored

BENCHMARKS = REPOSITORY / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
UNIVERSAL, STUDY, CUTS, MEASURED, COMPARED, CLAIMS = (
    import_module(name)
    for name in (
        "universal",
        *(f"universality.{one}" for one in ("study", "cuts", "measured", "compared", "claims")),
    )
)
Start = Callable[..., Said]
CONFIGURATIONS = ["us_births/M/short", "bizitobs_l2c/H/short", "m4_weekly/W/short"]
FAMILIES = ("chronos-bolt", "toto-1", "chronos-2")


def content(model: str = "nano-chronos-bolt") -> dict[str, Any]:
    """What a small study says."""
    heads = {"shares": [0.5], "orders": ["stable-rank", "stable-rank-desc", "random"], "seeds": [0]}
    scale = {"models": [model], "configurations": CONFIGURATIONS, "term": "short"}
    return {
        "limit": 5,
        "middle": [0.5, 1],
        "trials": {"layers": True, "blocks": [1], "heads": heads},
        "scales": {"nano": scale | {"samples": 2, "context": 0}},
    }


def written(folder: Path, said: object) -> Path:
    path = folder / "study.yaml"
    path.write_text(said if isinstance(said, str) else yaml.safe_dump(said), encoding="utf-8")
    return path


@pytest.fixture
def start(command: object, capsys: pytest.CaptureFixture[str]) -> Start:
    """The benchmark in this process; `command` puts the logging back as it was."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = UNIVERSAL.main([*map(str, words)])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gift_eval_data.write(tmp_path_factory.mktemp("gift"))


def test_the_file_that_ships_is_sound() -> None:
    study = STUDY.read(BENCHMARKS / "universal.yaml")
    shipped = {one.name for one in KNOWN.values() if not one.hub_id}
    assert set(study.scale("nano").models) == shipped
    assert shipped.isdisjoint(study.scale("published").models)
    assert study.scale("published").configurations == ("*",)
    assert study.scale("nano").samples_of("nano-chronos-t5") < study.scale("nano").samples_of("any")


WRONG = {
    "an unknown key": (("limits",), 3, "did you mean limit"),
    "an unknown key below": (("trials", "heads", "order"), [], "did you mean orders"),
    "an unknown model": (("scales", "nano", "models"), ["nano-chronos"], "nano-chronos-bolt"),
    "an unknown order": (("trials", "heads", "orders"), ["entropy"], "stable-rank"),
    "a share of all heads": (("trials", "heads", "shares"), [0.5, 1], "between 0 and 1"),
    "a share twice": (("trials", "heads", "shares"), [0.5, 0.5], "a list"),
    "a negative seed": (("trials", "heads", "seeds"), [-1], "whole numbers from 0"),
    "a block of none": (("trials", "blocks"), [0], "above 0"),
    "a limit in words": (("limit",), "five", "a number of percent"),
    "a middle without end": (("middle",), [0.8, 0.2], "the lower one first"),
    "an unknown term": (("scales", "nano", "term"), "brief", "short, medium, long"),
    "samples of some": (("scales", "nano", "samples"), {"nano-toto-1": 3}, "for others"),
    "no scale": (("scales",), {}, "there are none"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_in_the_file_is_one_line(name: str, start: Start, tmp_path: Path) -> None:
    path, value, expected = WRONG[name]
    said: Any = content()
    inner = said
    for one in path[:-1]:
        inner = inner[one]
    inner[path[-1]] = value
    refused(start("--study", written(tmp_path, said), "--data", tmp_path), expected)


def test_other_mistakes_are_one_line(start: Start, tmp_path: Path, folder: Path) -> None:
    missing = content()
    del missing["middle"]
    refused(start("--study", written(tmp_path, missing)), "middle is missing")
    refused(start("--study", written(tmp_path, "a: [")), "not YAML")
    refused(start("--study", tmp_path / "no.yaml"), "No such file")
    sound = ["--study", written(tmp_path, content()), "--data", folder]
    refused(start(*sound, "--scale", "nanno"), "did you mean nano")
    refused(start(*sound, "--only", "nano-toto-1"), "nano-chronos-bolt")
    refused(start(*sound, "--devices", "cpu", "--ray", "local"), "one of them")
    unknown = content()
    unknown["scales"]["nano"]["configurations"] = ["m4_hurly/*"]
    refused(start("--study", written(tmp_path, unknown), "--data", folder), "m4_hourly")


def refused(said: Said, expected: str) -> None:
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert line.startswith("universal: ")
    assert expected in line


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plan_holds_what_the_study_asks_for(
    family: str, tiny: Callable[[str], Model], tmp_path: Path
) -> None:
    said = content()
    said["trials"]["heads"] |= {"shares": [0.25, 0.5, 0.75], "seeds": [0, 1]}
    model, study = tiny(family), STUDY.read(written(tmp_path, said))
    made = CUTS.cuts(model, study)
    found = trials(plan=CUTS.write(tmp_path, made))[2:]
    assert [one.name for one in found] == [one.name for one in made]
    ablated = {one.name: set(one.ablated(model.anatomy)) for one in found}

    layers = {name: set(parts) for name, parts in model.anatomy.layers.items()}
    assert {n: ablated[f"layer {n}"] for n in layers} == layers
    last = {f"{one.stack}.{one.layer}": one.middle for one in made if one.kind == "layer"}
    assert last == {name: name.endswith(".1") for name in layers}
    assert len([one for one in made if one.kind == "block"]) == len(model.anatomy.stacks)

    ranks = scored(model).set_index("address")["value"]
    for one in (one for one in made if one.kind == "heads"):
        assert len(ablated[one.name]) == one.heads
        for at in model.anatomy.attentions:
            component = model.anatomy[at]
            cut = [ranks[str(head)] for head in ablated[one.name] if head.whole == at]
            kept = [
                ranks[str(head)]
                for head in model.anatomy.heads
                if head.whole == at and head not in ablated[one.name]
            ]
            assert len(cut) == CUTS.number(one.share, component.heads)
            if one.order == "stable-rank":
                assert max(cut) <= min(kept)
            if one.order == "stable-rank-desc":
                assert min(cut) >= max(kept)
    for order in ("stable-rank", "stable-rank-desc", "random-0", "random-1"):
        few, more, most = (ablated[f"heads {order} {share}"] for share in (0.25, 0.5, 0.75))
        assert few < more < most
    assert ablated["heads random-0 0.5"] != ablated["heads random-1 0.5"]
    assert CUTS.cuts(model, study) == made


@pytest.mark.parametrize(
    ("share", "heads", "expected"), [(0.25, 4, 1), (0.5, 12, 6), (0.01, 8, 1), (0.99, 8, 7)]
)
def test_a_share_is_never_no_head_and_never_all(share: float, heads: int, expected: int) -> None:
    assert CUTS.number(share, heads) == expected


@pytest.fixture(scope="module")
def words(
    folder: Path, checkpoints: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Sequence[object]:
    made = tmp_path_factory.mktemp("study")
    study = written(made, content(str(checkpoints("chronos-bolt"))))
    return ["--study", study, "--data", folder, "--device", "cpu"]


def shards(out: Path) -> dict[str, tuple[int, int]]:
    found = ((one, one.stat()) for one in out.glob("*/gift-eval/shards/*/[!.]*.parquet"))
    return {f"{one.parent.name}/{one.name}": (at.st_mtime_ns, at.st_ino) for one, at in found}


def test_a_dry_run_tells_plan_and_cost_and_keeps_nothing(
    words: Sequence[object], start: Start, tmp_path: Path, tiny: Callable[[str], Model]
) -> None:
    said = start(*words, "--dry-run", "--out", tmp_path / "run", "--quiet")
    assert said.code == 0
    assert "11 trials on 12 windows of 3 configurations; 30 units of work are left" in said.out
    (cost,) = re.findall(
        r" ([\d.e-]+) T multiply-adds in weight matrices, about [\d.]+ m", said.out
    )
    shapes = {(48, 12): 6, (48, 48): 4, (47, 13): 1, (48, 13): 1}  # context, horizon: windows
    model = tiny("chronos-bolt")
    each = sum(count * model.multiply_adds(*shape, 2) for shape, count in shapes.items())
    assert float(cost) == pytest.approx(10 * each / 1e12, rel=0.01)  # ten trials with a model
    assert "  heads stable-rank-desc 0.5\n" in said.out
    assert "Nothing was kept." in said.out
    assert not (tmp_path / "run").exists()


def test_a_second_start_does_what_is_left_alone(
    words: Sequence[object], start: Start, tmp_path: Path
) -> None:
    said = start(*words, "--out", tmp_path, "--quiet")
    assert (said.code, said.err) == (0, "")
    before = shards(tmp_path)
    assert len(before) == 33
    tables_are_those_of_the_run(tmp_path, words)
    (path,) = tmp_path.glob("*/gift-eval/table.csv")
    table = pd.read_csv(path)

    cut = [one for one in before if one.startswith("m4_weekly") and "naive" not in one]
    lost = cut[:5]  # as a kill leaves it
    for one in lost:
        next(tmp_path.glob(f"*/gift-eval/shards/{one}")).unlink()
    more = content(words_model(words))
    more["trials"]["heads"]["seeds"] = [0, 1]
    study = written(tmp_path, more)
    said = start("--study", study, *words[2:], "--out", tmp_path)
    assert "8 units of work are left" in " ".join(said.err.split())
    after = shards(tmp_path)
    made = {name for name in after if after[name] != before.get(name)}
    assert set(lost) < made
    assert all("random_1" in one for one in made - set(lost))
    assert len(made) == 8
    again = pd.read_csv(path)
    old = again[again["trial"].isin(table["trial"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, table, check_exact=True)


def words_model(words: Sequence[object]) -> str:
    return str(yaml.safe_load(Path(str(words[1])).read_text())["scales"]["nano"]["models"][0])


def tables_are_those_of_the_run(out: Path, words: Sequence[object]) -> None:
    report = out / "report"
    (run,) = out.glob("*/gift-eval")
    cuts, table = pd.read_csv(report / "cuts.csv"), pd.read_csv(run / "table.csv")
    assert set(cuts["level"]) == {"all configurations"}  # no configuration has five series
    one = cuts[cuts["metric"] == "MASE"]
    mase = table[(table["metric"] == "MASE[0.5]") & (table["kind"] == "ablated")]
    logs = np.log(mase["value"] / mase["base"]).groupby(mase["trial"]).mean()
    assert dict(zip(one["trial"], one["ratio"], strict=True)) == pytest.approx(
        np.exp(logs).to_dict(), rel=1e-5
    )
    weekly = pd.read_csv(run.parent / "series.csv").query("configuration == 'm4_weekly/W/short'")
    mean = weekly[weekly["metric"] == "MASE"].groupby("trial")["value"].mean()  # a window each
    for own in mase[mase["configuration"] == "m4_weekly/W/short"].to_dict("records"):
        assert mean[own["trial"]] == pytest.approx(own["value"])
    verdicts = pd.read_csv(report / "verdicts.csv", keep_default_na=False)
    assert set(verdicts["claim"]) == {"middle layers", "some layer", "order"}
    page, told = ((report / one).read_text() for one in ("report.html", "README.md"))
    for claim in CLAIMS.CLAIMS.values():
        assert claim in page
        assert claim in told
    assert page.count("data:image/png") == 4
    record = json.loads((report / run.parent.name / "run.json").read_text())
    assert record["about"]["command"] == "python benchmarks/universal.py --data DIR"
    assert str(words[3]) not in page + told + json.dumps(record)


def test_a_trial_is_judged_by_its_interval_over_groups() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(1, 2, 40)
    values = {
        "untouched": base,
        "same": base * np.exp(rng.normal(0, 0.01, 40)),
        "worse": base * 1.3,
        "unsure": base * np.exp(rng.normal(0.05, 0.4, 40)),
        "broken": np.where(np.arange(40) == 3, np.nan, base),
    }
    long = pd.DataFrame(
        [(t, str(g), v) for t, each in values.items() for g, v in enumerate(each)],
        columns=pd.Index(["trial", "group", "value"]),
    )
    found = MEASURED.over(long, "untouched", 5).set_index("trial")
    assert list(found.index) == ["same", "worse", "unsure", "broken"]
    assert list(found["verdict"]) == ["redundant", "harmful", "uncertain", "uncertain"]
    assert found.loc["worse", "ratio"] == pytest.approx(1.3)
    assert found.loc["unsure", "low"] < found.loc["unsure", "ratio"] < found.loc["unsure", "high"]
    loose = MEASURED.over(long, "untouched", 40).set_index("trial")
    assert loose.loc["worse", "verdict"] == "redundant"


def measured(heads: dict[tuple[str, int], float], layers: Sequence[float]) -> Any:
    """A model whose trials have these errors, times what the configuration is by itself."""
    cuts = [
        ("heads", f"{order}-{seed} {share}", "", False, order, seed, share)
        for order, seed in heads
        for share in (0.25, 0.5)
    ]
    middle = [0 < number < len(layers) - 1 for number in range(len(layers))]
    cuts += [("layer", f"layer s.{n}", "s", one, "", -1, 0.0) for n, one in enumerate(middle)]
    factors = [heads[order, seed] for order, seed in heads for _ in range(2)] + list(layers)
    names = ["kind", "name", "stack", "middle", "order", "seed", "share"]
    rows = [
        (trial, configuration, metric, factor * own, 1.0)
        for configuration, own in (("a", 1.0), ("b", 2.0), ("c", 0.5))
        for metric in ("MASE", "CRPS")
        for trial, factor in [("untouched", 1.0), *((c[1], f) for c, f in zip(cuts, factors))]  # noqa: B905
    ]
    columns = ["trial", "configuration", "metric", "value", "naive"]
    errors = pd.DataFrame(rows, columns=pd.Index(columns))
    single = errors[errors["configuration"] == "a"]
    series = pd.concat(single.assign(series=str(one)) for one in range(MEASURED.FEWEST))
    named = pd.DataFrame(cuts, columns=pd.Index(names))
    return MEASURED.Measured("m", named, errors, series, series.iloc[:0], {})


def judged(found: Any) -> dict[str, str]:
    cuts, ratios = MEASURED.every_cut(found, 5), COMPARED.compared(found)
    every = CLAIMS.verdicts(cuts, ratios, 5)
    assert {one.level for one in every} == {"", "all configurations", "a"}
    return {one.claim: one.word for one in every if not one.model}


def test_planted_errors_give_the_verdicts() -> None:
    low, high = ("stable-rank", -1), ("stable-rank-desc", -1)
    good = {low: 1.1, high: 2.0, ("random", 0): 1.5, ("random", 1): 1.2}
    found = measured(good, [1.5, 1.0, 1.01, 1.02, 1.4])
    rows = COMPARED.compared(found).query("level == 'all configurations'")
    ratios = rows.set_index(["metric", "one", "other", "share"])["estimate"]
    assert ratios["MASE", "stable-rank", "stable-rank-desc", 0.0] == pytest.approx(1.1 / 2.0)
    assert ratios["CRPS", "stable-rank", "random", 0.5] == pytest.approx(1.1 / np.sqrt(1.5 * 1.2))
    assert ratios["MASE", "stable-rank", "random-1", 0.0] == pytest.approx(1.1 / 1.2)
    middle = np.cbrt(1.01 * 1.02) / np.sqrt(1.5 * 1.4)
    assert ratios["MASE", "middle layers", "other layers", 0.0] == pytest.approx(middle)
    assert judged(found) == {"middle layers": "holds", "some layer": "holds", "order": "holds"}

    bad = good | {low: 2.5}
    words = judged(measured(bad, [1.5, 1.3, 1.3, 1.0, 1.4]))
    assert words["middle layers"] == "does not hold"
    assert words["some layer"] == "holds"
    assert words["order"] == "does not hold"
    assert judged(measured(bad, [1.5] * 5))["some layer"] == "does not hold"
