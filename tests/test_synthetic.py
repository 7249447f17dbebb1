"""The generated series are what their names promise, and are given by their seed alone."""

import numpy as np
import pandas as pd
import pytest

from tsfm_probe.data import synthetic
from tsfm_probe.errors import UsageError

LENGTH = 600


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def autocorrelation(values: np.ndarray, lag: int) -> float:
    centred = values - values.mean()
    return float(centred[lag:] @ centred[:-lag] / (centred @ centred))


@pytest.mark.parametrize("kind", synthetic.KINDS)
@pytest.mark.parametrize("length", [40, LENGTH])
def test_each_kind_has_its_length_and_is_finite_and_not_constant(kind, length):
    values = synthetic.KINDS[kind](rng(), length)
    assert values.shape == (length,)
    assert values.dtype == float
    assert np.isfinite(values).all()
    assert values.std() > 0


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_when_the_seed_is_the_same_then_so_is_the_series_and_otherwise_not(kind):
    make = synthetic.KINDS[kind]
    assert np.array_equal(make(rng(1), 200), make(rng(1), 200))
    assert not np.array_equal(make(rng(1), 200), make(rng(2), 200))


def test_generated_series_are_named_hourly_and_all_different():
    series = synthetic.generated(2, 100, seed=0)
    assert [one.name for one in series[:4]] == ["periodic-0", "periodic-1", "motif-0", "motif-1"]
    assert len(series) == 2 * len(synthetic.KINDS)
    assert {(one.start, one.freq) for one in series} == {(pd.Timestamp("2000-01-01"), "h")}
    assert len({one.values.tobytes() for one in series}) == len(series)


def test_when_count_or_kinds_change_then_the_series_of_a_name_stays():
    few = synthetic.generated(1, 100, seed=3, kinds=["walk", "periodic"])
    many = {one.name: one.values for one in synthetic.generated(3, 100, seed=3)}
    for one in few:
        assert np.array_equal(one.values, many[one.name])
    other = {one.name: one.values for one in synthetic.generated(3, 100, seed=4)}
    assert not any(np.array_equal(many[name], other[name]) for name in many)


def test_when_a_kind_or_a_flow_is_misspelt_then_the_error_names_the_nearest():
    with pytest.raises(UsageError, match=r"periodc.*did you mean periodic"):
        synthetic.generated(1, 100, seed=0, kinds=["periodc"])
    with pytest.raises(UsageError, match=r"lorentz.*did you mean lorenz"):
        synthetic.flow(rng(), 100, "lorentz")


@pytest.mark.parametrize("period", [2, 3, 7, 24, 52])
def test_periodic_without_noise_has_its_period_and_no_shorter_one(period):
    values = synthetic.periodic(rng(period), LENGTH, period, noise=0.0)
    assert np.array_equal(values[period:], values[:-period])
    for shorter in range(1, period):
        assert not np.allclose(values[shorter:], values[:-shorter], atol=0.05)


def test_the_noise_of_periodic_is_as_large_as_asked():
    values = synthetic.periodic(rng(), 20_000, 12, noise=0.3)
    pattern = values[: 12 * 1666].reshape(-1, 12).mean(0)
    assert np.std(values[: 12 * 1666] - np.tile(pattern, 1666)) == pytest.approx(0.3, rel=0.03)


def test_motif_repeats_exactly_and_is_aperiodic_within():
    values = synthetic.motif(rng(), LENGTH, size=80)
    assert np.array_equal(values[80:], values[:-80])
    stretch = values[:80]
    for lag in range(5, 40):
        error = np.abs(stretch[lag:] - stretch[:-lag]).mean()
        assert error > 0.1 * stretch.std(), f"the motif nearly repeats after {lag} steps"


def test_autoregressive_has_the_autocorrelation_of_its_coefficients():
    values = synthetic.autoregressive(rng(), 50_000, (0.8,))
    for lag in (1, 2, 3):
        assert autocorrelation(values, lag) == pytest.approx(0.8**lag, abs=0.02)
    assert values.var() == pytest.approx(1 / (1 - 0.8**2), rel=0.05)


def test_when_drawn_at_random_then_the_autoregression_is_stationary():
    for seed in range(50):
        values = synthetic.autoregressive(rng(seed), 5_000)
        assert 0.2 < autocorrelation(values, 1) < 0.99
        assert np.abs(values).max() < 100


def test_walk_has_unit_steps_about_its_drift():
    steps = np.diff(synthetic.walk(rng(), 50_000, drift=0.5))
    assert steps.mean() == pytest.approx(0.5, abs=0.02)
    assert steps.std() == pytest.approx(1.0, abs=0.02)
    assert abs(autocorrelation(steps, 1)) < 0.02


def test_trend_has_one_bend_and_a_growing_season():
    values = synthetic.trend(rng(5), 2400, period=24, noise=0.0)
    years = values.reshape(-1, 24)
    bends = np.abs(np.diff(years.mean(1), n=2)) > 1e-3
    assert 1 <= bends.sum() <= 2, "the bend may lie within one season or touch two"
    swing = np.ptp(years - np.linspace(0, 1, 24) * (years[:, -1:] - years[:, :1]), axis=1)
    assert (swing[-10:].mean()) > swing[:10].mean()


def test_intermittent_is_zero_as_often_as_asked_and_whole_otherwise():
    values = synthetic.intermittent(rng(), 20_000, interval=4)
    assert (values == 0).mean() == pytest.approx(0.75, abs=0.02)
    assert np.array_equal(values, np.round(values))
    assert values.min() == 0
    assert values.max() > 1


@pytest.mark.parametrize("system", synthetic.FLOWS)
def test_flows_turn_many_times_but_never_repeat(system):
    values = synthetic.flow(rng(1), LENGTH, system)
    assert values.std() == pytest.approx(1.0)
    assert autocorrelation(values, 1) > 0.9, "the sampling is too coarse to be a flow"
    turning = np.count_nonzero(np.diff(np.sign(np.diff(values))))
    assert 10 < turning < LENGTH / 4
    for lag in range(20, LENGTH // 2):
        error = np.sqrt(np.mean((values[lag:] - values[:-lag]) ** 2))
        assert error > 0.08, f"{system} repeats after {lag} steps"


def test_flows_part_from_a_start_nearby():
    near, far = (synthetic.flow(rng(seed), LENGTH, "lorenz") for seed in (0, 1))
    assert not np.allclose(near, far, atol=0.5)


def test_gaussian_processes_are_smoother_than_noise_and_differ_in_kernel():
    draws = [synthetic.gaussian_process(rng(seed), 300) for seed in range(20)]
    memories = [autocorrelation(draw, 1) for draw in draws]
    assert np.median(memories) > 0.5
    assert np.ptp(memories) > 0.01
