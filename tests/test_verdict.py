"""The statistics agree with brute force and with a truth that is known; the words with the rows."""

import math

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import norm, t

from tsfm_probe.bootstrap import Sums, adjusted, log_ratios, resampled
from tsfm_probe.errors import DataError, UsageError
from tsfm_probe.table import COLUMNS, Table
from tsfm_probe.verdict import ANSWER, answer, summary

DRAWS = 2_000


def table(logs: np.ndarray, kinds: list[str] | None = None, metric: str = "MASE") -> Table:
    """A table whose log ratios are `logs`: [trial, series, window], on uneven bases."""
    trials, series, windows = logs.shape
    base = np.random.default_rng(1).lognormal(size=(1, series, windows)) + np.zeros(logs.shape)
    place = np.indices(logs.shape).reshape(3, -1)
    names = np.array([f"decoder.{number}" for number in range(trials)], dtype=object)
    series_names = np.array([f"s{number:04d}" for number in range(series)], dtype=object)
    frame = pd.DataFrame(
        {
            "model": "tiny",
            "kind": np.array(kinds or ["layer"] * trials, dtype=object)[place[0]],
            "trial": names[place[0]],
            "series": series_names[place[1]],
            "window": place[2],
            "metric": metric,
            "value": (base * np.exp(logs)).ravel(),
            "base": base.ravel(),
        }
    )
    return Table(frame[list(COLUMNS)], {})


def simulated(truth: np.ndarray, series: int, seed: int, windows: int = 3) -> np.ndarray:
    """Log ratios around true ones, alike within a series: [trial, series, window]."""
    numbers = np.random.default_rng(seed)
    of_series = numbers.normal(0, 0.04, (len(truth), series, 1))
    of_window = numbers.normal(0, 0.03, (len(truth), series, windows))
    return np.log(truth)[:, None, None] + of_series + of_window


def brute_force(logs: np.ndarray, seed: int, draws: int) -> np.ndarray:
    """The draws of one trial, by going through the drawn series one by one: [draw]."""
    series = len(logs)
    numbers = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        windows = [logs[one] for one in numbers.integers(0, series, series)]
        together = np.concatenate([one[~np.isnan(one)] for one in windows])
        found.append(together.mean() if len(together) else math.nan)
    return np.array(found)


def test_intervals_and_p_values_equal_brute_force():
    logs = simulated(np.array([1.0, 1.01, 1.05, 0.95]), series=12, seed=3)
    logs[1, 2, 0] = logs[1, 5] = np.nan
    found = answer(table(logs), threshold_pp=2.0, seed=7, draws=500)
    for trial, row in enumerate(found.itertuples()):
        drawn = brute_force(logs[trial], 7, 500)
        centre, n = np.nanmean(logs[trial]), (~np.isnan(logs[trial])).any(axis=1).sum()
        wider = math.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1) / norm.ppf(0.975)
        drawn = centre + wider * (drawn - centre)
        low, high = np.exp(np.quantile(drawn, [0.025, 0.975]))
        assert row.ratio == pytest.approx(np.exp(np.nanmean(logs[trial])), rel=1e-12)
        assert (row.low, row.high) == pytest.approx((low, high), rel=1e-12)
        assert row.p_redundant == (1 + (drawn >= math.log(1.02)).sum()) / 501
        assert row.p_harmful == (1 + (drawn <= math.log(1.02)).sum()) / 501
        used = (~np.isnan(logs[trial])).sum()
        assert (row.windows, row.excluded) == (used, logs[trial].size - used)
    assert list(found["series"]) == [12, 11, 12, 12]


def test_blocks_of_draws_do_not_change_a_draw(monkeypatch):
    sums = Sums(np.random.default_rng(0).normal(size=(3, 7)), np.full((3, 7), 2))
    whole = resampled(sums, 0, 101)
    monkeypatch.setattr("tsfm_probe.bootstrap.CELLS", 30)
    np.testing.assert_allclose(resampled(sums, 0, 101), whole, rtol=1e-12)


def test_series_are_drawn_and_not_windows():
    of_series = np.random.default_rng(0).normal(0, 0.1, (1, 30, 1))
    once = answer(table(of_series), draws=DRAWS).iloc[0]
    often = answer(table(np.repeat(of_series, 20, axis=2)), draws=DRAWS).iloc[0]
    assert often["high"] == pytest.approx(once["high"], rel=1e-9)
    assert often["low"] == pytest.approx(once["low"], rel=1e-9)


def test_intervals_hold_the_truth_about_95_times_in_100():
    truth = np.repeat([1.0, 1.05], 500)
    found = answer(table(simulated(truth, series=50, seed=0)), draws=DRAWS)
    held = (found["low"] <= truth) & (truth <= found["high"])
    assert 0.92 <= held.mean() <= 0.97


@pytest.mark.parametrize("series", [5, 10])
def test_intervals_from_few_series_are_not_too_narrow(series):
    truth = np.repeat(1.0, 600)
    found = answer(table(simulated(truth, series=series, seed=1)), draws=DRAWS)
    held = (found["low"] <= truth) & (truth <= found["high"])
    assert 0.91 <= held.mean() <= 0.98


def test_known_truth_is_recognised():
    truth = np.array([1.0] * 20 + [1.05] * 20 + [1.01] * 20)
    found = answer(table(simulated(truth, series=200, seed=0)), draws=DRAWS)
    assert (found["verdict"][:20] == "redundant").mean() >= 0.6
    assert (found["verdict"][20:40] == "harmful").all()
    assert (found["verdict"][40:] == "uncertain").mean() >= 0.9
    assert not (found["verdict"][:20] == "harmful").any()


def test_false_discoveries_are_controlled():
    """40 trials sit on the threshold itself, 10 are truly redundant: the hardest null there is.

    The share of false discoveries is to be 5 % at most; without the adjustment it is about 9 %.
    200 repetitions gave 4.7 % with a standard error of 0.4 %.
    """
    truth = np.repeat([1.01, 0.97], [40, 10])
    shares = []
    for seed in range(1000, 1060):
        logs = simulated(truth, series=100, seed=seed)
        redundant = answer(table(logs), draws=DRAWS)["verdict"] == "redundant"
        assert redundant[40:].all()
        shares.append(redundant[:40].sum() / redundant.sum())
    assert np.mean(shares) <= 0.06


def test_adjusted_is_the_step_up_rule_of_benjamini_and_hochberg():
    numbers = np.random.default_rng(0)
    for size in (1, 2, 7, 50):
        p = np.round(numbers.uniform(size=size) ** 3, 3)
        q = adjusted(np.insert(p, 0, np.nan))
        assert np.isnan(q[0])
        for rate in (0.01, 0.05, 0.2, 0.5):
            ranked = np.sort(p)
            below = np.flatnonzero(ranked <= rate * np.arange(1, size + 1) / size)
            limit = ranked[below[-1]] if len(below) else -1.0
            assert ((q[1:] <= rate) == (p <= limit)).all()
    assert np.isnan(adjusted(np.full(3, np.nan))).all()


def test_the_order_of_rows_and_the_type_of_columns_change_no_number():
    logs = simulated(np.array([1.0, 1.05, 1.01]), series=20, seed=0)
    rows = [table(logs).frame, table(logs * 2, metric="WQL").frame]
    rows.append(table(np.zeros_like(logs) - 0.1, metric="spearman").frame)
    frame = pd.concat(rows, ignore_index=True)
    keys = ["kind", "trial", "metric"]
    first = answer(Table(frame, {}), draws=500).sort_values(keys, ignore_index=True)
    for seed in range(3):
        mixed = frame.sample(frac=1, random_state=seed)
        texts = {name: mixed[name].astype("category") for name in (*keys, "series", "model")}
        for one in (mixed, mixed.assign(**texts)):
            found = answer(Table(one, {}), draws=500)
            appear = one[keys].drop_duplicates().astype(str).reset_index(drop=True)
            assert_frame_equal(found[keys], appear)
            assert_frame_equal(found.sort_values(keys, ignore_index=True), first, check_exact=True)


def test_log_ratios_of_zeros_and_of_what_is_no_number():
    inf, nan = math.inf, math.nan
    value = np.array([2.0, 0.0, 0.0, 1.0, nan, 1.0, inf, 1.0, -1.0, 1e308])
    base = np.array([1.0, 0.0, 1.0, 0.0, 1.0, nan, 1.0, inf, 1.0, 1e-308])
    wanted = [math.log(2), 0.0, nan, nan, nan, nan, nan, nan, nan, math.log(1e308) * 2]
    np.testing.assert_allclose(log_ratios(value, base), wanted)


def test_nothing_changed_is_redundant_with_certainty():
    row = answer(table(np.zeros((1, 12, 2)))).iloc[0]
    assert (row["ratio"], row["low"], row["high"]) == (1, 1, 1)
    assert row["verdict"] == "redundant"


def test_a_trial_that_loses_its_forecast_is_never_redundant():
    frame = table(np.zeros((2, 12, 2))).frame
    frame.loc[0, "value"] = np.nan
    frame.loc[25, ["value", "base"]] = np.nan
    found = answer(Table(frame, {}))
    assert list(found["verdict"]) == ["uncertain", "redundant"]
    assert list(found["excluded"]) == [1, 1]


@pytest.mark.parametrize("lost", [True, False])
def test_a_single_series_has_no_interval(lost):
    logs = simulated(np.array([1.5]), series=2 if lost else 1, seed=0)
    logs[:, 1:] = np.nan
    found = answer(table(logs), draws=500)
    assert found["ratio"][0] == pytest.approx(np.exp(logs[0, 0].mean()))
    assert found[["low", "high", "p_redundant", "p_harmful", "q_harmful"]].isna().all(axis=None)
    assert (found["verdict"][0], found["series"][0]) == ("uncertain", 1)


def test_all_windows_lost_gives_no_number_and_no_warning():
    row = answer(table(np.full((1, 3, 2), np.nan)), draws=500).iloc[0]
    assert np.isnan(row[["ratio", "low", "mean"]].astype(float)).all()
    assert (row["verdict"], row["windows"], row["excluded"]) == ("uncertain", 0, 6)


def test_controls_are_judged_by_their_own_p_and_do_not_weigh_on_the_others():
    logs = simulated(np.array([1.0, 1.05] + [1.3] * 60), series=40, seed=0)
    controls = ["noise"] * 30 + ["random"] * 30
    found = answer(table(logs, ["layer", "layer", *controls]), draws=DRAWS)
    alone = answer(table(logs[:2]), draws=DRAWS)
    assert_frame_equal(found[:2], alone)
    control = found[2:]
    assert control[["q_redundant", "q_harmful"]].isna().all(axis=None)
    assert control["p_redundant"].notna().all()
    assert (control["verdict"] == "harmful").all()


def test_a_verdict_needs_the_whole_interval_on_its_side():
    """Controls are judged one by one, so p between 2.5 and 5 % occurs with an interval across."""
    logs = simulated(np.full(600, 1.01), series=30, seed=0)
    found = answer(table(logs, ["random"] * 600), draws=DRAWS)
    for name, across in (("redundant", found["high"] >= 1.01), ("harmful", found["low"] <= 1.01)):
        close = (found[f"p_{name}"] <= 0.05) & across
        assert close.sum() >= 5
        assert (found["verdict"][close] == "uncertain").all()
        assert (found["verdict"][(found[f"p_{name}"] <= 0.05) & ~across] == name).all()


def test_many_trials_need_a_smaller_p_than_one():
    logs = np.concatenate([simulated(np.array([1.0]), 40, 5), simulated(np.full(99, 1.2), 40, 1)])
    alone, among = answer(table(logs[:1]), draws=DRAWS), answer(table(logs), draws=DRAWS)
    assert alone["q_redundant"][0] == alone["p_redundant"][0]
    assert among["q_redundant"][0] == pytest.approx(min(1, 100 * alone["p_redundant"][0]))


def test_likeness_to_the_untouched_forecast_gets_a_mean_and_no_verdict():
    frame = table(np.zeros((1, 4, 2)), metric="spearman").frame
    frame["value"], frame["base"] = [np.nan, -1.0, 0.5, 0.5, 1, 1, 1, 1], 1.0
    row = answer(Table(frame, {}), draws=500).iloc[0]
    assert row["mean"] == pytest.approx(4 / 7)
    assert np.isnan(row[["ratio", "low", "high", "p_harmful", "q_redundant"]].astype(float)).all()
    assert (row["verdict"], row["series"], row["windows"], row["excluded"]) == ("", 4, 7, 1)


def test_wrong_options_and_wrong_rows_are_refused():
    good = table(np.zeros((2, 3, 2)))
    for options in ({"threshold_pp": -1}, {"threshold_pp": math.nan}, {"draws": 5}, {"seed": -1}):
        with pytest.raises(UsageError):
            answer(good, **options)
    twice = pd.concat([good.frame, good.frame[7:8]])
    with pytest.raises(DataError, match=r"MASE layer decoder\.1 s0000 1"):
        answer(Table(twice, {}))
    two_models = pd.concat([good.frame, good.frame.assign(model="other")])
    for frame in (two_models, good.frame[:0]):
        with pytest.raises(DataError, match="one model"):
            answer(Table(frame, {}))


def spoken(logs: np.ndarray, kinds: list[str], threshold_pp: float = 1.0) -> list[str]:
    frames = [table(logs, kinds).frame, table(logs / 10, kinds, "WQL").frame]
    both = Table(pd.concat(frames, ignore_index=True), {})
    return summary(both, answer(both, threshold_pp=threshold_pp, draws=DRAWS), threshold_pp)


def test_summary_says_counts_sizes_controls_and_cautions():
    logs = np.log(np.array([1.0, 1.2, 0.9, 1.02, 1.5])[:, None, None]) + np.zeros((5, 12, 2))
    assert spoken(logs, ["head", "head", "head", "layer", "random"], 2.5) == [
        "Cut one at a time: 3 heads and 1 layer, on 24 windows of 12 series.",
        "3 heads at 2.5 %: 2 redundant, 1 harmful to cut, 0 uncertain by MASE; "
        "3 redundant, 0 harmful to cut, 0 uncertain by WQL.",
        "Most harmful head to cut, by change of MASE: decoder.1 +20.0 % (+20.0 % to +20.0 %).",
        "MASE is lower without 1 head, most without: decoder.2 -10.0 % (-10.0 % to -10.0 %). Each "
        "interval stands alone: of 3 heads without any effect, about 0.1 would look like this by "
        "chance.",
        "1 layer at 2.5 %: 1 redundant, 0 harmful to cut, 0 uncertain by MASE; "
        "1 redundant, 0 harmful to cut, 0 uncertain by WQL.",
        "Control, heads drawn at random: MASE +50.0 % (1 trial).",
        "Cutting several at once is not the sum of these: what is left can compensate.",
    ]


def test_summary_names_the_three_largest_of_each_side_in_order():
    ratios = np.array([1.1, 1.4, 1.2, 1.3, 0.9, 0.6, 0.7, 0.8])
    lines = spoken(np.log(ratios)[:, None, None] + np.zeros((8, 12, 1)), ["part"] * 8)
    for line, trials in ((lines[2], "1 3 2"), (lines[3], "5 6 7")):
        shown = [word for word in line.split() if word.startswith("decoder.")]
        assert shown == [f"decoder.{number}" for number in trials.split()]
    assert "lower without 4 parts" in lines[3]


def test_summary_warns_of_few_series_and_of_what_is_missing():
    few = "\n".join(spoken(np.zeros((2, 3, 1)), ["head", "layer"]))
    assert "only 3 series the intervals are wide and rough" in few
    assert "No control was run" in few
    single = "\n".join(spoken(np.zeros((1, 1, 4)), ["head"]))
    assert "With a single series there is no interval" in single
    assert "1 head, on 4 windows of 1 series" in single
    lost = np.zeros((1, 12, 2))
    lost[0, 0, 0] = np.nan
    assert "Up to 1 window per trial had no ratio" in "\n".join(spoken(lost, ["part"]))
    assert "nothing, on 2 windows" in spoken(np.zeros((1, 2, 1)), ["noise"])[0]


def test_summary_of_an_absent_metric_is_refused():
    one = table(np.zeros((1, 12, 1)))
    found = answer(one, draws=500)
    assert list(found.columns) == ANSWER
    with pytest.raises(UsageError, match="MASE"):
        summary(one, found, 1.0, "WQL")
