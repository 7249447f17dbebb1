"""A diagnosis finds what was planted: how much a network parrots or swings, and by which heads."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from tests.families import NETWORKS
from tests.planted_behaviour import BEHAVIOURS, MEAN, PAIR_PARROT, SEASONAL
from tsfm_probe.address import Address
from tsfm_probe.data.series import Series
from tsfm_probe.data.stimuli import Size
from tsfm_probe.data.synthetic import generated, periodic, walk
from tsfm_probe.data.windows import windows
from tsfm_probe.diagnosis.causal import COLUMNS, _beyond, causal, responsible
from tsfm_probe.diagnosis.indices import by_season, by_step, forecasts, indices
from tsfm_probe.diagnosis.inputs import BIAS, PARROTING, START, Inputs
from tsfm_probe.diagnosis.means import means
from tsfm_probe.diagnosis.order import Matches, copying_order
from tsfm_probe.errors import DataError, UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.plan import Trial

Tiny = Callable[[str], Model]
MOTIFS, WAVES = Size(72, 8), Size(72, 36)


def own(length: int = 48) -> Inputs:
    """Windows of two generated series, of which one has no period."""
    cut, _ = windows(generated(1, 90, seed=1)[:4], 12, context=length, count=2)
    return Inputs.own(cut)


@cache
def motifs() -> Inputs:
    return Inputs.built_in(MOTIFS, 16, ("motif",))


@cache
def noise() -> Inputs:
    return Inputs.built_in(WAVES, 8, ("autoregressive",))


def network(name: str) -> Model:
    return BEHAVIOURS[name](0).model


def numbers(frame: pd.DataFrame, who: str, measure: str) -> tuple[float, float, float]:
    row = frame[(frame["who"] == who) & (frame["measure"] == measure)].iloc[0]
    return row["value"], row["low"], row["high"]


def test_the_known_forecasters_have_the_numbers_of_their_definition() -> None:
    inputs = Inputs.built_in(MOTIFS, 6, ("motif", "walk"))
    made = {
        "parrot": np.stack([one.parrot for one in inputs.references]),
        "truth": np.stack([one.truth for one in inputs.references]),
        "above": np.stack([one.truth + one.unit for one in inputs.references]),
    }
    found = indices(inputs, made)
    assert found["set"].unique().tolist() == ["motif", "walk"]
    assert numbers(found, "parrot", PARROTING) == (1, 1, 1)
    assert numbers(found, "truth", "to truth") == (0, 0, 0)
    assert numbers(found, "truth", BIAS) == (0, 0, 0)
    assert numbers(found, "above", "to truth") == pytest.approx((1, 1, 1))
    assert (found["count"] == 6).all()
    steps = by_step(inputs, made)
    assert len(steps) == 3 * 2 * 8
    np.testing.assert_allclose(steps.loc[steps["who"] == "parrot", "value"], 1)


def test_a_broken_forecast_counts_nowhere() -> None:
    inputs = motifs()
    made = np.stack([one.parrot for one in inputs.references])
    made[3] = np.nan
    row = indices(inputs, {"parrot": made}).iloc[0]
    assert (row["value"], row["count"]) == (1, 15)


def test_series_of_the_user_take_the_place_of_the_contexts() -> None:
    rng = np.random.default_rng(0)
    values = {"day": periodic(rng, 200, 12, 0.01), "walk": walk(rng, 200), "short": walk(rng, 40)}
    series = [Series(name, one, START, "D") for name, one in values.items()]
    cut, _ = windows(series, 16, context=120, count=2)
    inputs = Inputs.own(cut)
    assert [one.series for one in inputs.windows] == ["day", "day", "walk", "walk"]
    assert inputs.series.tolist() == [0, 0, 1, 1]
    assert inputs.judging(BIAS).tolist() == [False, False, True, True]
    assert inputs.judging(PARROTING).all()
    assert inputs.seasons[0] == 12
    with pytest.raises(DataError, match="none has 32 values"):
        Inputs.own([one for one in cut if one.series == "short"])
    with pytest.raises(DataError, match=r"the sets are phase-break; needed are motif"):
        Inputs.built_in(MOTIFS, 2, ("phase-break",)).judging_heads()


def test_the_parrot_parrots_and_the_mean_does_not() -> None:
    aligned = Inputs.built_in(Size(128, 16), 16, ("patches",))

    def parroting(name: str, inputs: Inputs) -> tuple[float, float, float]:
        made = forecasts(network(name), inputs, samples=5)
        return numbers(indices(inputs, made), "model", PARROTING)

    assert parroting("pair-parrot", aligned)[1] > 0.95
    assert parroting("pair-parrot", motifs())[0] > 0.8  # some walks pass a pair of values twice
    assert parroting("mean", aligned)[2] < 0.3
    assert parroting("mean", motifs())[2] < 0.3


def test_the_heads_that_parrot_are_found_and_no_others() -> None:
    found = causal(network("pair-parrot"), motifs(), samples=1)
    assert tuple(found.columns) == COLUMNS
    rows = found[(found["measure"] == PARROTING) & (found["kind"] == "head")]
    assert len(rows) == 24
    guilty = responsible(found, PARROTING)
    assert set(guilty) == set(PAIR_PARROT.heads)
    # Without `last` nothing is copied from the right place either.
    assert set(guilty[:2]) == {PAIR_PARROT.induction, PAIR_PARROT.last}
    others = rows[~rows["address"].isin(list(map(str, guilty)))]
    assert others["change"].abs().max() < 1e-3
    assert found.loc[found["measure"] == BIAS, "change"].isna().all()
    drawn = found[found["kind"] == "noise"]
    assert drawn["address"].unique().tolist() == ["noise-1", "noise-2"]
    assert drawn["q"].isna().all()


def test_the_head_that_swings_is_found_at_the_season_that_stands_out() -> None:
    model = network("seasonal")
    made = forecasts(model, noise(), samples=1)
    seasons = by_season(noise(), {"model": made["model"]})
    best = seasons.sort_values("value").iloc[-1]
    # Its share is that of three frequencies, so that their neighbours stand out as well.
    assert abs(WAVES.horizon / best["period"] - WAVES.horizon / SEASONAL.period) < 1.5
    assert best["low"] > 0.1
    effects = causal(model, noise().at_season(SEASONAL.period), only="decoder.1", samples=1)
    rows = effects[effects["measure"] == BIAS].sort_values("change")
    assert rows.iloc[0]["address"] == str(SEASONAL.head)
    assert responsible(effects, BIAS) == [SEASONAL.head]
    assert rows.iloc[0]["beyond_high"] < 0


def test_the_mean_has_no_bias_and_no_head_for_one() -> None:
    model, inputs = network("mean"), noise().at_season(SEASONAL.period)
    _, low, _ = numbers(indices(inputs, forecasts(model, inputs, samples=5)), "model", BIAS)
    assert low < 0.1
    effects = causal(model, inputs, only="decoder.*.cross", samples=5)
    assert set(responsible(effects, BIAS)) <= {MEAN.head}


def test_one_forecast_of_all_trials_is_that_of_each_alone(tiny: Tiny) -> None:
    """Numbers do not depend on the batch size nor on which other heads are tried."""
    inputs = own()
    every = causal(tiny("chronos-bolt"), inputs, only="decoder")
    one = causal(tiny("chronos-bolt"), inputs, only="decoder.1.cross.2", batch_size=3)
    same = every[every["address"] == "decoder.1.cross.2"]
    np.testing.assert_allclose(one["change"], same["change"], rtol=1e-4, atol=1e-5)
    assert one["beyond"].isna().all()
    assert same["beyond"].notna().all()
    assert set(every["kind"]) == {"head"}


@pytest.mark.parametrize("family", NETWORKS)
def test_every_family_can_be_diagnosed_but_not_beyond_what_it_reads(
    family: str, tiny: Tiny
) -> None:
    model, inputs = tiny(family), own()
    made = forecasts(model, inputs, tiny(family), samples=2)
    found = indices(inputs, made)
    assert found["value"].notna().all()
    twins = [found.loc[found["who"] == who, "value"] for who in ("model", "random twin")]
    np.testing.assert_array_equal(*twins)  # this twin is the model itself
    head = str(model.anatomy.heads[-1])
    effects = causal(model, inputs, only=head, samples=2)
    assert effects.loc[effects["kind"] == "head", "change"].notna().all()
    assert (effects["kind"] == "noise").any() == model.draws_samples
    asked = Matches(Size(40, 4), 2, (1, 4), aligned=4)
    assert copying_order(model, asked, samples=2)["value"].notna().all()
    beyond = model.context_length + 16
    with pytest.raises(UsageError, match="values at most"):
        causal(model, Inputs.built_in(Size(beyond, 4), 1, ("walk",)))
    with pytest.raises(UsageError, match="values at most"):
        copying_order(model, Matches(Size(beyond, 4), 2, (1,), aligned=4))


def test_beyond_is_what_a_head_changes_more_than_its_neighbours() -> None:
    at = [Address("decoder", 0, part, head) for part in ("self", "cross") for head in range(3)]
    trials = [Trial(str(one), "head", (one,)) for one in at[:4]]
    changes = np.array([[1.0, 2, np.nan], [2, 2, 4], [6, 2, 6], [9, 9, 9]])
    expected = [[1 - 4, 0, np.nan], [2 - 3.5, 0, 4 - 6], [6 - 1.5, 0, 6 - 4], [np.nan] * 3]
    np.testing.assert_array_equal(_beyond(trials, changes), expected)


def test_means_are_those_of_the_windows_with_series_as_their_unit() -> None:
    values = np.array([[1.0, 3, np.nan, 8], [0, 0, 0, 0], [np.nan] * 4, [5, 5, np.nan, np.nan]])
    found = means(values, np.array([0, 0, 1, 2]))
    assert found[:, 0].tolist()[:2] == [4, 0]
    assert found[0, 1] < 4 < found[0, 2]
    assert found[1].tolist() == [0, 0, 0, 1]
    assert np.isnan(found[2]).all()
    assert found[3, 0] == 5
    assert np.isnan(found[3, 1:]).all()
    sure = means(np.random.default_rng(0).normal(1, 0.1, (130, 20)), np.arange(20))
    np.testing.assert_allclose(sure[:, 3], 2 / 2001)
