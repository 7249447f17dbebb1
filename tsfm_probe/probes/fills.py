"""What is written in place of an ablated part: zero, its mean, or its value on another window."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.errors import UsageError
from tsfm_probe.models.draws import known
from tsfm_probe.probes.batches import Batch, resized
from tsfm_probe.surgery.edit import Edit, Tape
from tsfm_probe.surgery.record import recorded

METHODS = ("zero", "mean", "resample")
Run = Callable[[Batch], object]


class Fill(ABC):
    """The edits that ablate parts on a batch of windows."""

    @abstractmethod
    def edits(self, at: Sequence[Address], batch: Batch) -> list[Edit]:
        """One edit for each address."""


class Zero(Fill):
    """A head's slice, or a part's write, becomes zero, or its own value times `scale`."""

    def __init__(self, scale: float = 0.0) -> None:
        self.scale = scale

    def edits(self, at: Sequence[Address], batch: Batch) -> list[Edit]:
        """One edit for each address."""
        return [Edit(one, scale=self.scale) for one in at]


class _Recorded(Fill):
    """A fill that needs what the parts wrote before: recorded for one set of components at a time.

    Consecutive trials on heads of the same attention share one recording.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._asked: frozenset[Address] = frozenset()

    def prepare(self, at: Sequence[Address]) -> None:
        """Record what `at` and, for heads, the other heads of its attentions write."""
        wanted = frozenset(
            head
            for one in at
            for head in ([one] if one.head is None else self.anatomy.heads)
            if head.whole == one.whole
        )
        if wanted != self._asked:
            self._asked = frozenset()
            self.record(sorted(wanted))
            self._asked = wanted

    @abstractmethod
    def record(self, addresses: Sequence[Address]) -> None:
        """Run the model and keep what is needed of these addresses."""


class Mean(_Recorded):
    """A slice or write becomes its mean over the windows of the run.

    The mean is taken per position where all windows have the same length, else over positions
    too; for each time that a part runs within a forecast on its own.
    """

    def __init__(self, anatomy: Anatomy, batches: Sequence[Batch], run: Run) -> None:
        super().__init__(anatomy)
        self.batches = batches
        self.run = run
        self._means: dict[Address, Tape] = {}

    def record(self, addresses: Sequence[Address]) -> None:
        """Average over all batches, one at a time."""
        sums: dict[Address, list[dict[int, Tensor]]] = {at: [] for at in addresses}
        for batch in self.batches:
            with recorded(self.anatomy, addresses) as record:
                self.run(batch)
            for at, runs in record.parts.items():
                for number, value in enumerate(runs):
                    if number == len(sums[at]):
                        sums[at].append({})
                    length = value.shape[1]
                    exact = value.float()  # a count in half precision ends at 256 or 2,048
                    total = torch.cat([exact, torch.ones_like(exact[..., :1])], -1).sum(0)
                    sums[at][number][length] = sums[at][number].get(length, 0) + total
        self._means = {at: tuple(map(_mean, runs)) for at, runs in sums.items()}

    def edits(self, at: Sequence[Address], batch: Batch) -> list[Edit]:
        """One edit for each address."""
        self.prepare(at)
        return [Edit(one, self._means[one]) for one in at]


def _mean(by_length: dict[int, Tensor]) -> Tensor:
    """The mean [time, d] or, of several lengths, [1, d]; from sums with a count as last column."""
    totals = list(by_length.values())
    total = totals[0] if len(totals) == 1 else sum(one.sum(0, keepdim=True) for one in totals)
    total = torch.as_tensor(total)
    return total[..., :-1] / total[..., -1:]


class Resample(_Recorded):
    """A slice or write becomes the value that it has on another window.

    The other window belongs to another series where there is one; its context is brought to the
    same length, cut, or continued to the left with its first value, since networks that skip
    missing values at the start would read fewer tokens of it.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        batches: Sequence[Batch],
        contexts: Sequence[np.ndarray],
        donors: Sequence[int],
        run: Run,
    ) -> None:
        super().__init__(anatomy)
        self.donated = {
            batch.places: Batch(
                batch.places,
                tuple(
                    _donated(contexts[donors[place]], len(own))
                    for place, own in zip(batch.places, batch.contexts, strict=True)
                ),
                batch.groups,
            )
            for batch in batches
        }
        self.run = run
        self._tapes: dict[tuple[tuple[int, ...], Address], Tape] = {}

    def record(self, addresses: Sequence[Address]) -> None:
        """Keep what is written on the other windows."""
        self._tapes = {}
        for places, batch in self.donated.items():
            with recorded(self.anatomy, addresses) as record:
                self.run(batch)
            for at, runs in record.parts.items():
                self._tapes[places, at] = tuple(runs)

    def edits(self, at: Sequence[Address], batch: Batch) -> list[Edit]:
        """One edit for each address."""
        self.prepare(at)
        return [Edit(one, self._tapes[batch.places, one]) for one in at]


def donors(series: Sequence[str], seed: int) -> list[int]:
    """For every window another one, of another series where there is one, drawn by seed.

    series: the name of each window's series. Raises UsageError for a single window.
    """
    if len(series) < 2:
        raise UsageError(
            "ablation by another window's values", "there is one window", "two at least: --windows"
        )
    rng = np.random.default_rng(seed)
    names = np.array(series)
    chosen = []
    for place, own in enumerate(names):
        others = np.flatnonzero(names != own)
        if not len(others):
            others = np.delete(np.arange(len(names)), place)
        chosen.append(int(rng.choice(others)))
    return chosen


def _donated(context: np.ndarray, length: int) -> np.ndarray:
    begun = known(context)
    return resized(begun, length, begun[0])
