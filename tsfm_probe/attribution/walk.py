"""A walk along forecasts, pass by pass, with what each pass wrote where its prediction is read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.data.series import Window
from tsfm_probe.metrics import seasonal_error
from tsfm_probe.models.base import Model
from tsfm_probe.models.passes import Pass
from tsfm_probe.probes.batches import batches, seen
from tsfm_probe.surgery.record import Record, recorded

ROWS = 16
"""Windows at once: what is recorded of one batch is all that is held at a time."""


@dataclass(frozen=True, eq=False)
class Cases:
    """What is forecast.

    contexts: [time] each. truth: [case, horizon] what follows, NaN where missing.
    scale: [case] in which errors are measured, NaN where there is none.
    """

    contexts: Sequence[np.ndarray]
    truth: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, windows: Sequence[Window]) -> "Cases":
        """Evaluation windows; errors are measured in seasonal errors of the history, as MASE."""
        scale = np.array([seasonal_error(one.history, one.season) for one in windows])
        truth = np.stack([np.asarray(one.target, dtype=np.float64) for one in windows])
        return cls(seen(windows), truth, np.where(scale > 0, scale, np.nan))

    @property
    def horizon(self) -> int:
        """Steps that are forecast."""
        return self.truth.shape[1]

    def taken(self, places: Sequence[int]) -> "Cases":
        """Some of them."""
        chosen = list(places)
        contexts = [self.contexts[place] for place in chosen]
        return Cases(contexts, self.truth[chosen], self.scale[chosen])


@dataclass(frozen=True, eq=False)
class Glimpse:
    """One pass over some cases, with what was recorded of it.

    made: the pass. number: its own, among those of its batch.
    places: which cases its rows are. cases: they themselves.
    streams: by layer, the stream [row, token, d] of the tokens whose prediction is read; the last
    one leaves the last layer.
    record: everything, of the stack that is read and of those before it, at all tokens.
    """

    made: Pass
    number: int
    places: Sequence[int]
    cases: Cases
    streams: Sequence[Tensor]
    record: Record

    @property
    def tokens(self) -> int:
        """How many of the last tokens are read."""
        return self.streams[0].shape[1]


@dataclass(frozen=True, eq=False)
class Walk:
    """Which forecasts are watched, and what of them is recorded.

    mixed: attentions whose heads are. parts: parts whose writes are. stacks: stacks whose streams
    are, besides the one that is read.
    """

    model: Model
    cases: Cases
    mixed: Sequence[Address] = ()
    parts: Sequence[Address] = ()
    stacks: Sequence[str] = ()
    rows: int = ROWS

    def batches(self) -> Iterator[tuple[tuple[int, ...], Cases]]:
        """The cases in batches whose contexts have one length, with their places."""
        for batch in batches(self.cases.contexts, self.rows):
            yield batch.places, self.cases.taken(batch.places)

    def glimpses(self) -> Iterator[Glimpse]:
        """Every pass over every batch; what a glimpse holds is gone with the next one."""
        for places, cases in self.batches():
            yield from self.along(places, cases)

    def along(
        self, places: Sequence[int], cases: Cases, path: np.ndarray | None = None
    ) -> Iterator[Glimpse]:
        """Every pass over one batch; path: see Model.trace.

        Nothing is hooked while a glimpse is looked at: modules may be run on it.
        """
        read, record = self.model.anatomy.reads, Record()
        passes = self.model.trace(cases.contexts, cases.horizon, path)
        for number in count():
            made = self._passed(passes, record)
            if made is None:
                return
            tokens = made.reading.tokens or made.prediction.shape[1]
            layers = range(len(read.starts) + 1)
            found = [record.streams[read.name, one][-1][:, -tokens:] for one in layers]
            yield Glimpse(made, number, places, cases, found, record)
            record.forget()

    def _passed(self, passes: Iterator[Pass], record: Record) -> Pass | None:
        """The next pass, what it does recorded; None after the last one."""
        anatomy = self.model.anatomy
        streams = tuple(dict.fromkeys((*self.stacks, anatomy.reads.name)))
        with recorded(anatomy, self.parts, streams, mixed=self.mixed, onto=record):
            return next(passes, None)
