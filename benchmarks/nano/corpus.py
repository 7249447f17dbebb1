"""The generated series that nano-chronos-bolt learns from: no measured value is among them.

A series is made from a level, seasons and noise whose sizes are drawn over orders of magnitude,
at the integer periods that clocks and calendars give; a smaller part are walks, counts, pulses,
cycles, Gaussian processes and chaotic flows. Then some are damaged as measured series are.
"""

from collections.abc import Callable

import numpy as np
from parts import LENGTH, Rng, drawn_periods, level, noise, pattern, remembering, season, standard
from scipy.signal import lfilter

from tsfm_probe.data.synthetic import KINDS


def simple(rng: Rng) -> np.ndarray:
    """A walk, or a steady season of few steps on a level with little noise: [time]."""
    if rng.random() < 0.25:
        return np.cumsum(rng.standard_normal(LENGTH))
    period = int(rng.choice([4, 7, 12, 24]))
    wave = np.resize(np.roll(pattern(rng, period), rng.integers(period)), LENGTH)
    rough = 10 ** rng.uniform(-2, -0.5) * rng.standard_normal(LENGTH)
    return wave + 10 ** rng.uniform(-1.5, 0.5) * level(rng) + rough


def seasonal(rng: Rng) -> np.ndarray:
    """Level, season and noise, added, or multiplied by taking the exponential: [time]."""
    wave = season(rng, drawn_periods(rng))
    total = 10 ** rng.uniform(-1.2, 0.7) * level(rng) + wave
    size = 10 ** rng.uniform(-1.8, 0.1)
    rough = noise(rng)
    if rng.random() < 0.2:
        rough = rough * np.exp(rng.uniform(0.2, 0.7) * wave)
    total = total + size * rough
    if rng.random() < 0.45:
        return np.exp(rng.uniform(0.1, 0.9) * np.clip(standard(total), -5, 5))
    return total


def wandering(rng: Rng) -> np.ndarray:
    """Prices and stocks: walks of steady or changing steps, with noise and damped drift: [time]."""
    steps = noise(rng)
    if rng.random() < 0.4:
        steps = steps + rng.uniform(0, 0.6) * remembering(rng, rng.uniform(0.8, 0.99))
    drift = rng.choice([0.0, rng.normal(0, 0.1)])
    path = np.asarray(lfilter([1.0], [1.0, -rng.choice([1.0, rng.uniform(0.9, 1)])], steps + drift))
    if rng.random() < 0.5:
        path = path + 10 ** rng.uniform(-0.5, 1.2) * rng.standard_normal(LENGTH)
    if rng.random() < 0.3:
        wave = season(rng, drawn_periods(rng))
        path = standard(path) + 10 ** rng.uniform(-1.5, 0) * wave
    return np.exp(0.5 * standard(path)) if rng.random() < 0.3 else path


def counted(rng: Rng) -> np.ndarray:
    """Whole numbers with a slowly and seasonally changing rate, many of them zero: [time]."""
    slow = rng.uniform(0, 0.7) * level(rng)
    wave = rng.choice([0.0, rng.uniform(0.1, 1.0)]) * season(rng, drawn_periods(rng))
    rate = np.exp(rng.uniform(-2.5, 3.5) + np.clip(slow + wave, -5, 5))
    if rng.random() < 0.5:
        shape = rng.uniform(0.3, 5)
        rate = rng.gamma(shape, rate / shape)
    values = rng.poisson(rate).astype(float)
    if rng.random() < 0.15:
        values = values * rng.gamma(1.0, 1.0, LENGTH)
    return values


def pulsed(rng: Rng) -> np.ndarray:
    """Rivers and rain: sudden rises that fall off slowly, more often in some seasons: [time]."""
    rate = 10 ** rng.uniform(-1.7, -0.3) * np.exp(rng.uniform(0, 1) * season(rng, (365,)))
    bursts = (rng.random(LENGTH) < rate) * rng.gamma(0.7, 1.0, LENGTH)
    fast, slow = rng.uniform(0.2, 0.9), rng.uniform(0.9, 0.995)
    flow = np.asarray(lfilter([1.0], [1.0, -fast], bursts))
    flow = flow + rng.uniform(0, 0.3) * np.asarray(lfilter([1.0], [1.0, -slow], bursts))
    return flow * np.exp(rng.uniform(0, 0.1) * rng.standard_normal(LENGTH))


def capped(rng: Rng) -> np.ndarray:
    """Speeds and loads: a plateau that the season's peaks and rare jams break into: [time]."""
    wave = season(rng, ((288,), (96,), (48, 336), (24, 168))[rng.integers(4)])
    jam = np.maximum(wave + 0.5 * remembering(rng, rng.uniform(0.7, 0.98)) - rng.uniform(0, 1), 0)
    return -rng.uniform(1, 6) * jam + rng.uniform(0.1, 1) * noise(rng)


def cycled(rng: Rng) -> np.ndarray:
    """Cycles whose length and height vary, as an autoregression of order two: [time]."""
    turn, damp = 2 * np.pi / 10 ** rng.uniform(0.7, 1.8), rng.uniform(0.9, 0.999)
    weights = [1.0, -2 * damp * np.cos(turn), damp**2]
    path = standard(np.asarray(lfilter([1.0], weights, rng.standard_normal(LENGTH + 300)))[300:])
    path = path + rng.uniform(0, 0.3) * rng.standard_normal(LENGTH)
    return path**2 if rng.random() < 0.2 else path


def of_kind(name: str) -> Callable[[Rng], np.ndarray]:
    """The maker of one kind of the package's own generated series."""
    return lambda rng: KINDS[name](rng, LENGTH)


MAKERS: tuple[tuple[Callable[[Rng], np.ndarray], float], ...] = (
    (simple, 0.10),
    (seasonal, 0.51),
    (wandering, 0.12),
    (counted, 0.08),
    (pulsed, 0.04),
    (capped, 0.03),
    (cycled, 0.03),
    (of_kind("gaussian"), 0.02),
    (of_kind("motif"), 0.02),
    (of_kind("intermittent"), 0.02),
    (of_kind("trend"), 0.01),
    (of_kind("autoregressive"), 0.01),
    (of_kind("flow"), 0.01),
)


def damaged(rng: Rng, values: np.ndarray) -> np.ndarray:
    """The series with, now and then, a shift, outliers, a floor, rounding or gaps: [time]."""
    values = standard(values)
    luck = rng.random(6)
    if luck[0] < 0.04:
        values = values + rng.normal(0, 2) * (np.arange(LENGTH) > rng.integers(LENGTH))
    if luck[1] < 0.06:
        hit = rng.random(LENGTH) < rng.uniform(0.002, 0.02)
        values = values + hit * rng.standard_t(3, LENGTH) * 4
    if luck[2] < 0.04:
        values = np.maximum(values, np.quantile(values, rng.uniform(0.05, 0.5)))
    if luck[3] < 0.08:
        grain = 10 ** rng.uniform(-1.3, 0)
        values = np.round(values / grain) * grain
    if luck[4] < 0.1:
        values = -values
    if luck[5] < 0.07:
        first = rng.integers(LENGTH, size=rng.integers(1, 5))
        gap = rng.integers(1, 60, size=len(first))
        for start, size in zip(first, gap, strict=True):
            values[start : start + size] = np.nan
        values[rng.random(LENGTH) < rng.choice([0.0, rng.uniform(0, 0.2)])] = np.nan
    return values


def made(rng: Rng) -> np.ndarray:
    """One series of the corpus, one in twelve being a mixture of two: [time], float32."""
    weights = [weight for _, weight in MAKERS]
    parts = [
        standard(MAKERS[rng.choice(len(MAKERS), p=weights)][0](rng))
        for _ in range(2 if rng.random() < 0.08 else 1)
    ]
    share = rng.dirichlet(np.ones(len(parts)))
    return damaged(rng, share @ np.stack(parts)).astype(np.float32)
