"""What every layer would forecast of a few cases, for a page to draw."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch

from tsfm_probe.attribution.walk import Cases, Glimpse
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import LEVELS, Bins

FORECASTS = ("case", "layer", "step", "level", "value")
BINS = ("case", "layer", "step", "value", "chance")
SERIES = ("case", "role", "step", "value")
SMALLEST = 1e-3
"""Chances below it are not drawn."""
BEFORE = 4
"""Horizons of the context that are drawn."""


class Examples:
    """The forecasts of all layers for the cases at some places."""

    def __init__(self, model: Model, places: Sequence[int]) -> None:
        self.model = model
        self.places = places
        self._forecasts: list[tuple[object, ...]] = []
        self._bins: list[tuple[object, ...]] = []
        self._series: list[tuple[object, ...]] = []

    @torch.no_grad()
    def add(self, glimpse: Glimpse) -> None:
        """Add what a pass says of them."""
        for row, place in enumerate(glimpse.places):
            if place not in self.places:
                continue
            if not glimpse.number:
                self._series += _shown(place, glimpse.cases, row)
            for number, stream in enumerate(glimpse.streams):
                layer = str(number - 1) if number else "embedding"
                self._layer(place, layer, row, stream, glimpse)

    def _layer(
        self, place: int, layer: str, row: int, stream: torch.Tensor, glimpse: Glimpse
    ) -> None:
        made = glimpse.made
        prediction = self.model.readout(stream)(stream)
        for (step, level), value in np.ndenumerate(made.quantiles(prediction)[row]):
            self._forecasts.append((place, layer, made.first + step, LEVELS[level], float(value)))
        reading = made.reading
        chances = reading.chances(prediction)
        if chances is None or not isinstance(reading, Bins):
            return
        for (step, token), chance in np.ndenumerate(chances[row].numpy()):
            if chance >= SMALLEST:
                value = float(reading.values[row, token])
                self._bins.append((place, layer, made.first + step, value, float(chance)))

    def tables(self) -> dict[str, pd.DataFrame]:
        """forecasts: FORECASTS, quantiles by layer. bins: BINS, chances by layer where there are.

        series: SERIES, the end of the context (steps below 0) and the truth (from 0).
        """
        return {
            "forecasts": pd.DataFrame(self._forecasts, columns=pd.Index(FORECASTS)),
            "bins": pd.DataFrame(self._bins, columns=pd.Index(BINS)),
            "series": pd.DataFrame(self._series, columns=pd.Index(SERIES)),
        }


def _shown(place: int, cases: Cases, row: int) -> Iterator[tuple[object, ...]]:
    context = np.asarray(cases.contexts[row], dtype=float)[-BEFORE * cases.horizon :]
    for step, value in enumerate(context, -len(context)):
        yield place, "context", step, float(value)
    for step, value in enumerate(cases.truth[row]):
        yield place, "truth", step, float(value)
