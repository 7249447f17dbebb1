"""Periods are found where there are some, and a season in a forecast is measured as it is."""

from collections.abc import Callable

import numpy as np
import pytest

from tsfm_probe.behaviour.likeness import mean
from tsfm_probe.behaviour.period import dominant_period, filled, largest_peak, late
from tsfm_probe.behaviour.season import (
    season_of,
    seasonal_naive,
    seasonal_power,
    seasonality_bias,
)
from tsfm_probe.data import synthetic
from tsfm_probe.data.stimuli import Size, stimuli

LENGTH = 512
TIME = np.arange(LENGTH)
GAP = np.nan


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 3])


@pytest.mark.parametrize("trend", [0.0, 0.1])
def test_a_pure_period_is_found_exactly(trend: float) -> None:
    for period in range(2, 65):
        wave = np.sin(2 * np.pi * TIME / period + 1) + trend * TIME
        assert dominant_period(wave) == period


@pytest.mark.parametrize(("noise", "least"), [(0.05, 0.95), (0.3, 0.9), (1.0, 0.8)])
def test_a_noisy_period_is_found_mostly(noise: float, least: float) -> None:
    for period in (4, 7, 12, 24):
        found = [
            dominant_period(synthetic.periodic(rng(seed), LENGTH, period, noise))
            for seed in range(30)
        ]
        assert np.mean([one == period for one in found]) >= least, period


def test_a_sharp_pattern_has_its_whole_period_not_a_part_of_it() -> None:
    for size in (24, 50, 80, 96):
        for seed in range(10):
            assert dominant_period(synthetic.motif(rng(seed), LENGTH, size)) == size


def test_a_period_on_a_random_walk_is_found() -> None:
    found = [
        dominant_period(
            synthetic.walk(rng(seed), LENGTH) + 3 * synthetic.periodic(rng(seed + 99), LENGTH, 24)
        )
        for seed in range(30)
    ]
    assert np.mean([one == 24 for one in found]) >= 0.9


NOISES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "white": lambda draw: draw.standard_normal(LENGTH),
    "walk": lambda draw: synthetic.walk(draw, LENGTH),
    "drifting walk": lambda draw: synthetic.walk(draw, LENGTH, drift=0.5),
    "red": lambda draw: synthetic.autoregressive(draw, LENGTH, (0.8,)),
    "autoregressive": lambda draw: synthetic.autoregressive(draw, LENGTH),
}


@pytest.mark.parametrize("kind", NOISES)
def test_noise_is_called_periodic_about_as_often_as_stated(kind: str) -> None:
    """Of 300, 5 % is 15; three standard deviations above that are 27."""
    for level, least, most in ((0.05, 4, 27), (0.3, 50, 114)):
        found = [dominant_period(NOISES[kind](rng(seed)), level) for seed in range(300)]
        count = sum(period is not None for period in found)
        assert least <= count <= most, level


def test_scale_shift_and_missing_values_leave_the_period() -> None:
    context = synthetic.periodic(rng(0), LENGTH, 24, 0.3)
    holes = context.copy()
    holes[rng(1).random(LENGTH) < 0.1] = GAP
    assert {dominant_period(one) for one in (context, 1e-3 * context + 1e3, holes)} == {24}


def test_where_nothing_can_be_told_there_is_no_period() -> None:
    for context in (
        np.full(100, 3.0),
        np.arange(100.0),
        np.full(50, GAP),
        np.array([1.0]),
        np.array([]),
        np.sin(np.arange(12.0)),
    ):
        assert dominant_period(context) is None
        assert season_of(context, 24) is None
    slow = np.sin(2 * np.pi * TIME / 300)
    assert (dominant_period(slow) or 0) <= LENGTH // 3


def test_gaps_are_interpolated_and_ends_cut_and_counted() -> None:
    context = np.array([GAP, 1.0, GAP, 3.0, GAP, GAP])
    assert filled(context).tolist() == [1.0, 2.0, 3.0]
    assert late(context) == 2
    assert late(np.full(3, GAP)) == 0
    assert filled(np.full(3, GAP)).tolist() == []


def test_the_season_of_noise_fits_into_the_horizon_and_has_no_favourite() -> None:
    found = []
    for one in stimuli("autoregressive", 60, Size(LENGTH, 48)):
        season = season_of(one.context, 48)
        assert season is not None
        found.append(season)
        if dominant_period(one.context) is None:
            assert 2 <= season <= 48
            peak = largest_peak(one.context, 48)
            assert peak is not None
            assert season == peak.steps
    assert len(set(found)) > 15


def test_all_power_of_a_wave_is_at_its_season_and_none_of_another() -> None:
    wave = 5 + np.sin(2 * np.pi * np.arange(96) / 12)
    assert seasonal_power(wave, 12) == pytest.approx(1)
    assert seasonal_power(wave, 24) == pytest.approx(0, abs=1e-12)
    assert seasonal_power(np.cos(np.pi * np.arange(96)), 2) == pytest.approx(1)
    half = np.sin(2 * np.pi * np.arange(96) / 12) + np.sin(2 * np.pi * np.arange(96) / 4)
    assert seasonal_power(half, 12) == pytest.approx(0.5)
    both = seasonal_power(np.stack([wave, half]), 12)
    np.testing.assert_allclose(both, [1, 0.5], atol=1e-12)


def test_the_power_of_white_noise_is_the_share_of_three_frequencies() -> None:
    """33 frequencies of a horizon of 66 hold the variance, the last of them half as much."""
    noise = rng(0).standard_normal((4000, 66))
    assert seasonal_power(noise, 6).mean() == pytest.approx(3 / 32.5, rel=0.03)
    assert seasonal_power(noise, 66).mean() == pytest.approx(2 / 32.5, rel=0.03)
    assert seasonal_power(noise, 2).mean() == pytest.approx(1.5 / 32.5, rel=0.04)


def test_a_horizon_of_no_whole_number_of_periods_keeps_most_of_the_power() -> None:
    for horizon, period in ((64, 24), (50, 12), (33, 7)):
        wave = np.sin(2 * np.pi * np.arange(horizon) / period)
        assert seasonal_power(wave, period) > 0.8


def test_power_is_nought_for_a_constant_and_not_defined_without_a_frequency() -> None:
    assert seasonal_power(np.full(48, 1e6 + 0.1), 12) == 0
    wave = np.sin(np.arange(48.0))
    for period in (None, 97, 1):
        assert np.isnan(seasonal_power(wave, period))
    assert np.isfinite(seasonal_power(wave, 96))
    assert np.isfinite(seasonal_power(wave, 2))
    assert np.isnan(seasonal_power(np.append(wave, GAP), 12))
    assert np.isnan(seasonality_bias(wave, np.full(48, GAP), 12))


def test_power_and_bias_do_not_depend_on_scale_and_shift() -> None:
    forecast, truth = rng(0).standard_normal((2, 64)).cumsum(axis=1)
    found = seasonality_bias(forecast, truth, 12)
    assert found == pytest.approx(seasonality_bias(50 * forecast - 1e4, 50 * truth - 1e4, 12))
    assert found == seasonal_power(forecast, 12) - seasonal_power(truth, 12)


@pytest.mark.parametrize("name", ["autoregressive", "walk"])
def test_seasonal_naive_is_biased_on_noise_and_the_truth_is_not(name: str) -> None:
    made = stimuli(name, 60, Size(LENGTH, 64))
    seasons = [season_of(one.context, 64) for one in made]
    pairs = list(zip(made, seasons, strict=True))
    naive = mean(
        [
            float(seasonality_bias(seasonal_naive(one.context, 64, season), one.truth, season))
            for one, season in pairs
        ]
    )
    assert naive.low > 0.2
    assert {float(seasonality_bias(one.truth, one.truth, season)) for one, season in pairs} == {0.0}
    flat = [float(seasonality_bias(np.full(64, 2.0), one.truth, season)) for one, season in pairs]
    assert max(flat) <= 0
    other = stimuli(name, 60, Size(LENGTH, 64), seed=5)
    chance = mean(
        [
            float(seasonality_bias(another.truth, one.truth, season))
            for (one, season), another in zip(pairs, other, strict=True)
        ]
    )
    assert chance.low < 0 < chance.high


def test_seasonal_naive_repeats_the_last_period() -> None:
    context = np.arange(10.0)
    assert seasonal_naive(context, 5, 3).tolist() == [7, 8, 9, 7, 8]
    assert seasonal_naive(context, 3, None).tolist() == [9, 9, 9]
    assert seasonal_naive(context[:2], 3, 7).tolist() == [0, 1, 0]
