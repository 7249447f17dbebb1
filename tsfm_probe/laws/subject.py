"""What a law is tried on, and what was found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.errors import ProbeError
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.record import Record, recorded

EXACT, ROUNDING = 0.0, 1e-5
SAMPLES = 4


@dataclass(frozen=True)
class Finding:
    """How far one law is from holding.

    number, law: which one. deviation: what was measured. allowed: the largest deviation at which
    the law holds. note: what else there is to say. tried: False where it could not be.
    """

    number: int
    law: str
    deviation: float
    allowed: float
    note: str = ""
    tried: bool = True

    @property
    def holds(self) -> bool:
        """Whether the law was tried and holds; never on NaN."""
        return self.tried and self.deviation <= self.allowed

    @property
    def fails(self) -> bool:
        """Whether the law was tried and does not hold."""
        return self.tried and not self.holds


@dataclass(frozen=True, eq=False)
class Subject:
    """What the laws are tried on: a model, contexts ([time] each) and a horizon.

    groups: for each series the number of its group, where the model can read several jointly.
    """

    model: Model
    contexts: Sequence[np.ndarray]
    horizon: int
    groups: Sequence[int] | None = None

    @classmethod
    def of(cls, model: Model, contexts: Sequence[np.ndarray], horizon: int) -> "Subject":
        """The series in pairs, so that attention between series has something to read."""
        pairs = [place // 2 for place in range(len(contexts))]
        return cls(model, contexts, horizon, pairs if model.joint else None)

    def _run(self, horizon: int) -> np.ndarray:
        return self.model.forecast(
            self.contexts, horizon, samples=SAMPLES, groups=self.groups
        ).values

    def forecast(self, *edits: Edit) -> np.ndarray:
        """The forecast under these edits."""
        with edited(self.model.anatomy, edits):
            return self._run(self.horizon)

    def record(
        self,
        *edits: Edit,
        addresses: Sequence[Address] = (),
        streams: Sequence[str] = (),
        output: bool = False,
        horizon: int = 0,
    ) -> Record:
        """What is recorded of one forecast under these edits."""
        anatomy = self.model.anatomy
        with edited(anatomy, edits), recorded(anatomy, addresses, streams, output) as record:
            self._run(horizon or self.horizon)
        return record

    def output(self, *edits: Edit) -> Tensor:
        """The first prediction, before it is scaled back, under these edits."""
        return self.record(*edits, output=True, horizon=1).output[0].float()


def attentions(model: Model) -> list[Address]:
    """Every attention of a network."""
    return [at for at in model.anatomy.parts if model.anatomy[at].heads]


def heads_of(model: Model, at: Address) -> list[Address]:
    """The heads of one attention."""
    return [one for one in model.anatomy.heads if one.whole == at]


def relative(found: Tensor | np.ndarray, expected: Tensor | np.ndarray) -> float:
    """Largest difference over the largest expected value; infinite where either is undefined."""
    one, two = torch.as_tensor(found).double(), torch.as_tensor(expected).double()
    if one.shape != two.shape:
        raise ProbeError("two tensors were to be compared", f"{one.shape} and {two.shape}")
    off = float((one - two).detach().abs().max() / two.detach().abs().max().clamp_min(1e-12))
    return off if math.isfinite(off) else math.inf
