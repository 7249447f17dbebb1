"""The probe sets are what is said about them, and are given by their seed alone."""

import numpy as np
import pytest

from tsfm_probe.behaviour.parrot import match
from tsfm_probe.behaviour.period import dominant_period
from tsfm_probe.data.stimuli import SETS, SHUFFLED, Size, shuffled, stimuli
from tsfm_probe.errors import UsageError

SIZES = [Size(512, 64), Size(200, 24), Size(161, 24)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", SETS)
def test_each_set_has_the_lengths_asked_for_and_names_its_contexts(name: str, size: Size) -> None:
    made = stimuli(name, 3, size)
    assert [(one.name, one.number) for one in made] == [(name, 0), (name, 1), (name, 2)]
    assert {(one.context.shape, one.truth.shape) for one in made} == {
        ((size.context,), (size.horizon,))
    }
    assert all(np.isfinite(one.context).all() and one.context.std() > 0 for one in made)
    assert len({one.context.tobytes() for one in made}) == 3


@pytest.mark.parametrize("name", SETS)
def test_a_context_is_given_by_seed_set_and_number_alone(name: str) -> None:
    size = SIZES[0]
    few, many, other = (stimuli(name, n, size, seed) for n, seed in ((1, 5), (3, 5), (3, 6)))
    assert np.array_equal(few[0].context, many[0].context)
    assert np.array_equal(few[0].truth, many[0].truth)
    assert not any(np.array_equal(one.context, few[0].context) for one in other)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ["motif", "patches"])
def test_what_is_repeated_and_what_a_copy_forecasts_is_where_it_is_said(
    name: str, size: Size
) -> None:
    for one in stimuli(name, 20, size):
        assert one.copied is not None
        assert one.motif is not None
        first, end = one.motif
        lag = size.context - one.copied
        again = one.context[first + lag :]
        assert len(again) >= 16
        assert np.array_equal(one.context[first : first + len(again)], again)
        whole = np.concatenate([one.context, one.truth])
        assert np.array_equal(whole[one.copied : one.copied + size.horizon], one.truth)
        assert end <= size.context


def test_a_motif_is_as_long_as_fits_and_aperiodic() -> None:
    for one in stimuli("motif", 100, SIZES[0]):
        assert one.motif == (0, 288)
        assert one.copied == 224
        assert one.period is None
        stretch = one.context[:288]
        for lag in range(16, 144):
            error = np.abs(stretch[lag:] - stretch[:-lag]).mean()
            assert error > 0.1 * stretch.std(), f"motif {one.number} nearly repeats after {lag}"


def test_a_shuffled_motif_has_the_values_of_its_motif_and_no_copy() -> None:
    size = SIZES[0]
    for one, whole in zip(
        stimuli("shuffled-motif", 20, size), stimuli("motif", 20, size), strict=True
    ):
        assert np.array_equal(np.sort(one.context), np.sort(whole.context))
        assert np.array_equal(one.truth, whole.truth)
        assert (one.motif, one.copied) == (None, None)
        found = match(one.context, 32)
        nearest = found.scale * one.context[found.start - 32 : found.start] + found.shift
        assert np.abs(nearest - one.context[-32:]).max() > 0.1 * one.context[-32:].std()


def test_windows_are_moved_whole_and_have_about_the_size_asked_for() -> None:
    values = np.arange(2000)
    mixed = shuffled(np.random.default_rng(0), values, SHUFFLED)
    assert np.array_equal(np.sort(mixed), values)
    joints = np.flatnonzero(np.diff(mixed) != 1) + 1
    sizes = np.diff(np.concatenate([[0], joints, [2000]]))
    assert len(sizes) == pytest.approx(2000 / SHUFFLED, rel=0.1)
    assert (sizes >= SHUFFLED // 2).sum() >= len(sizes) - 1
    assert np.percentile(sizes, 95) <= 1.5 * SHUFFLED
    short = shuffled(np.random.default_rng(0), np.arange(3), SHUFFLED)
    assert sorted(short) == [0, 1, 2]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_phase_breaks_once_in_the_second_half_and_the_pattern_goes_on(size: Size) -> None:
    for one in stimuli("phase-break", 30, size):
        assert one.period is not None
        assert one.broken is not None
        whole = np.concatenate([one.context, one.truth])
        wrong = np.flatnonzero(whole[one.period :] != whole[: -one.period])
        assert size.context // 2 <= one.broken <= size.context - max(32, 2 * one.period)
        assert len(wrong)
        assert one.broken - one.period <= wrong.min()
        assert wrong.max() < one.broken
        jump = np.abs(whole[one.broken : one.broken + one.period] - whole[: one.period])
        assert one.broken % one.period or jump.max() > 0.3


def test_repeated_patches_are_patches_counted_from_the_end() -> None:
    blocks = set()
    for one in stimuli("patches", 60, Size(500, 40)):
        assert one.period is not None
        assert one.period % 16 == 0
        cut = one.context[500 % 16 :].reshape(-1, 16)
        later = one.period // 16
        assert np.array_equal(cut[later:], cut[:-later])
        assert len(np.unique(cut, axis=0)) == later
        blocks.add(500 / one.period)
    assert min(blocks) < 2.5
    assert max(blocks) > 6
    assert all(2 <= times <= 8 for times in blocks)


def test_sets_without_a_period_have_none_that_is_found_too_often() -> None:
    for name in ("walk", "autoregressive"):
        found = [dominant_period(one.context) for one in stimuli(name, 200, SIZES[0])]
        assert np.mean([period is not None for period in found]) < 0.12


def test_what_cannot_be_made_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match=r"'motifs'.*did you mean motif"):
        stimuli("motifs", 1, SIZES[0])
    with pytest.raises(UsageError, match=r"context of 100 and a horizon of 64; .* 128 values"):
        stimuli("motif", 1, Size(100, 64))
    with pytest.raises(UsageError, match="horizon of 0"):
        stimuli("walk", 1, Size(100, 0))
    with pytest.raises(UsageError, match="1 values"):
        stimuli("walk", 1, Size(0, 4))
