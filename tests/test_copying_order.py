"""The k-gram order of copying: how many values must match, of forecasters that are known."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from tests.planted_behaviour import parrot, seasonal
from tsfm_probe.data.stimuli import Size
from tsfm_probe.diagnosis.order import Matches, by_matched, copying_order, match, smallest
from tsfm_probe.errors import UsageError


def needs(count: int) -> Callable[[Sequence[np.ndarray], int], np.ndarray]:
    """A parrot that copies if the last `count` values, and no fewer, were there before."""

    def forecast(contexts: Sequence[np.ndarray], horizon: int) -> np.ndarray:
        return np.stack([copied(one, horizon) for one in contexts])

    def copied(context: np.ndarray, horizon: int) -> np.ndarray:
        last = context[len(context) - count :]
        for end in range(len(context) - 1, count - 1, -1):
            if np.array_equal(context[end - count : end], last):
                return context[end : end + horizon]
        return np.zeros(horizon)

    return forecast


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 16, 32])
def test_the_order_of_a_parrot_is_the_number_of_values_that_it_needs(count: int) -> None:
    found = by_matched(needs(count), Matches(count=24), seed=count)
    assert found["matched"].tolist() == [0, 1, 2, 4, 8, 16, 32]
    assert smallest(found) == (4 if count == 3 else count)
    enough = found["matched"] >= count
    np.testing.assert_allclose(found["value"][enough], 1)
    assert found["beyond"][~enough].abs().max() < 0.02  # other values stand before the match


def test_the_smallest_is_the_first_with_half_of_the_last_level_that_is_sure() -> None:
    value = [0.0, 0.2, 0.5, 0.3, 0.9, 0.8]
    found = pd.DataFrame({"matched": [0, 1, 2, 4, 8, 16], "beyond": value, "low": 0.1})
    found["beyond_low"] = [0.0, 0.1, -0.1, 0.1, 0.1, 0.1]
    assert smallest(found) == 8
    assert smallest(found.assign(beyond_low=0.1)) == 2
    assert smallest(found.assign(low=[0.1] * 5 + [-0.1])) is None


def test_what_follows_the_match_ends_before_the_last_values_begin() -> None:
    assert Matches().lags.tolist() == [64, 128, 192, 256, 320, 384, 448]
    assert Matches(Size(60, 8), matched=(1, 8), aligned=5).lags.tolist() == list(range(20, 52, 5))


def test_who_never_copies_has_no_order() -> None:
    def zero(contexts: Sequence[np.ndarray], horizon: int) -> np.ndarray:
        return np.zeros((len(contexts), horizon))

    asked = Matches(count=24)
    assert [smallest(by_matched(zero, asked, seed)) for seed in range(10)] == [None] * 10


@pytest.mark.parametrize("number", [0, 1, 5, 32])
def test_so_many_values_match_and_no_more(number: int) -> None:
    asked = Matches()
    for place in range(40):
        made = match(asked, number, place, seed=1)
        context, end = made.context, made.copied
        assert end is not None
        assert (512 - end) % 64 == 0
        np.testing.assert_array_equal(context[end - number : end], context[512 - number :])
        assert abs(context[end - number - 1] - context[511 - number]) > 0.1
        np.testing.assert_array_equal(made.truth, context[end : end + 8])
        near = np.flatnonzero(np.abs(context[:-1] - context[-1]) <= 0.1)
        assert near.tolist() == ([end - 1] if number else [])
    with pytest.raises(UsageError, match="a context of 97 or more"):
        match(Matches(Size(96, 8)), 1, 0, 0)


def test_a_network_that_matches_one_value_is_of_order_one() -> None:
    asked = Matches(Size(64, 8), 8, (1, 4), aligned=8)
    found = copying_order(parrot().model, asked, samples=1)
    assert smallest(found) == 1
    assert found["low"].tolist()[1] > 0.9
    assert smallest(copying_order(seasonal().model, asked, samples=1)) is None
