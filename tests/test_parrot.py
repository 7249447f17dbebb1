"""The parrot finds a repeated motif and copies on, and the index tells parrots from others."""

import numpy as np
import pytest

from tsfm_probe.behaviour.likeness import Likeness, References, index_by_step, mean
from tsfm_probe.behaviour.parrot import controls, match, motif_length, parrot
from tsfm_probe.behaviour.season import seasonal_naive
from tsfm_probe.data.stimuli import Size, stimuli
from tsfm_probe.errors import DataError, UsageError

SIZE = Size(256, 32)
GAP = np.nan


def walk(seed: int, length: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(length).cumsum()


@pytest.mark.parametrize("name", ["motif", "patches"])
def test_what_is_repeated_exactly_is_found_at_its_place_and_copied(name: str) -> None:
    for one in stimuli(name, 100, SIZE):
        found = match(one.context, 32)
        assert one.copied is not None
        lag = -found.start
        if name == "motif":
            assert lag == SIZE.context - one.copied
        assert lag % (SIZE.context - one.copied) == 0
        np.testing.assert_allclose(parrot(one.context, SIZE.horizon), one.truth, atol=1e-9)


def test_a_motif_is_found_at_another_scale_and_level() -> None:
    stretch = walk(0, 96)
    context = np.concatenate([walk(1, 50), stretch, walk(2, 40), 7 - 0 * stretch[:64]])
    context[-64:] = 7 + 3 * stretch[:64]
    made = match(context, 32)
    assert made.start == 50 + 64 - len(context)
    assert made.scale == pytest.approx(3)
    np.testing.assert_allclose(parrot(context, 32, 32), 7 + 3 * stretch[64:], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_scale_and_shift_of_the_context_are_those_of_the_forecast(seed: int) -> None:
    context = walk(seed)
    made, moved = parrot(context, 40), parrot(1e3 * context - 1e6, 40)
    np.testing.assert_allclose(moved, 1e3 * made - 1e6, rtol=1e-9)
    truth = walk(seed + 10, 40)
    first, second = (
        References.of(a * context + b, a * truth + b).likeness(a * truth[::-1] + b)
        for a, b in ((1, 0), (1e3, -1e6))
    )
    np.testing.assert_allclose(
        [first.parrot, first.control, first.seasonal, first.truth, first.index],
        [second.parrot, second.control, second.seasonal, second.truth, second.index],
        rtol=1e-6,
    )


@pytest.mark.parametrize("seed", range(5))
def test_match_is_the_nearest_window_of_all_by_the_definition(seed: int) -> None:
    """Against a loop over every window that ends before the last one begins."""
    context, motif = walk(seed, 120), 10

    def standard(values: np.ndarray) -> np.ndarray:
        return (values - values.mean()) / values.std()

    last = standard(context[-motif:])
    distances = [
        np.linalg.norm(standard(context[at : at + motif]) - last) for at in range(120 - 2 * 10 + 1)
    ]
    place = int(np.argmin(distances))
    assert match(context, motif).start == place + motif - 120
    copied = np.resize(context[place + motif :], 30)
    window = context[place : place + motif]
    scale = context[-motif:].std() / window.std()
    expected = context[-motif:].mean() + scale * (copied - window.mean())
    np.testing.assert_allclose(parrot(context, 30, motif), expected, rtol=1e-9)


def test_on_a_period_it_is_the_seasonal_naive_forecast_also_past_the_context() -> None:
    pattern = walk(3, 24)
    context = np.resize(pattern, 240)
    assert motif_length(context) == 48
    assert match(context, 24).start == -24, "of equals the latest, which does not overlap the last"
    np.testing.assert_allclose(parrot(context, 300), np.resize(pattern, 540)[240:], atol=1e-9)
    np.testing.assert_allclose(parrot(context, 50), seasonal_naive(context, 50, 24), atol=1e-9)


def test_missing_values_are_interpolated_and_those_at_the_end_forecast() -> None:
    (one,) = stimuli("motif", 1, SIZE)
    holes = one.context.copy()
    holes[40:43], holes[:5] = GAP, GAP
    np.testing.assert_allclose(parrot(holes, 32, 32), one.truth, atol=1e-9)
    late = np.concatenate([one.context, np.full(6, GAP)])
    np.testing.assert_allclose(parrot(late, 26, 32), one.truth[6:], atol=1e-9)
    assert controls(late, 26, 2, 0).shape == (2, 26)
    assert np.isfinite(controls(late, 26, 2, 0)).all()
    assert seasonal_naive(np.array([1, 2, 3, GAP]), 4, 3).tolist() == [2, 3, 1, 2]


def test_constant_contexts_and_windows_are_no_division_by_zero() -> None:
    assert parrot(np.full(100, 5.0), 10).tolist() == [5.0] * 10
    flat_end = np.concatenate([walk(0, 60), np.zeros(20), walk(1, 40), np.full(20, 9.0)])
    found = match(flat_end, 20)
    assert found.start == 80 - 140
    np.testing.assert_allclose(parrot(flat_end, 10, 20), 9 + flat_end[80:90], atol=1e-9)
    flat_start = np.concatenate([np.zeros(100), walk(2, 60)])
    assert np.isfinite(parrot(flat_start, 10, 32)).all()
    index = References.of(np.full(100, 5.0), np.full(10, 5.0)).likeness(np.full(10, 6.0)).index
    assert np.isnan(index)


def test_what_is_too_short_or_no_motif_is_refused_and_the_default_gives_way() -> None:
    with pytest.raises(DataError, match=r"matches 32 values.*has 63; 64 or more"):
        parrot(walk(0, 63), 8, 32)
    with pytest.raises(UsageError, match="motif of 0"):
        parrot(walk(0, 63), 8, 0)
    with pytest.raises(DataError, match="the context has 0"):
        parrot(np.full(8, GAP), 4)
    assert [motif_length(walk(0, length)) for length in (2, 9, 63)] == [1, 4, 31]
    assert parrot(np.array([1.0, 2.0]), 3).shape == (3,)


@pytest.fixture(scope="module")
def motifs() -> list[tuple[np.ndarray, References]]:
    made = stimuli("motif", 40, SIZE)
    return [(one.context, References.of(one.context, one.truth)) for one in made]


def test_the_index_is_one_for_the_parrot_and_about_nought_for_the_mean(
    motifs: list[tuple[np.ndarray, References]],
) -> None:
    horizon = SIZE.horizon
    copies = [one.likeness(one.parrot) for _, one in motifs]
    assert {one.index for one in copies} == {1.0}
    assert all(one.parrot == 0 and one.truth < 1e-9 < one.seasonal for one in copies)
    for flat in (np.mean, lambda context: context[-1]):
        found = mean([one.likeness(np.full(horizon, flat(x))).index for x, one in motifs])
        assert -0.35 < found.value < 0.1
        assert found.low < 0.1


def test_the_index_of_a_control_is_not_above_nought(
    motifs: list[tuple[np.ndarray, References]],
) -> None:
    drawn = [one.likeness(controls(x, SIZE.horizon, 1, 99)[0]).index for x, one in motifs]
    found = mean(drawn)
    assert found.value < 0.05
    assert min(drawn) < 0
    assert min(drawn) >= -1


def test_without_a_motif_the_truth_the_last_value_and_a_control_have_no_index() -> None:
    """Random walks: nothing can be copied, and a start from the right level is no parroting."""
    size = Size(512, 64)
    made = stimuli("walk", 80, size, seed=1)
    references = [References.of(one.context, one.truth) for one in made]
    points = {
        "truth": [one.truth for one in made],
        "last": [np.full(64, one.context[-1]) for one in made],
        "mean": [np.full(64, one.context.mean()) for one in made],
    }
    for name, forecasts in points.items():
        pairs = zip(references, forecasts, strict=True)
        found = mean([one.likeness(point).index for one, point in pairs])
        assert abs(found.value) < 0.2, (name, found)


def test_controls_keep_the_values_and_the_end_and_depend_on_their_seed_alone() -> None:
    context = stimuli("motif", 1, SIZE)[0].context
    three, five, other = (controls(context, 32, n, seed) for n, seed in ((3, 0), (5, 0), (3, 1)))
    assert np.array_equal(three, five[:3])
    assert not np.allclose(three, other)
    assert len(np.unique(three, axis=0)) == 3
    copy = parrot(context, 32)
    assert np.abs(five - copy).max(axis=1).min() > 0.1 * context.std()


def test_distances_are_root_mean_squares_over_the_deviation_of_the_context() -> None:
    context = walk(0)
    truth = np.array([1.0, GAP, 3.0, 4.0])
    references = References.of(context, truth, draws=3)
    point = np.array([2.0, 100.0, 5.0, 4.0])
    found = references.likeness(point)
    assert found.truth == pytest.approx(np.sqrt(5 / 3) / context.std())
    to_controls = np.sqrt(((point - references.controls) ** 2).mean(axis=1)) / context.std()
    assert found.control == pytest.approx(to_controls.mean())
    assert found.index == pytest.approx(np.clip(1 - found.parrot / found.control, -1, 1))
    assert Likeness(parrot=9, control=1, seasonal=0, truth=0).index == -1
    assert Likeness(parrot=1, control=0, seasonal=0, truth=0).index == -1
    assert Likeness(parrot=1, control=4, seasonal=0, truth=0).index == 0.75
    assert np.isnan(Likeness(parrot=0, control=0, seasonal=0, truth=0).index)


def test_by_step_a_forecast_that_stops_to_copy_half_way_has_an_index_in_the_first_half(
    motifs: list[tuple[np.ndarray, References]],
) -> None:
    references = [one for _, one in motifs]
    points = np.array([one.parrot for one in references])
    assert np.array_equal(index_by_step(references, points), np.ones((32, 3)))
    points[:, 16:] = points[:, 15:16]
    found = index_by_step(references, points)
    assert found.shape == (32, 3)
    assert np.array_equal(found[:16], np.ones((16, 3)))
    assert (found[24:, 0] < 0.6).all()
    assert (found[16:, 1] <= found[16:, 0]).all()
    assert (found[16:, 0] <= found[16:, 2]).all()
    assert (found[24:, 1] < found[24:, 2]).all()
    step = 20
    a, b = (
        np.array([one.squares(p)[which][step] for one, p in zip(references, points, strict=True)])
        for which in (0, 1)
    )
    assert found[step, 0] == pytest.approx(1 - np.sqrt(a.sum() / b.sum()))


def test_the_interval_of_a_mean_is_the_bootstraps_and_leaves_out_what_is_not_defined() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 200)
    found, with_gaps = mean(values), mean(np.append(values, [GAP, GAP]))
    assert found.value == pytest.approx(values.mean())
    assert with_gaps.value == pytest.approx(found.value)
    half = 1.96 * values.std() / np.sqrt(200)
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert np.isnan([mean([0.5]).low, mean([GAP, GAP]).value]).all()
