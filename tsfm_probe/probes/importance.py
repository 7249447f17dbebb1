"""How much a head matters by its derivative: gates on what it writes, and attribution patching.

Both need one scalar per window. It is L = sum(w * prediction) / sqrt(number of values), where
"prediction" is all that Model.predict gives for the window, before it is scaled back, and w are
standard normal numbers that depend on the seed and the window alone. It is the same for every
family, it needs no target, and no change of the prediction is invisible to it: over draws of w the
mean of |dL| is sqrt(2 / pi) times the root mean square of the change of the prediction's values.
(The squared change of the prediction would not do: at the untouched network, where the derivative
is taken, it has its minimum, and the derivative is zero for every head.) What it cannot see is
whether the change is for better or worse. Series are read alone, also where a run forecasts them
jointly.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job
from tsfm_probe.probes.batches import batches
from tsfm_probe.probes.fills import donors
from tsfm_probe.surgery.edit import Edit, Tape, edited
from tsfm_probe.surgery.record import Record, recorded

GRADIENTS = 10
"""A pass with gradients keeps everything: its batches are that much smaller than a sweep's."""


@dataclass(frozen=True, eq=False)
class Passage:
    """One batch of windows after its pass with gradients.

    written: by address, what a head or part wrote: [row, time, d], detached; a row is a window.
    slopes: the derivative of L, summed over the windows, at what was written; of the same shape.
    donated: what is written on the other windows (see fills.donors), of the same shape; the last
    tokens belong together, and before a shorter one stands what is written itself. Empty where it
    was not asked for.
    streams: by (stack, layer), the stream that enters the layer: [row, time, d], detached; the
    number of layers stands for the stream that leaves the last one. Empty likewise.
    """

    written: Mapping[Address, Tensor]
    slopes: Mapping[Address, Tensor]
    donated: Mapping[Address, Tensor]
    streams: Mapping[tuple[str, int], Tensor]

    def gates(self) -> dict[Address, Tensor]:
        """The derivative of L by a gate in front of what is written, at 1: [row]."""
        return {
            at: (slope.double() * self.written[at]).sum(dim=(1, 2))
            for at, slope in self.slopes.items()
        }

    def patches(self) -> dict[Address, Tensor]:
        """The change of L, to first order, if what the other window gives were written: [row]."""
        return {
            at: (self.slopes[at].double() * (other.double() - self.written[at])).sum(dim=(1, 2))
            for at, other in self.donated.items()
        }


def gradient_importance(job: Job, batch_size: int = 0) -> dict[Address, float]:
    """E |dL/d xi| over the job's windows at the gate xi = 1, for every head of the network.

    The gate multiplies what the head adds to the stream (Michel, Levy and Neubig 2019, Are Sixteen
    Heads Really Better than One?, arXiv 1905.10650); for L see above. One pass and one derivative
    per batch give all heads. batch_size: that of the job's sweep, 0 to choose.
    """
    totals = dict.fromkeys(job.model.anatomy.heads, 0.0)
    for passage in passages(job, job.model.anatomy.heads, batch_size):
        for at, gate in passage.gates().items():
            totals[at] += float(gate.abs().sum())
    return {at: total / len(job.windows) for at, total in totals.items()}


def attribution_patching(job: Job, batch_size: int = 0) -> dict[Address, float]:
    """E |(z' - z) . dL/dz| over the job's windows, for every head of the network.

    z is what the head writes, z' what it writes on another window, of another series where there is
    one: the change of L, to first order, if z' were patched in (Nanda 2023; Syed, Rager and Conmy
    2023, arXiv 2310.10348); for L see above. UsageError for a single window.
    """
    totals = dict.fromkeys(job.model.anatomy.heads, 0.0)
    others = donors([one.series for one in job.windows], job.setting.seed)
    for passage in passages(job, job.model.anatomy.heads, batch_size, others):
        for at, change in passage.patches().items():
            totals[at] += float(change.abs().sum())
    return {at: total / len(job.windows) for at, total in totals.items()}


def passages(
    job: Job,
    addresses: Sequence[Address],
    batch_size: int = 0,
    others: Sequence[int] = (),
    streams: Sequence[str] = (),
) -> Iterator[Passage]:
    """The job's windows in batches, each after one pass with gradients at these heads and parts.

    others: for each window the one whose values are donated; none if it is empty.
    streams: the stacks whose streams are recorded.
    """
    model = job.model
    contexts = [_begun(window.seen) for window in job.windows]
    size = max(1, job.sweep(batch_size).batch_size // GRADIENTS)
    for batch in batches(contexts, size):
        with _tied(model.anatomy, addresses, streams) as record:
            model.predict(batch.contexts)
        tied = {at: runs[0] for at, runs in record.parts.items()}
        loss = scalars(record.output[-1], batch.places, job.setting.seed).sum()
        slopes = torch.autograd.grad(loss, list(tied.values()), materialize_grads=True)
        written = {at: value.detach() for at, value in tied.items()}
        given = [contexts[others[at]][-len(contexts[at]) :] for at in batch.places if others]
        yield Passage(
            written,
            dict(zip(tied, slopes, strict=True)),
            _donated(model, written, given) if others else {},
            {at: runs[0].detach() for at, runs in record.streams.items()},
        )


def scalars(prediction: Tensor, places: Sequence[int], seed: int) -> Tensor:
    """L of each window, [row], from its prediction [row, time, ...] and its number.

    See the beginning of this module.
    """
    flat = prediction.flatten(start_dim=1)
    drawn = [
        np.random.default_rng((seed, place)).standard_normal(flat.shape[1]) for place in places
    ]
    weights = torch.from_numpy(np.stack(drawn)).to(flat.device)
    return (flat.double() * weights).sum(dim=1) / flat.shape[1] ** 0.5


@contextmanager
def _tied(
    anatomy: Anatomy, addresses: Sequence[Address], streams: Sequence[str]
) -> Iterator[Record]:
    """Record what is written, and have the network go on with the very records.

    So the prediction can be derived by them, all in one pass, and no value changes. A record is
    made before the edit of the same place asks for it, because its hook was placed before.
    """
    with recorded(anatomy, addresses, streams, output=True) as record:
        edits = [Edit(at, cast("Tape", record.parts[at])) for at in addresses]
        heads = [edit for edit in edits if edit.at.head is not None]
        parts = [edit for edit in edits if edit.at.head is None]
        with edited(anatomy, heads), edited(anatomy, parts):
            yield record


@torch.no_grad()
def _donated(
    model: Model, written: Mapping[Address, Tensor], contexts: Sequence[np.ndarray]
) -> dict[Address, Tensor]:
    """What is written with a row's other context in place of its own; see Passage.

    Contexts of one length run together, so that no token is padding.
    """
    found = {at: value.clone() for at, value in written.items()}
    for batch in batches(contexts, len(contexts)):
        with recorded(model.anatomy, list(written)) as record:
            model.predict(batch.contexts)
        for at, runs in record.parts.items():
            found[at][list(batch.places), -runs[0].shape[1] :] = runs[0]
    return found


def _begun(context: np.ndarray) -> np.ndarray:
    """A context without the missing values before its first one, so that no token is padding."""
    return context[int(np.argmin(np.isnan(context))) :]
