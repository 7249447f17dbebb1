"""Cheap guesses are what they are called, and their agreement with the drop is told truly."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.families import NETWORKS
from tests.planted import with_dead, with_only
from tests.said import Said
from tsfm_probe.address import Address
from tsfm_probe.commands.predictors import compared
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.data.synthetic import generated
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.probes.predictors import COLUMNS, FEWEST, agreement, interval, predictors, spearman
from tsfm_probe.surgery.record import recorded

Tiny = Callable[[str], Model]
Command = Callable[..., Said]
SERIES = generated(1, 90, seed=1)[:4]
ANY = ("gradient", "attribution patching", "write norm")
OF_LAYERS = (*ANY, "block influence", "angular distance", "CKA distance")


def job(model: Model, windows: int = 2) -> Job:
    return Job.of(model, SERIES, Setting(horizon=5, windows=windows, samples=4))


def values(frame: pd.DataFrame, level: str, predictor: str) -> dict[str, float]:
    own = frame[(frame["level"] == level) & (frame["predictor"] == predictor)]
    return dict(zip(own["address"], own["value"], strict=True))


@pytest.mark.parametrize("family", NETWORKS)
def test_everything_is_guessed_and_the_batch_does_not_matter(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    found, small = predictors(job(model)), predictors(job(model), batch_size=1)
    assert tuple(found.columns) == COLUMNS
    assert not found.duplicated(["address", "predictor"]).any()
    places = {
        "head": list(map(str, model.anatomy.heads)),
        "part": list(map(str, model.anatomy.parts)),
        "layer": list(model.anatomy.layers),
    }
    for level, names in places.items():
        for predictor in OF_LAYERS if level == "layer" else ANY:
            assert sorted(values(found, level, predictor)) == sorted(names)
    assert list(values(found, "head", "stable-rank (plain)")) == places["head"]
    rotary = any(model.anatomy[at].rotary is not None for at in model.anatomy.parts)
    assert found["predictor"].str.contains("(rotary at lag 4)", regex=False).any() == rotary
    assert found.loc[found["predictor"] != "CKA distance", "value"].notna().all()
    np.testing.assert_allclose(small["value"], found["value"], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("family", NETWORKS)
def test_the_only_live_head_comes_first_by_every_guess_from_data(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    reading = [at for at in model.anatomy.heads if at.part not in ("group", "variate")]
    only = reading[-2]  # it reads the context, which differs from window to window
    others = [at for at in model.anatomy.heads if at != only]
    found = predictors(job(with_dead(model, others)))
    for predictor in ANY:
        guesses = values(found, "head", predictor)
        assert guesses.pop(str(only)) > 0
        assert set(guesses.values()) == {0.0}


def test_the_only_layer_that_writes_comes_first_by_every_guess(tiny: Tiny) -> None:
    model = with_only(tiny("chronos-bolt"), Address("encoder", 1, "self", 2))
    found = predictors(job(model))
    for predictor in OF_LAYERS:
        guesses = values(found, "layer", predictor)
        assert guesses["encoder.1"] > 0.001
        assert guesses["encoder.0"] == pytest.approx(0, abs=1e-6)
    assert values(found, "part", "write norm")["encoder.0.mlp"] == 0


def test_write_norms_are_means_over_tokens_of_what_is_added(tiny: Tiny) -> None:
    made = job(tiny("toto-2"))
    anatomy, at = made.model.anatomy, Address("decoder", 0, "time")
    with torch.no_grad(), recorded(anatomy, [*anatomy.heads, at], ["decoder"]) as record:
        made.model.predict([one.seen for one in made.windows])
    before, after = (record.streams["decoder", layer][0] for layer in (0, 1))
    mixed = torch.cat([record.parts[one][0] for one in anatomy.heads if one.whole == at], -1)
    share = anatomy[at].shares(mixed)[2].detach()
    written = {"decoder.0.time.2": share, str(at): record.parts[at][0], "decoder.0": after - before}
    found = predictors(made)
    for (address, write), level in zip(written.items(), ("head", "part", "layer"), strict=True):
        expected = float((write.norm(dim=-1) / before.norm(dim=-1)).mean())
        assert values(found, level, "write norm")[address] == pytest.approx(expected, rel=1e-4)


def made_answer(drops: np.ndarray, level: str = "head") -> pd.DataFrame:
    names = [f"decoder.0.self.{head}" for head in range(len(drops))]
    rows = [(level, name, "MASE", ratio) for name, ratio in zip(names, np.exp(drops), strict=True)]
    rows += [(level, name, "WQL", 1.0) for name in names] + [("random", "random-1", "MASE", 9.0)]
    return pd.DataFrame(rows, columns=pd.Index(["kind", "trial", "metric", "ratio"]))


def guesses(level: str = "head", **named: np.ndarray) -> pd.DataFrame:
    rows = [
        (f"decoder.0.self.{head}", level, name, value)
        for name, found in named.items()
        for head, value in enumerate(found)
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def test_agreement_is_one_for_a_monotone_guess_and_none_for_a_constant_one() -> None:
    drops = np.random.default_rng(0).normal(size=20)
    rising = np.exp(3 * drops)
    rising[3] = np.nan
    given = guesses(falling=-drops, constant=np.ones(20), rising=rising)
    found = agreement(given, made_answer(drops)).set_index("predictor")
    assert list(found.index) == ["rising", "falling", "constant"]
    assert found.loc["rising"].tolist() == ["head", pytest.approx(1), *[pytest.approx(1)] * 2, 19]
    assert found.loc["falling"].tolist() == ["head", *[pytest.approx(-1)] * 3, 20]
    assert found.loc["constant", ["spearman", "low", "high"]].isna().all()
    assert found.loc["constant", "count"] == 20
    assert agreement(given.assign(level="part"), made_answer(drops)).empty


def test_agreement_counts_what_has_both_numbers_alone() -> None:
    drops = np.arange(10.0)
    measured = made_answer(drops[:7])
    measured.loc[0, "ratio"] = np.inf
    found = agreement(guesses(one=drops[::-1]), measured)
    assert found["count"].tolist() == [6]
    assert found["spearman"].tolist() == [pytest.approx(-1)]
    few = agreement(guesses(one=drops), made_answer(drops[: FEWEST - 1]))
    assert few["spearman"].tolist() == [pytest.approx(1)]
    assert few[["low", "high"]].isna().to_numpy().all()


@pytest.mark.parametrize(("count", "pearson", "least"), [(12, 0.5, 0.9), (48, 0.8, 0.9)])
def test_the_interval_holds_the_truth_as_often_as_it_says(
    count: int, pearson: float, least: float
) -> None:
    truth = 6 / math.pi * math.asin(pearson / 2)  # of a bivariate normal distribution
    rng = np.random.default_rng(0)
    held = []
    for seed in range(100):
        one, noise = rng.normal(size=(2, count))
        low, high = interval(one, pearson * one + math.sqrt(1 - pearson**2) * noise, seed)
        held.append(low <= truth <= high)
    assert least <= np.mean(held) <= 0.995


def test_spearman_is_that_of_pandas_also_with_ties() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, 30).astype(float), rng.normal(size=30)
    expected = pd.Series(one).corr(pd.Series(other), method="spearman")
    assert spearman(one, other) == pytest.approx(expected)


@pytest.fixture
def ablate(
    command: Command, checkpoints: Callable[[str], Path], sales: Path, tmp_path: Path
) -> Command:
    """`tsfm-probe ablate` of the heads of one part of a tiny model into the folder "run"."""
    words = ["ablate", checkpoints("chronos-bolt"), "--data", sales, "--only", "decoder.0.cross"]
    words += ["--horizon", 4, "--windows", 2, "--out", tmp_path / "run"]
    return lambda *more: command(*words, *more)


def test_a_run_tells_its_guesses_and_makes_them_once(ablate: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    said = ablate("--predictors")
    assert said.code == 0
    assert "guessing" in said.err
    assert "Which cheap guess may be trusted" in said.out
    kept, agreed = (folder / "predictors.csv"), pd.read_csv(folder / "agreement.csv")
    assert set(agreed["level"]) == {"head"}
    assert {"gradient", "write norm", "stable-rank (plain)"} <= set(agreed["predictor"])
    assert agreed.loc[agreed["predictor"] == "gradient", "count"].tolist() == [4]
    when, page = kept.stat().st_mtime_ns, (folder / "report.html").read_text()
    for form in ("png", "svg"):
        assert f'href="figures/predictors.{form}"' in page
        assert (folder / "figures" / f"predictors.{form}").stat().st_size > 1000
    assert not [
        name
        for name in json.loads((folder / "run.json").read_text())["identity"]
        if "predictors" in name
    ]  # a run without them goes on with them

    again = ablate("--predictors", "--json")
    assert "guessing" not in again.err
    assert kept.stat().st_mtime_ns == when
    told = json.loads(again.out)["agreement"]
    assert [one["predictor"] for one in told] == agreed["predictor"].tolist()


def test_kept_guesses_are_the_very_numbers_and_damaged_ones_are_made_again(
    tiny: Tiny, tmp_path: Path
) -> None:
    made, path = job(tiny("chronos-bolt")), tmp_path / "predictors.csv"
    drops = made_answer(np.random.default_rng(0).normal(size=4))
    drops["trial"] = drops["trial"].str.replace("decoder", "encoder")

    def compare() -> pd.DataFrame:
        return compared(made, drops, tmp_path, 0, Terminal(quiet=True))

    first, text = compare(), path.read_bytes()
    pd.testing.assert_frame_equal(compare(), first, check_exact=True)
    for damaged in (text[:-10], b"", b"address,level\n1,2\n", text.replace(b",0.", b",zero", 1)):
        path.write_bytes(damaged)
        pd.testing.assert_frame_equal(compare(), first, check_exact=True)
        assert path.read_bytes() == text


def test_guesses_are_for_single_ablations(ablate: Command, tmp_path: Path) -> None:
    said = ablate("--predictors", "--order", "random")
    assert said.code == 2
    assert "--predictors" in said.err
    assert not (tmp_path / "run").exists()
