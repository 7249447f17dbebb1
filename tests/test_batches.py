"""Batches and donors of windows."""

import numpy as np
import pytest

from tsfm_probe.errors import UsageError
from tsfm_probe.probes.batches import batches, resized
from tsfm_probe.probes.fills import donors


def test_donors_are_of_another_series_and_belong_to_the_seed() -> None:
    names = ["a", "a", "b", "c"]
    chosen = donors(names, 0)
    assert all(names[other] != names[own] for own, other in enumerate(chosen))
    assert chosen == donors(names, 0)
    assert any(donors(names, seed) != chosen for seed in range(1, 9))
    assert all(own != other for own, other in enumerate(donors(["a", "a"], 0)))
    with pytest.raises(UsageError, match="one window"):
        donors(["a"], 0)


def test_contexts_are_resized_on_the_left() -> None:
    np.testing.assert_array_equal(resized(np.arange(5.0), 3, np.nan), [2, 3, 4])
    np.testing.assert_array_equal(resized(np.arange(2.0), 4, np.nan), [np.nan, np.nan, 0, 1])


def test_batches_hold_contexts_of_one_length_and_every_window_once() -> None:
    contexts = [np.zeros(size) for size in (5, 3, 5, 5, 3, 8)]
    made = batches(contexts, 2)
    assert sorted(place for batch in made for place in batch.places) == list(range(6))
    assert all(len({len(one) for one in batch.contexts}) == 1 for batch in made)
    assert max(len(batch.places) for batch in made) == 2
