"""Overthinking: error by layer on contexts with a true and with a misleading motif.

After Halawi, Denain and Steinhardt 2023 (Overthinking the Truth, arXiv 2307.09476). A context shows
several times how a stretch A goes on, and ends with A. In the true one every A goes on with B, and
so does the truth. In the misleading one the A before the last one goes on with another stretch C,
while the truth is B as before. A layer that copies what followed last is better on the first and
worse on the second; the critical layer is where the two curves part.
"""

import math

import numpy as np
import pandas as pd

from tsfm_probe.attribution.lens import Lens
from tsfm_probe.attribution.walk import Cases, Walk
from tsfm_probe.bootstrap import stretch
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Progress

COLUMNS = ("layer", "true", "misleading", "difference", "low", "high")
KINDS = ("true", "misleading")
CASES, DRAWS = 32, 2000
SHORTEST, LONGEST = 8, 32
"""Steps of a stretch."""
ROUNDING = 1e-6
SHOWN = 4
"""How often a context shows A and what follows at most, beside the last A."""


def overthinking(
    model: Model, seed: int = 0, count: int = CASES, progress: Progress | None = None
) -> pd.DataFrame:
    """Columns COLUMNS, a row for each layer.

    true, misleading: mean errors of the layer's own forecast (see Lens), in units of the mean
    absolute difference of B's neighbours. difference: of the two, over cases, with its 95 %
    interval from resampled cases. For the critical layer see `critical`.
    """
    size = stretch_length(model.context_length)
    errors = []
    for done, kind in enumerate(KINDS, 1):
        cases = told(size, model.context_length, kind == "misleading", seed, count)
        errors.append(_errors(model, cases))
        if progress:
            progress(done, len(KINDS), f"{kind} motif")
    layers = list(errors[0].columns)
    true, false = (one.to_numpy() for one in errors)
    low, high = resampled(false - true, seed)
    means = (true.mean(0), false.mean(0), (false - true).mean(0))
    rows = zip(layers, *means, low, high, strict=True)
    return pd.DataFrame(list(rows), columns=pd.Index(COLUMNS))


def stretch_length(context: int) -> int:
    """Steps of A, B and C, so that a context shows them twice at least."""
    return max(1, min(LONGEST, max(SHORTEST, context // (2 * SHOWN + 1)), context // 5))


def told(size: int, length: int, misleading: bool, seed: int, count: int) -> Cases:
    """The cases; both kinds have the same stretches for the same seed."""
    contexts, truth, scale = [], [], []
    shown = max(2, min(SHOWN, (length - size) // (2 * size)))
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        begins, goes_on, other = (_stretch(rng, size) for _ in range(3))
        pairs = [np.concatenate([begins, goes_on])] * shown
        if misleading:
            pairs[-1] = np.concatenate([begins, other])
        contexts.append(np.concatenate([*pairs, begins])[-length:])
        truth.append(goes_on)
        scale.append(np.abs(np.diff(goes_on)).mean())
    return Cases(contexts, np.stack(truth), np.array(scale))


def _stretch(rng: np.random.Generator, size: int) -> np.ndarray:
    """A piece of a random walk of mean 0 and deviation 1, away from zero by 3."""
    walk = np.cumsum(rng.standard_normal(size))
    return (walk - walk.mean()) / max(float(walk.std()), 1e-9) + 3.0


def _errors(model: Model, cases: Cases) -> pd.DataFrame:
    """The error of each layer (column) in each case (row)."""
    lens = Lens(model, cases.horizon)
    for glimpse in Walk(model, cases).glimpses():
        lens.add(glimpse)
    table = lens.errors().pivot(index="case", columns="layer", values="error")
    return table.reindex(columns=list(lens.layers))


def resampled(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of the means of [case, layer] over resampled cases: low, high [layer]."""
    count = len(values)
    picked = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    centre, drawn = values.mean(axis=0), values[picked].mean(axis=1)
    factor = stretch(count) if count > 1 else math.nan
    low, high = np.quantile(centre + factor * (drawn - centre), (0.025, 0.975), axis=0)
    return low, high


def critical(table: pd.DataFrame) -> str:
    """The first layer from which on every interval lies above 0; "" if the last one does not.

    Differences as small as rounding are none.
    """
    apart = np.flatnonzero(~(table["low"] > ROUNDING * table["true"].abs()).to_numpy())
    first = int(apart[-1]) + 1 if len(apart) else 0
    return str(table["layer"].iloc[first]) if first < len(table) else ""
