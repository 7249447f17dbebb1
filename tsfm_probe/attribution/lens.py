"""The logit lens: the forecast that the stream after each layer would make (nostalgebraist 2020).

The final norm and the readout of the network are applied to the stream that enters the first layer
and to that which leaves each layer.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy.signal import find_peaks

from tsfm_probe.attribution.walk import Glimpse
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import LEVELS

COLUMNS = ("layer", "step", "measure", "value", "count")
ERRORS = ("case", "layer", "error")
LIKELY, TOP = 0.01, 10
HEIGHT, APART = 0.02, 2
"""How high a peak is at least, and how many bins the next one is away at least."""
CLOSE = 1.05
MIDDLE, LOW, HIGH = LEVELS.index(0.5), 0, len(LEVELS) - 1


class Lens:
    """What the forecasts of all layers have in common with the final one and with the truth.

    A layer is named by its number; "embedding" is the stream that enters the first one.
    """

    def __init__(self, model: Model, horizon: int) -> None:
        self.model = model
        self.horizon = horizon
        self.layers = ("embedding", *map(str, range(len(model.anatomy.reads.starts))))
        self._sums: dict[tuple[str, str], np.ndarray] = {}
        self._errors: dict[int, np.ndarray] = {}

    @torch.no_grad()
    def add(self, glimpse: Glimpse) -> None:
        """Add one pass over a batch."""
        made = glimpse.made
        predictions = [self.model.readout(one)(one) for one in glimpse.streams]
        forecasts = np.stack([made.quantiles(one) for one in predictions])
        steps = slice(made.first, made.first + made.steps)
        truth, scale = glimpse.cases.truth[:, steps], glimpse.cases.scale[:, None]
        error = np.abs(forecasts[..., MIDDLE] - truth) / scale
        self._keep(made.first, "error", error)
        self._keep(made.first, "distance from the last", self._distance(forecasts) / scale)
        self._keep(made.first, "width", (forecasts[..., HIGH] - forecasts[..., LOW]) / scale)
        chances = [made.reading.chances(one) for one in predictions]
        if found := [one.numpy() for one in chances if one is not None]:
            for name, values in distribution(np.stack(found)).items():
                self._keep(made.first, name, values)
        for place, values in zip(glimpse.places, error.swapaxes(0, 1), strict=True):
            sums = self._errors.setdefault(place, np.zeros((2, len(self.layers))))
            sums += np.stack([np.nansum(values, axis=1), (~np.isnan(values)).sum(axis=1)])

    @staticmethod
    def _distance(forecasts: np.ndarray) -> np.ndarray:
        return np.abs(forecasts[..., MIDDLE] - forecasts[-1:, ..., MIDDLE])

    def _keep(self, first: int, measure: str, values: np.ndarray) -> None:
        """Add values [layer, row, step] of the steps from `first` on; NaN does not count."""
        known = ~np.isnan(values)
        added = np.stack([np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)])
        for number, layer in enumerate(self.layers):
            sums = self._sums.setdefault((layer, measure), np.zeros((2, self.horizon)))
            sums[:, first : first + values.shape[2]] += added[:, number]

    def table(self) -> pd.DataFrame:
        """Columns COLUMNS: means over cases by layer and step; step: from 0.

        error: of the layer's own median, in the scale of the cases; distance from the last: of the
        layer's median from that of the last layer, in the same; width: from the lowest to the
        highest of LEVELS, in the same. For bins of values see `distribution`.
        """
        rows = [
            (layer, step, measure, total / count, int(count))
            for (layer, measure), sums in self._sums.items()
            for step, (total, count) in enumerate(sums.T)
            if count
        ]
        return pd.DataFrame(rows, columns=pd.Index(COLUMNS))

    def errors(self) -> pd.DataFrame:
        """Columns ERRORS: the mean error over the steps of each case."""
        rows = [
            (place, layer, total / count if count else math.nan)
            for place, (totals, counts) in sorted(self._errors.items())
            for layer, total, count in zip(self.layers, totals, counts, strict=True)
        ]
        return pd.DataFrame(rows, columns=pd.Index(ERRORS))


def distribution(chances: np.ndarray) -> Mapping[str, np.ndarray]:
    """What is told of chances [layer, row, step, bin] of bins of values: [layer, row, step] each.

    entropy: in nats. likely bins: how many have more than LIKELY. top entropy: that of the TOP most
    likely bins, their chances brought to a sum of one. peaks: maxima of at least HEIGHT that lie
    APART bins apart, as the "lines of thought" of Bao et al. 2026 (arXiv 2602.01605); those in the
    first and in the last bin count. divergence: of the layer from the last one, the sum of
    p ln(p / q) with p of the last layer.
    """
    smallest = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(chances, smallest))
    top = np.sort(chances, axis=-1)[..., -TOP:]
    top = top / top.sum(axis=-1, keepdims=True)
    last = chances[-1:]
    return {
        "entropy": -(chances * logs).sum(axis=-1),
        "likely bins": (chances > LIKELY).sum(axis=-1).astype(float),
        f"top {TOP} entropy": -(top * np.log(np.maximum(top, smallest))).sum(axis=-1),
        "peaks": np.apply_along_axis(_peaks, -1, chances),
        "divergence": (last * (logs[-1:] - logs)).sum(axis=-1),
    }


def _peaks(chances: np.ndarray) -> float:
    return float(len(find_peaks(np.pad(chances, 1), height=HEIGHT, distance=APART)[0]))


def crystallisation(errors: Sequence[float]) -> int:
    """The first layer from which on every error is at most CLOSE times the last one: its place."""
    far = np.flatnonzero(~(np.asarray(errors) <= CLOSE * errors[-1]))
    return int(far[-1]) + 1 if len(far) else 0
