"""Examples of what layers would forecast, prepared once for page and pictures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

PANELS = 9
ROWS = 40
BEFORE = 1
"""Horizons of the context that are drawn."""
FIRST = "embedding"


@dataclass(frozen=True, eq=False)
class View:
    """One window as the layers see it; steps count from 1, the context ends at 0.

    layers: those that are drawn; all_layers: whether they are all. fans: [step, level] of each.
    grids: chances [row, step] of each, empty where there are no bins; edges: [row + 1] of values.
    top: the chance of the darkest colour. span: the values at the ends of the axis.
    context, truth: steps and values.
    """

    case: int
    layers: tuple[str, ...]
    all_layers: bool
    fans: tuple[np.ndarray, ...]
    grids: tuple[np.ndarray, ...]
    edges: np.ndarray
    top: float
    span: tuple[float, float]
    context: tuple[np.ndarray, np.ndarray]
    truth: tuple[np.ndarray, np.ndarray]


def layer_title(layer: str) -> str:
    """What a layer is called in a title."""
    return f"After layer {layer}" if layer.isdigit() else layer.capitalize()


def views(forecasts: pd.DataFrame, bins: pd.DataFrame, series: pd.DataFrame) -> tuple[View, ...]:
    """A view of each case; columns as in attribution.examples."""
    return tuple(
        _view(
            int(str(case)), rows, bins.loc[bins["case"] == case], series.loc[series["case"] == case]
        )
        for case, rows in forecasts.groupby("case", sort=False)
    )


def chosen(layers: list[str]) -> tuple[str, ...]:
    """At most PANELS layers, evenly spaced, the first and the last among them."""
    count = min(PANELS, len(layers))
    return tuple(layers[int(place)] for place in np.linspace(0, len(layers) - 1, count).round())


def _view(case: int, rows: pd.DataFrame, bins: pd.DataFrame, series: pd.DataFrame) -> View:
    every = [str(one) for one in rows["layer"].unique()]
    layers = chosen(every)
    fans = {
        layer: rows.loc[rows["layer"] == layer].pivot(index="step", columns="level", values="value")
        for layer in layers
    }
    horizon = len(fans[layers[-1]])
    context, truth = (_line(series.loc[series["role"] == role]) for role in ("context", "truth"))
    recent = context[0] > -BEFORE * horizon
    context = context[0][recent], context[1][recent]
    last = fans[layers[-1]].to_numpy()
    seen = np.concatenate([context[1], truth[1], last.ravel()])
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    pad = 0.12 * (high - low) or 1.0
    span = low - pad, high + pad
    edges = _edges(np.unique(bins["value"].to_numpy(float)), span)
    grids = tuple(
        _grid(bins.loc[bins["layer"] == layer], edges, horizon) for layer in layers if len(bins)
    )
    top = float(grids[-1].max()) if grids else 0.0
    return View(
        case,
        layers,
        len(layers) == len(every),
        tuple(fans[layer].to_numpy() for layer in layers),
        grids,
        edges,
        top or 1.0,
        span,
        context,
        truth,
    )


def _line(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return rows["step"].to_numpy(int) + 1, rows["value"].to_numpy(float)


def _edges(values: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """The sides of the rows of a map: each holds as many bins, or one where bins are wide."""
    low, high = span
    inside = values[(values >= low) & (values <= high)]
    gaps = np.diff(inside)
    wide = gaps[gaps > 1e-9 * (high - low)]
    if not len(wide) or (high - low) / wide.min() > ROWS:
        return np.linspace(low, high, ROWS + 1)
    width = float(wide.min())
    first = inside[0] - width * (np.floor((inside[0] - low) / width) + 0.5)
    return first + width * np.arange(int(np.ceil((high - first) / width)) + 1)


def _grid(rows: pd.DataFrame, edges: np.ndarray, horizon: int) -> np.ndarray:
    found, _, _ = np.histogram2d(
        rows["value"].to_numpy(float),
        rows["step"].to_numpy(float),
        bins=(edges, np.arange(horizon + 1) - 0.5),
        weights=rows["chance"].to_numpy(float),
    )
    return found
