"""Evaluation windows in batches, and their encoded states."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import groupby
from typing import Any

import numpy as np
from torch import Tensor

from tsfm_probe.data.series import Window
from tsfm_probe.models.base import Model

KEPT_BYTES = 512 * 2**20


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows that are forecast together; all their contexts have one length.

    places: where each stands among all windows. contexts: [time] each.
    """

    places: tuple[int, ...]
    contexts: tuple[np.ndarray, ...]


def batches(contexts: Sequence[np.ndarray], size: int) -> tuple[Batch, ...]:
    """Batches of at most `size` contexts of equal length, so that none is padded for another."""
    by_length = sorted(range(len(contexts)), key=lambda place: len(contexts[place]))
    made = []
    for _, group in groupby(by_length, key=lambda place: len(contexts[place])):
        places = list(group)
        for start in range(0, len(places), size):
            part = tuple(places[start : start + size])
            made.append(Batch(part, tuple(contexts[place] for place in part)))
    return tuple(made)


def seen(windows: Sequence[Window]) -> list[np.ndarray]:
    """What a model sees of each window."""
    return [window.seen for window in windows]


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
        state = self.model.encode(batch.contexts)
        size = _bytes(state)
        if size <= self._room:
            self._states[batch.places] = state
            self._room -= size
        return state


def _bytes(state: Any) -> int:
    parts = [getattr(state, one.name) for one in fields(state)] if is_dataclass(state) else [state]
    return sum(one.nbytes for one in parts if isinstance(one, Tensor))
