"""What every part wrote towards the forecast: effects on one number for each step.

With the scale of the final norm frozen at the full stream, the effect of a write w is
readout(stream) - readout(stream - w), at the number that is aimed at (see Reading.aim). Where the
readout is linear, effects of the embedding, heads, MLPs and biases sum to that number; elsewhere
what they lack is the remainder. Only what is written to the tokens that are read counts: what a
part writes to others reaches the forecast through later attention, and is not direct.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tsfm_probe.attribution.target import Target
from tsfm_probe.attribution.through import Through
from tsfm_probe.attribution.walk import Glimpse
from tsfm_probe.attribution.writes import BIAS, EMBEDDING, HEAD, MLP, layers, writes
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import Aimed

Effect = Callable[[Tensor], Tensor]
"""From a write [row, token, d] to its effect [row, step]."""

COLUMNS = ("path", "kind", "address", "step", "effect", "size", "count")
DIRECT, THROUGH = "direct", "through cross-attention"
REMAINDER, WHOLE = "(remainder)", "prediction"
SUMMED = (EMBEDDING, HEAD, MLP, BIAS)
"""The kinds whose writes sum to the final stream."""


class Effects:
    """Means over cases of the effect of every part on every step of the horizon."""

    def __init__(self, model: Model, target: Target, horizon: int) -> None:
        self.model = model
        self.target = target
        self.horizon = horizon
        self._sums: dict[tuple[str, str, str], np.ndarray] = {}

    @torch.no_grad()
    def add(self, glimpse: Glimpse, through: Through | None = None) -> None:
        """Add one pass; through: what the encoder's parts write through cross-attention in it."""
        aimed = self.target.aimed(glimpse)
        whole = aimed(glimpse.made.prediction)
        effect = effect_on(self.model, glimpse, aimed)
        summed = torch.zeros_like(whole, dtype=torch.float64)
        anatomy = self.model.anatomy
        own = writes(anatomy, anatomy.reads.name, glimpse.record, glimpse.tokens)
        for one in (*own, *layers(anatomy, glimpse)):
            found = effect(one.value)
            self._keep(glimpse, (DIRECT, one.kind, one.address), found)
            if one.kind in SUMMED:
                summed += found
        for one in through.writes(glimpse) if through else ():
            self._keep(glimpse, (THROUGH, one.kind, one.address), effect(one.value))
        self._keep(glimpse, (DIRECT, REMAINDER, REMAINDER), whole - summed)
        self._keep(glimpse, (DIRECT, WHOLE, WHOLE), whole)

    def _keep(self, glimpse: Glimpse, key: tuple[str, str, str], found: Tensor) -> None:
        """Add effects [row, step]: their sum, that of their sizes, and how many there are."""
        values = found.detach().double().cpu().numpy()
        known = ~np.isnan(values)
        values = np.where(known, values, 0.0)
        first = glimpse.made.first
        sums = self._sums.setdefault(key, np.zeros((3, self.horizon)))
        steps = slice(first, first + values.shape[1])
        sums[:, steps] += np.stack([values.sum(0), np.abs(values).sum(0), known.sum(0)])

    def table(self) -> pd.DataFrame:
        """Columns COLUMNS; effect, size: means over cases of the effect and of its absolute value.

        step: from 0. count: how many cases had a number to aim at.
        """
        rows = [
            (*key, step, total / count, size / count, int(count))
            for key, sums in self._sums.items()
            for step, (total, size, count) in enumerate(sums.T)
            if count
        ]
        return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def effect_on(model: Model, glimpse: Glimpse, aimed: Aimed) -> Effect:
    """The effect of what is written to the tokens that are read, on what is aimed at in a pass."""
    stream = glimpse.streams[-1]
    read = model.readout(stream)
    if model.linear_readout:
        return linear(read, aimed, stream)
    whole = aimed(read(stream))
    return lambda write: whole - aimed(read(stream - write))


def linear(read: Aimed, aimed: Aimed, stream: Tensor) -> Effect:
    """The effect of a write under a linear readout: its product with the readout's derivative."""
    with torch.enable_grad():
        point = stream.detach().clone().requires_grad_()
        made = aimed(read(point))
        slopes = [
            torch.autograd.grad(one.nansum(), point, retain_graph=True)[0]
            for one in made.unbind(dim=1)
        ]
    slope, undefined = torch.stack(slopes, dim=1).double(), made.detach().isnan()

    def effect(write: Tensor) -> Tensor:
        found = torch.einsum("rstd,rtd->rs", slope, write.double())
        return found.masked_fill(undefined, torch.nan)

    return effect
