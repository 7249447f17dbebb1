"""Evaluation windows in batches, and their encoded states."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor

from tsfm_probe.data.series import Window
from tsfm_probe.models.base import Model
from tsfm_probe.models.draws import known
from tsfm_probe.models.groups import members

KEPT_BYTES = 512 * 2**20


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows that are forecast together; all their contexts have one length.

    places: where each stands among all windows. contexts: [time] each.
    groups: for each the number of those that it is forecast jointly with; None: each on its own.
    """

    places: tuple[int, ...]
    contexts: tuple[np.ndarray, ...]
    groups: tuple[int, ...] | None = None


def batches(
    contexts: Sequence[np.ndarray], size: int, groups: Sequence[int] | None = None
) -> tuple[Batch, ...]:
    """Batches of at most `size` contexts of equal length, so that none is padded for another.

    groups: a number for each; those of equal number have contexts of equal length and stay
    together, however many they are.
    """
    units = members(groups, len(contexts))
    by_length = sorted(units, key=lambda unit: len(contexts[unit[0]]))
    made: list[list[int]] = []
    for unit in by_length:
        length = len(contexts[unit[0]])
        if made and len(contexts[made[-1][0]]) == length and len(made[-1]) + len(unit) <= size:
            made[-1] += unit
        else:
            made.append(list(unit))
    return tuple(
        Batch(
            tuple(places),
            tuple(contexts[place] for place in places),
            None if groups is None else tuple(groups[place] for place in places),
        )
        for places in made
    )


def seen(windows: Sequence[Window]) -> list[np.ndarray]:
    """What a model sees of each window, from the first value that is there."""
    return [known(window.seen) for window in windows]


def seen_jointly(windows: Sequence[Window]) -> tuple[list[np.ndarray], list[int]]:
    """What a model sees of each window, and the number of the group that it belongs to.

    A group is the windows that begin at the same time with the same spacing; its contexts are
    brought to one length, with NaN on the left of the shorter ones.
    """
    numbers: dict[tuple[object, str], int] = {}
    groups = [numbers.setdefault((one.start, one.freq), len(numbers)) for one in windows]
    contexts = seen(windows)
    for places in members(groups, len(windows)):
        longest = max(len(contexts[place]) for place in places)
        for place in places:
            contexts[place] = resized(contexts[place], longest, np.nan)
    return contexts, groups


def resized(context: np.ndarray, length: int, value: float) -> np.ndarray:
    """A context with as many values: the last ones, after this value if there are too few."""
    kept = np.asarray(context, dtype=np.float64)[-length:]
    return np.concatenate([np.full(length - len(kept), value), kept])


class Encoder:
    """Encoded states of batches, made once for all trials that do not edit the encoding.

    States are kept up to KEPT_BYTES; beyond that they are made again when they are asked for.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._states: dict[tuple[int, ...], Any] = {}
        self._room = KEPT_BYTES

    def __call__(self, batch: Batch) -> Any:
        """The state of a batch under the untouched network."""
        if batch.places in self._states:
            return self._states[batch.places]
        state = self.model.encode(batch.contexts, batch.groups)
        size = _bytes(state)
        if size <= self._room:
            self._states[batch.places] = state
            self._room -= size
        return state


def _bytes(state: Any) -> int:
    parts = [getattr(state, one.name) for one in fields(state)] if is_dataclass(state) else [state]
    return sum(one.nbytes for one in parts if isinstance(one, Tensor))
