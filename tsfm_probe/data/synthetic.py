"""Generated series of known structure: the data a probe runs on when none are given."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp
from scipy.signal import lfilter

from tsfm_probe.data.series import Series
from tsfm_probe.errors import UsageError, nearest

PERIODS = (4, 7, 12, 24, 48, 52)
START = pd.Timestamp.fromisoformat("2000-01-01")
Rng = np.random.Generator
Kind = Callable[[Rng, int], np.ndarray]


def periodic(rng: Rng, length: int, period: int | None = None, noise: float = 0.05) -> np.ndarray:
    """One pattern of random harmonics said again and again, with a little noise: [time].

    period: steps of one pattern, by default one of PERIODS.
    noise: standard deviation of the white noise in units of the pattern's own.
    """
    period = int(rng.choice(PERIODS)) if period is None else period
    pattern = _harmonics(rng, period)
    return np.resize(pattern, length) + noise * rng.standard_normal(length)


def motif(rng: Rng, length: int, size: int | None = None) -> np.ndarray:
    """An aperiodic stretch of a random walk, repeated exactly and end to end: [time].

    A forecast can only be good by copying, which is what parroting (Zhang and Gilpin 2025) and
    induction heads (Olsson et al. 2022) do. size: steps of the stretch, by default 24 to 96.
    """
    size = int(rng.integers(24, 97)) if size is None else size
    stretch = _standard(np.cumsum(rng.standard_normal(size)))
    return np.resize(stretch, length)


def autoregressive(
    rng: Rng, length: int, coefficients: tuple[float, ...] | None = None
) -> np.ndarray:
    """A stationary autoregression driven by white noise of unit variance: [time].

    coefficients: weights of the last values, nearest first (they must be stationary); by default
    a first-order memory of 0.5 to 0.95 with a small second-order part.
    """
    if coefficients is None:
        memory, second = rng.uniform(0.5, 0.95), rng.uniform(-0.5, 0.0)
        coefficients = (memory * (1 - second), second)
    shocks = rng.standard_normal(200 + length)  # the first 200 are for settling
    return np.asarray(lfilter([1.0], [1.0, *(-np.asarray(coefficients))], shocks))[200:]


def walk(rng: Rng, length: int, drift: float | None = None) -> np.ndarray:
    """A random walk with unit steps, whose best forecast is its last value: [time].

    drift: mean of a step, by default a small random one.
    """
    drift = rng.normal(0.0, 0.05) if drift is None else drift
    return np.cumsum(drift + rng.standard_normal(length))


def trend(rng: Rng, length: int, period: int | None = None, noise: float = 0.1) -> np.ndarray:
    """A straight trend with one bend, plus a season that grows with the level: [time].

    period: steps of one season, by default one of PERIODS.
    noise: standard deviation of the white noise, the season's own being 1 at the start.
    """
    period = int(rng.choice(PERIODS)) if period is None else period
    time = np.arange(length) / length
    bend = rng.uniform(0.3, 0.7)
    level = rng.normal(0, 6) * time + rng.normal(0, 6) * np.maximum(time - bend, 0)
    season = np.resize(_harmonics(rng, period), length) * (1 + rng.uniform(0, 1) * time)
    return level + season + noise * rng.standard_normal(length)


def intermittent(rng: Rng, length: int, interval: float | None = None) -> np.ndarray:
    """Demand that is zero most of the time, after Croston (1972): [time], whole numbers.

    interval: mean steps from one demand to the next (more than 1), by default 2 to 10.
    """
    interval = rng.uniform(2, 10) if interval is None else interval
    demanded = rng.random(length) < 1 / interval
    sizes = 1 + rng.poisson(rng.uniform(0.5, 5), length)
    return np.where(demanded, sizes, 0).astype(float)


@dataclass(frozen=True)
class Flow:
    """A chaotic system of three coordinates.

    rates: the change of (x, y, z) in unit time.
    start: a point near the attractor.
    step: time between two samples, about one thirtieth of a turn.
    """

    rates: Callable[[float, float, float], tuple[float, float, float]]
    start: tuple[float, float, float]
    step: float


def _thomas(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Thomas (1999), cyclically symmetric."""
    return (np.sin(y) - 0.208 * x, np.sin(z) - 0.208 * y, np.sin(x) - 0.208 * z)


def _halvorsen(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Halvorsen's cyclically symmetric system (in Sprott 2003)."""
    pull = -4 * (x + y + z)
    return (pull + 2.6 * x - y * y, pull + 2.6 * y - z * z, pull + 2.6 * z - x * x)


def _chen(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Chen and Ueta (1999)."""
    return (35 * (y - x), -7 * x - x * z + 28 * y, x * y - 3 * z)


def _dadras(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Dadras and Momeni (2009)."""
    return (y - 3 * x + 2.7 * y * z, 1.7 * y - x * z + z, 2 * x * y - 9 * z)


def _aizawa(x: float, y: float, z: float) -> tuple[float, float, float]:
    """The Aizawa (or Langford) system."""
    lift = 0.6 + 0.95 * z - z**3 / 3 - (x * x + y * y) * (1 + 0.25 * z) + 0.1 * z * x**3
    return ((z - 0.7) * x - 3.5 * y, 3.5 * x + (z - 0.7) * y, lift)


FLOWS: Mapping[str, Flow] = MappingProxyType(
    {
        # Lorenz (1963), Rossler (1976), Sprott (1994, case B).
        "lorenz": Flow(
            lambda x, y, z: (10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z), (1, 1, 20), 0.025
        ),
        "rossler": Flow(lambda x, y, z: (-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)), (5, 5, 0), 0.2),
        "thomas": Flow(_thomas, (1, 0, 1), 0.4),
        "halvorsen": Flow(_halvorsen, (-5, 0, 0), 0.05),
        "aizawa": Flow(_aizawa, (0.1, 0, 0), 0.06),
        "chen": Flow(_chen, (3, 3, 20), 0.015),
        "sprott": Flow(lambda x, y, z: (y * z, x - y, 1 - x * y), (0.5, 0.5, 0.5), 0.2),
        "dadras": Flow(_dadras, (1, 1, 0), 0.045),
    }
)


def flow(rng: Rng, length: int, system: str | None = None) -> np.ndarray:
    """The first coordinate of a chaotic flow on its attractor, with mean 0 and variance 1: [time].

    system: a name in FLOWS, by default a random one.
    """
    name = str(rng.choice(list(FLOWS))) if system is None else system
    if name not in FLOWS:
        raise UsageError(f"asked for the flow {name!r}", "no such flow", nearest(name, FLOWS))
    known = FLOWS[name]
    settle = 300
    times = np.arange(settle + length) * known.step
    start = np.asarray(known.start) + 0.1 * rng.standard_normal(3)
    path = solve_ivp(
        lambda _, point: known.rates(*point), times[[0, -1]], start, t_eval=times, rtol=1e-6
    )
    return _standard(path.y[0, settle:])


def gaussian_process(rng: Rng, length: int, kernels: int | None = None) -> np.ndarray:
    """A draw from a Gaussian process whose kernel is composed at random: [time].

    Simple kernels are joined by sums and products, as in KernelSynth (Ansari et al. 2024).
    kernels: how many are joined, by default 1 to 4.
    """
    time = np.arange(length) / length
    covariance = _kernel(rng, time)
    for _ in range((int(rng.integers(1, 5)) if kernels is None else kernels) - 1):
        other = _kernel(rng, time)
        covariance = covariance + other if rng.random() < 0.5 else covariance * other
    jitter = 1e-6 * np.trace(covariance) / length
    factor = np.linalg.cholesky(covariance + jitter * np.eye(length))
    return factor @ rng.standard_normal(length)


def _kernel(rng: Rng, time: np.ndarray) -> np.ndarray:
    """The covariance of one simple kernel, chosen at random: [time, time]."""
    gap = np.abs(time[:, None] - time[None, :])
    kind = rng.choice(["periodic", "smooth", "rough", "linear"])
    scale = 10 ** rng.uniform(-1.5, 0)
    if kind == "periodic":
        period = rng.choice(PERIODS) / len(time)
        return np.exp(-2 * np.sin(np.pi * gap / period) ** 2 / rng.uniform(0.5, 1.5) ** 2)
    if kind == "linear":
        origin = rng.random()
        return 0.1 + np.outer(time - origin, time - origin)
    return np.exp(-0.5 * (gap / scale) ** 2 if kind == "smooth" else -gap / scale)


def _harmonics(rng: Rng, period: int) -> np.ndarray:
    """A pattern of a few random sine waves, the slow ones strongest: [period], variance 1.

    The fundamental is never weak, so that no shorter period fits.
    """
    turns = np.arange(1, min(period // 2, 6) + 1)
    sizes = rng.standard_normal(len(turns)) / turns
    sizes[0] = np.sign(sizes[0]) * max(abs(sizes[0]), 0.5)
    angles = 2 * np.pi * turns[:, None] * np.arange(period) / period
    return _standard(sizes @ np.sin(angles + rng.uniform(0, 2 * np.pi, (len(turns), 1))))


def _standard(values: np.ndarray) -> np.ndarray:
    """The same values with mean 0 and variance 1: [time]."""
    return (values - values.mean()) / values.std()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "periodic": periodic,
        "motif": motif,
        "autoregressive": autoregressive,
        "walk": walk,
        "trend": trend,
        "intermittent": intermittent,
        "flow": flow,
        "gaussian": gaussian_process,
    }
)


def generated(
    count: int, length: int, seed: int, kinds: Iterable[str] | None = None
) -> list[Series]:
    """`count` hourly series of each kind, each of them given by (seed, kind, its number) alone.

    kinds: names in KINDS, by default all. Raises UsageError for a name that is not there.
    """
    series = []
    for kind in KINDS if kinds is None else kinds:
        if kind not in KINDS:
            raise UsageError(f"asked for the kind {kind!r}", "no such kind", nearest(kind, KINDS))
        for number in range(count):
            # The kind's name is hashed, so that a kind added later changes no other series.
            rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
            values = KINDS[kind](rng, length)
            series.append(Series(f"{kind}-{number}", values, START, "h"))
    return series
