"""Motifs said again and again, most of them without structure: only copying forecasts them.

Made a batch at a time, faster than a training step, with the periods that the curriculum asks for.
"""

from dataclasses import dataclass

import numpy as np
from parts import Rng, heights

HARMONICS = 8


@dataclass(frozen=True)
class Wish:
    """The motifs that are asked for.

    token: a period is a whole number of these steps with probability `aligned`.
    shortest, longest: bounds of the period in steps.
    noisy: share of them with noise.
    smooth: share of them that are a few waves instead of having no structure.
    leaning: share of them with a slope, and with a size that changes.
    wandering: share of them whose level is a random walk.
    """

    token: int
    aligned: float
    shortest: int
    longest: int
    noisy: float
    smooth: float = 0.0
    leaning: float = 0.15
    wandering: float = 0.0


def periods(rng: Rng, rows: int, wish: Wish) -> np.ndarray:
    """Log-uniform whole periods, some of them whole numbers of tokens: [series]."""
    low, high = np.log(wish.shortest), np.log(wish.longest + 1)
    free = np.floor(np.exp(rng.uniform(low, high, rows))).astype(int)
    whole = np.maximum(np.round(free / wish.token), 1).astype(int) * wish.token
    fits = (whole >= wish.shortest) & (whole <= wish.longest)
    return np.where((rng.random(rows) < wish.aligned) & fits, whole, free)


def stretches(rng: Rng, period: np.ndarray) -> np.ndarray:
    """One motif per row, of mean 0 and variance 1 over its period: [series, longest period].

    White noise, a walk, smoothed noise, levels that jump, or few spikes.
    """
    rows, longest = len(period), int(period.max())
    white = rng.standard_normal((rows, longest))
    kind = rng.choice(5, rows, p=[0.35, 0.25, 0.2, 0.1, 0.1])[:, None]
    smooth = (white + np.roll(white, 1, 1) + np.roll(white, 2, 1) + np.roll(white, -1, 1)) / 2
    held = rng.random((rows, longest)) < 0.3
    held[:, 0] = True
    last = np.maximum.accumulate(np.where(held, np.arange(longest), 0), axis=1)
    jumps = np.take_along_axis(white, last, axis=1)
    spikes = np.abs(white) ** 2 * (rng.random((rows, longest)) < 0.25) + 0.05 * white
    values = np.select(
        [kind == 0, kind == 1, kind == 2, kind == 3],
        [white, np.cumsum(white, 1), smooth, jumps],
        spikes,
    )
    return levelled(values, period)


def waves(rng: Rng, period: np.ndarray) -> np.ndarray:
    """One smooth motif per row, of mean 0 and variance 1 over its period: [series, longest period].

    The first eight harmonics at random phases; how fast they get smaller differs by row.
    """
    rows, order = len(period), np.arange(1, HARMONICS + 1)
    sizes = rng.standard_normal((rows, HARMONICS)) * order ** -rng.uniform(0.5, 3.0, (rows, 1))
    sizes[:, 1:] *= order[1:] * 2 < period[:, None]
    turns = 2 * np.pi * np.arange(period.max())[:, None] / period[:, None, None] * order
    phases = rng.uniform(0, 2 * np.pi, (rows, 1, HARMONICS))
    return levelled(np.einsum("rtk,rk->rt", np.cos(turns + phases), sizes), period)


def levelled(values: np.ndarray, period: np.ndarray) -> np.ndarray:
    """The same rows with mean 0 and variance 1 over their period: [series, longest period]."""
    inside = np.arange(values.shape[1]) < period[:, None]
    mean = (values * inside).sum(1, keepdims=True) / period[:, None]
    spread = np.sqrt((((values - mean) * inside) ** 2).sum(1, keepdims=True) / period[:, None])
    return (values - mean) / np.maximum(spread, 1e-3)


def repeated(rng: Rng, rows: int, length: int, wish: Wish) -> np.ndarray:
    """Series of repeated motifs at any phase, clean or noisy, on any level: [series, time].

    Some have noise, a slope, a slowly changing size or a level that wanders; the others repeat
    exactly.
    """
    period = periods(rng, rows, wish)
    place = (np.arange(length) + rng.integers(0, period)[:, None]) % period[:, None]
    motifs = stretches(rng, period)
    if wish.smooth:
        motifs = np.where(rng.random((rows, 1)) < wish.smooth, waves(rng, period), motifs)
    values = np.take_along_axis(motifs, place, axis=1)
    time = np.linspace(0, 1, length)
    luck = rng.random((rows, 3))
    slope = rng.normal(0, 1.5, rows) * (luck[:, 0] < wish.leaning)
    growth = rng.normal(0, 0.5, rows) * (luck[:, 1] < wish.leaning)
    noise = 10 ** rng.uniform(-2.0, -0.3, rows) * (luck[:, 2] < wish.noisy)
    values = values * np.exp(growth[:, None] * time) + slope[:, None] * time
    values = values + noise[:, None] * rng.standard_normal((rows, length))
    if wish.wandering:
        step = 10 ** rng.uniform(-2.5, -0.7, rows) * (rng.random(rows) < wish.wandering)
        values = values + step[:, None] * np.cumsum(rng.standard_normal((rows, length)), 1)
    above = heights(rng, rows)
    below = np.where(rng.random(rows) < 0.15, -1, 1)
    return (values + (above * below)[:, None]).astype(np.float32)
