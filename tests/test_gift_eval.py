"""GIFT-Eval's windows and numbers are those of its own class and of GluonTS."""

import importlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gluonts.ev import metrics as ev
from gluonts.model import evaluate_model
from gluonts.model.forecast import QuantileForecast
from gluonts.model.predictor import Predictor as GluonPredictor
from gluonts.model.seasonal_naive import SeasonalNaivePredictor

from tests import gift_eval_data
from tests.gift_eval_data import official as as_published
from tsfm_probe.errors import DataError, ProbeError, UsageError
from tsfm_probe.evaluate.gift_eval import VARIABLE, Evaluation, chosen, folder_of
from tsfm_probe.evaluate.gift_eval_sets import Configuration, official
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.evaluate.leaderboard import summary
from tsfm_probe.evaluate.seasonal_naive import SeasonalNaive
from tsfm_probe.evaluate.sums import METRICS, SUMS, metrics, sums
from tsfm_probe.evaluate.trials import NAIVE, UNTOUCHED, Trial
from tsfm_probe.models import load

OF_KEY = {one.key: one for one in official()}
THEIRS: Sequence[Any] = (
    ev.MSE(forecast_type="mean"),
    ev.MSE(forecast_type=0.5),
    ev.MAE(),
    ev.MASE(),
    ev.MAPE(),
    ev.SMAPE(),
    ev.MSIS(),
    ev.RMSE(),
    ev.NRMSE(),
    ev.ND(),
    ev.MeanWeightedSumQuantileLoss(quantile_levels=[one / 10 for one in range(1, 10)]),
)
# key: the folder's name, horizon and windows, by GIFT-Eval's rule
TINY = {
    "us_births/M/short": ("us_births/M", 12, 2),
    "bizitobs_l2c/H/short": ("bizitobs_l2c/H", 48, 2),
    "m4_weekly/W/short": ("m4_weekly", 13, 1),
}


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gift_eval_data.write(tmp_path_factory.mktemp("gift"))


def ours(test: Evaluation, predictor: Any) -> dict[str, float]:
    """The metrics of a test, put together from blocks."""
    total = np.zeros(len(SUMS))
    for block in range(test.blocks):
        inputs, labels = zip(*test.block(block), strict=True)
        forecasts = list(predictor.predict(inputs))
        total += sums(inputs, labels, forecasts, test.seasonality).to_numpy().sum(axis=0)
    return metrics(dict(zip(SUMS, total, strict=True)))


def theirs(data: Any, predictor: GluonPredictor, seasonality: int) -> dict[str, float]:
    """The same by GluonTS, called as GIFT-Eval calls it."""
    options: dict[str, Any] = {"mask_invalid_label": True, "allow_nan_forecast": False}
    found = evaluate_model(
        predictor, test_data=data, metrics=THEIRS, axis=None, seasonality=seasonality, **options
    )
    return {name: float(found[name].iloc[0]) for name in found}


def assert_same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert tuple(found) == METRICS
    for name in METRICS:
        assert found[name] == pytest.approx(expected[name], rel=1e-6), name


def test_the_leaderboard_has_97_configurations_under_its_own_names() -> None:
    keys = [one.key for one in official()]
    assert len(set(keys)) == 97
    assert [
        sum(one.term == term for one in official()) for term in ("short", "medium", "long")
    ] == [
        55,
        21,
        21,
    ]
    folders = {one.folder: one.key for one in official() if one.term == "short"}
    assert folders["saugeenday/W"] == "saugeen/W/short"
    assert folders["LOOP_SEATTLE/5T"] == "loop_seattle/5T/short"
    assert folders["kdd_cup_2018_with_missing/H"] == "kdd_cup_2018/H/short"
    assert folders["temperature_rain_with_missing"] == "temperature_rain/D/short"
    assert folders["bizitobs_service"] == "bizitobs_service/10S/short"


@pytest.mark.parametrize("key", TINY)
def test_windows_are_those_of_gift_evals_own_class(key: str, tiny_folder: Path) -> None:
    name, horizon, windows = TINY[key]
    test = Evaluation.open(tiny_folder, OF_KEY[key])
    assert (test.horizon, test.windows) == (horizon, windows)
    expected = list(as_published(tiny_folder, name, horizon))
    found = [pair for block in range(test.blocks) for pair in test.block(block)]
    assert len(found) == len(expected) == test.series * windows
    for mine, other in zip(found, expected, strict=True):
        for one, same in zip(mine, other, strict=True):
            assert (one["item_id"], one["start"]) == (same["item_id"], same["start"])
            np.testing.assert_array_equal(one["target"], same["target"])
            assert one["target"].dtype == np.float32
    assert test.lengths().max() == max(len(one["target"]) for one, _ in found)


@pytest.mark.parametrize("key", TINY)
def test_numbers_are_those_of_evaluate_model(key: str, tiny_folder: Path) -> None:
    name, horizon, _ = TINY[key]
    test = Evaluation.open(tiny_folder, OF_KEY[key])
    data = as_published(tiny_folder, name, horizon)
    for predictor in (
        SeasonalNaive(test.horizon, test.seasonality),
        Predictor(load("nano-chronos-bolt", "cpu"), test.horizon),
    ):
        assert_same(ours(test, predictor), theirs(data, predictor, test.seasonality))


@pytest.mark.parametrize("key", TINY)
def test_the_point_forecast_is_that_of_gluonts_seasonal_naive(key: str, tiny_folder: Path) -> None:
    test = Evaluation.open(tiny_folder, OF_KEY[key])
    known = SeasonalNaivePredictor(test.horizon, test.seasonality)
    plain = SeasonalNaive(test.horizon, test.seasonality, intervals=False)
    expected = theirs(test.data(), known, test.seasonality)
    assert_same(ours(test, plain), expected)
    wide = ours(test, SeasonalNaive(test.horizon, test.seasonality))
    of_points = [name for name in METRICS if "quantile" not in name and name != "MSIS"]
    for name in of_points:
        assert wide[name] == pytest.approx(expected[name], rel=1e-6)
    few = {"target": np.array([1.0, np.nan, 6.0], np.float32), "start": pd.Period("2024", "M")}
    np.testing.assert_allclose(plain.predict_item(few).mean, known.predict_item(few).mean)


REAL = {
    "m4_hourly/H/short": ("m4_hourly", 48),
    "us_births/D/short": ("us_births/D", 30),
    "ett1/H/short": ("ett1/H", 48),
    "ett1/H/medium": ("ett1/H", 480),
}


@pytest.mark.parametrize("key", REAL)
def test_real_data_give_the_numbers_of_evaluate_model(key: str, real_data: Path) -> None:
    name, horizon = REAL[key]
    folder = real_data / "gift_eval"
    test = Evaluation.open(folder, OF_KEY[key])
    data = as_published(folder, name, horizon)
    known = SeasonalNaivePredictor(horizon, test.seasonality)
    plain = SeasonalNaive(horizon, test.seasonality, intervals=False)
    assert_same(ours(test, plain), theirs(data, known, test.seasonality))
    if key in ("us_births/D/short", "ett1/H/short"):
        model = Predictor(load("nano-chronos-bolt", "cpu"), horizon)
        assert_same(ours(test, model), theirs(data, model, test.seasonality))


# MASE, MSIS and weighted quantile loss that GIFT-Eval publishes for its seasonal naive forecast
PUBLISHED = {
    "m4_hourly/H/short": (1.19321, 9.22923, 0.0375726),
    "us_births/D/short": (1.86484, 22.73058, 0.11953),
    "saugeen/D/short": (3.41305, 58.71113, 0.58501),
    "car_parts/M/short": (1.20146, 20.36807, 1.72174),
}


@pytest.mark.parametrize("key", PUBLISHED)
def test_published_results_of_the_seasonal_naive_forecast_are_reproduced(
    key: str, real_data: Path
) -> None:
    test = Evaluation.open(real_data / "gift_eval", OF_KEY[key])
    found = ours(test, SeasonalNaive(test.horizon, test.seasonality))
    names = ("MASE[0.5]", "MSIS", "mean_weighted_sum_quantile_loss")
    assert [found[name] for name in names] == pytest.approx(PUBLISHED[key], rel=1e-4)


def test_joint_series_have_the_same_windows_and_a_blocks_cut_changes_nothing(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = OF_KEY["bizitobs_l2c/H/short"]
    single, joint = Evaluation.open(tiny_folder, of), Evaluation.open(tiny_folder, of, joint=True)
    assert (single.series, joint.series, joint.windows) == (2, 1, 2)
    naive = SeasonalNaive(single.horizon, single.seasonality)
    whole = ours(single, naive)
    assert_same(ours(joint, naive), whole)
    monkeypatch.setattr("tsfm_probe.evaluate.gift_eval.MOST", 1)
    assert (single.blocks, joint.blocks) == (2, 1)
    assert_same(ours(single, naive), whole)


def test_a_forecast_that_is_not_finite_has_no_score_and_is_not_left_out() -> None:
    start = pd.Period("2024-01", "M")
    inputs = [{"target": np.arange(20.0), "start": start}] * 2
    labels = [{"target": np.full(3, 2.0)}] * 2
    keys = ["mean", *(str(one / 10) for one in range(1, 10))]
    sound = QuantileForecast(np.ones((10, 3)), start, keys)
    broken = np.ones((10, 3))
    broken[4, 1] = np.inf
    found = sums(inputs, labels, [sound, QuantileForecast(broken, start, keys)], 12)
    assert found.loc[0].notna().all()
    assert found.loc[1].isna().all()
    assert np.isnan(metrics(found.sum(skipna=False).to_dict())["MASE[0.5]"])


def test_scores_are_geometric_means_over_configurations() -> None:
    rows = [
        (trial, configuration, metric, value, base, naive)
        for metric in ("MASE[0.5]", "mean_weighted_sum_quantile_loss")
        for trial, configuration, value, base, naive in (
            ("untouched", "a", 2.0, 2.0, 4.0),
            ("untouched", "b", 2.0, 2.0, 1.0),
            ("untouched", "c", 2.0, 2.0, np.nan),
            ("bad", "a", np.nan, 2.0, 4.0),
            ("bad", "b", 1.0, 2.0, 1.0),
            ("bad", "c", 4.0, 2.0, np.nan),
        )
    ]
    names = ["trial", "configuration", "metric", "value", "base", "naive"]
    table = pd.DataFrame(rows, columns=pd.Index(names))
    scores = summary(table, (UNTOUCHED, Trial("bad", ("x",)))).set_index("trial")
    assert scores.loc["untouched", "MASE"] == pytest.approx(1.0)  # (1/2 * 2) ** (1/2)
    assert scores.loc["untouched", "CRPS_untouched"] == 1.0
    assert (scores.loc["untouched", "configurations"], scores.loc["untouched", "of"]) == (2, 3)
    assert np.isnan(float(scores.loc["bad", "MASE"]))
    assert NAIVE.kind == "naive"


def test_configurations_are_chosen_by_name_pattern_and_term(tiny_folder: Path) -> None:
    def keys(patterns: Sequence[str], term: str = "all") -> list[str]:
        return [one.key for one in chosen(tiny_folder, patterns, term)]

    assert keys([], "short") == [key for key in OF_KEY if key in TINY]
    assert len(keys([])) == 5  # bizitobs_l2c/H has all three terms
    assert keys(["bizitobs_*"], "long") == ["bizitobs_l2c/H/long"]
    assert keys(["US_births/M/short"]) == ["us_births/M/short"]


@pytest.mark.parametrize(
    ("patterns", "term", "words"),
    [
        (["m4_weakly/W/short"], "all", "did you mean m4_weekly/W/short"),
        (["us_births/M/short"], "long", "GIFT-Eval has none of that name of term long"),
        (["ett1/H/short"], "all", "they are not there"),
        ([], "medum", "did you mean medium"),
    ],
)
def test_what_there_is_not_is_told(
    patterns: Sequence[str], term: str, words: str, tiny_folder: Path
) -> None:
    with pytest.raises(ProbeError, match=words):
        chosen(tiny_folder, patterns, term)


def test_no_data_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for given, words in ((None, "no folder was named"), (tmp_path / "no", "no such folder")):
        with pytest.raises(UsageError, match=f"{words}.*download.*--data DIR.*GIFT_EVAL"):
            folder_of(given)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert folder_of(None) == tmp_path
    with pytest.raises(DataError, match=r"none of them is there.*download"):
        chosen(tmp_path, [], "all")


def test_data_that_are_damaged_or_too_short_are_told(tmp_path: Path) -> None:
    folder = gift_eval_data.write(tmp_path)
    medium = Configuration("us_births/M", "M", "long", "Healthcare", 1)
    with pytest.raises(DataError, match="shortest series has 131 values; 1 windows of 180"):
        Evaluation.open(folder, medium)
    (file,) = (folder / "m4_weekly").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="m4_weekly/W/short was to be read"):
        Evaluation.open(folder, OF_KEY["m4_weekly/W/short"])


def test_without_the_package_datasets_it_says_what_to_install(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("tsfm_probe.evaluate.gift_eval.import_module", absent)
    with pytest.raises(UsageError, match=r"pip install 'tsfm-probe\[bench\]'"):
        Evaluation.open(tiny_folder, OF_KEY["m4_weekly/W/short"])
    assert importlib.import_module("datasets")


def test_the_spread_of_the_naive_forecast_grows_with_the_seasons_that_are_gone() -> None:
    rng = np.random.default_rng(0)
    history = {"target": rng.normal(size=400).astype(np.float32), "start": pd.Period("2024", "M")}
    made = SeasonalNaive(36, 12).predict_item(history)
    width = made.quantile("0.9") - made.quantile("0.1")
    assert width[0] == pytest.approx(2 * 1.2816 * np.sqrt(2), rel=0.1)  # of differences of noise
    years = width.reshape(3, 12)
    assert np.ptp(years, axis=1) == pytest.approx(0)
    assert [b / a for a, b in pairwise(years[:, 0])] == pytest.approx([2**0.5, 1.5**0.5])
