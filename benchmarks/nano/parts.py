"""What a generated series is made of: patterns, seasons, levels and noise, all [time] arrays."""

import numpy as np
from scipy.signal import lfilter

from tsfm_probe.data.synthetic import periodic

Rng = np.random.Generator
LENGTH = 768

# Periods that nest (a day in a week, a week in a year) and how often they are drawn.
PERIODS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((12,), 0.20),
    ((7,), 0.14),
    ((24, 168), 0.14),
    ((24,), 0.09),
    ((4,), 0.08),
    ((48, 336), 0.08),
    ((52,), 0.06),
    ((48,), 0.03),
    ((288,), 0.04),
    ((7, 365), 0.04),
    ((365,), 0.03),
    ((96, 672), 0.02),
    ((96,), 0.02),
    ((5,), 0.03),
)


def standard(values: np.ndarray) -> np.ndarray:
    """The same values with mean 0 and variance 1; constant values become zeros: [time]."""
    return (values - values.mean()) / (values.std() + 1e-9)


def smooth(rng: Rng, length: int, width: float) -> np.ndarray:
    """A slowly varying path of mean 0 and variance 1 that turns about every `width` steps."""
    knots = max(int(length / width) + 2, 2)
    return standard(
        np.interp(np.linspace(0, knots - 1, length), np.arange(knots), rng.standard_normal(knots))
    )


def pattern(rng: Rng, period: int) -> np.ndarray:
    """One season of mean 0 and variance 1: harmonics, rough, peaks, working hours or spikes."""
    kind = rng.choice(
        ["harmonics", "rough", "peaks", "hours", "spikes"], p=[0.3, 0.3, 0.2, 0.1, 0.1]
    )
    phase = np.arange(period)
    if kind == "harmonics":
        return periodic(rng, period, period, noise=0.0)
    if kind == "rough":
        width = period * rng.choice([0.0, rng.uniform(0, 0.3)])
        gap = np.minimum(phase, period - phase)
        window = np.exp(-0.5 * (gap / (width + 1e-3)) ** 2)
        raw = np.fft.ifft(np.fft.fft(rng.standard_normal(period)) * np.fft.fft(window)).real
        return standard(raw)
    if kind == "spikes":
        return standard((rng.random(period) < rng.uniform(0.05, 0.3)) * rng.exponential(1, period))
    shape = np.zeros(period)
    for _ in range(rng.integers(1, 4)):
        gap = (phase - rng.uniform(0, period) + period / 2) % period - period / 2
        width = max(period * rng.uniform(0.03, 0.2), 0.5)
        if kind == "peaks":
            skew = np.where(gap < 0, 1.0, rng.uniform(0.5, 2.5))
            shape += rng.lognormal(0, 0.5) * np.exp(-0.5 * (gap / (width * skew)) ** 2)
        else:
            edge = max(width / 3, 0.2)
            shape += 1 / (1 + np.exp(np.clip((np.abs(gap) - 2 * width) / edge, -50, 50)))
    return standard(shape)


def week(rng: Rng, day: int) -> np.ndarray:
    """Seven days of which some differ in shape, size and level: [7 * day], variance 1."""
    plain, other = pattern(rng, day), pattern(rng, day)
    other = rng.uniform(0, 1) * plain + rng.uniform(0, 0.6) * other
    free = np.roll([False] * 5 + [True] * 2, rng.integers(7))
    level = rng.uniform(0, 0.8) * rng.standard_normal() * free
    level = level + rng.uniform(0, 0.3) * rng.standard_normal(7)
    size = 1 + rng.uniform(0, 0.3) * rng.standard_normal(7)
    days = [s * (other if f else plain) + a for s, f, a in zip(size, free, level, strict=True)]
    return standard(np.concatenate(days))


def season(rng: Rng, periods: tuple[int, ...]) -> np.ndarray:
    """The sum of the seasons of these periods, whose shape or size may drift: [time]."""
    first, phase = periods[0], int(rng.integers(0, max(periods)))
    nested = len(periods) == 2 and periods[1] == 7 * first
    shapes = [week(rng, first) if nested else pattern(rng, first) for _ in range(2)]
    repeats = [np.resize(np.roll(shape, phase), LENGTH) for shape in shapes]
    change = rng.random()
    drift = rng.uniform(0.2, 1) * np.linspace(0, 1, LENGTH) * (change < 0.25)
    total = (1 - drift) * repeats[0] + drift * repeats[1]
    if len(periods) == 2 and not nested:
        other = np.resize(np.roll(pattern(rng, periods[1]), phase), LENGTH)
        total = total + 10 ** rng.uniform(-0.6, 0.6) * other
    if change > 0.7:
        total = total * np.exp(rng.uniform(0.1, 0.5) * smooth(rng, LENGTH, rng.uniform(100, 800)))
    return standard(total)


def level(rng: Rng) -> np.ndarray:
    """A slow path: nothing, a line, bends, a walk, a smooth curve, a memory or steps: [time]."""
    kinds = ["flat", "line", "bends", "walk", "curve", "memory", "steps"]
    kind = rng.choice(kinds, p=[0.2, 0.12, 0.13, 0.25, 0.12, 0.1, 0.08])
    line = np.linspace(0, 1, LENGTH)
    if kind == "flat":
        return np.zeros(LENGTH)
    if kind == "line":
        return standard(line) * rng.choice([-1, 1])
    if kind == "bends":
        at = rng.uniform(0, 1, 4)
        return standard(np.maximum(line[:, None] - at, 0) @ rng.standard_normal(4))
    if kind == "walk":
        return standard(np.cumsum(rng.standard_normal(LENGTH) + rng.normal(0, 0.1)))
    if kind == "curve":
        return smooth(rng, LENGTH, 10 ** rng.uniform(1.5, 2.8))
    if kind == "memory":
        return remembering(rng, rng.uniform(0.9, 0.995))
    jumps = (rng.random(LENGTH) < rng.uniform(1, 6) / LENGTH) * rng.standard_normal(LENGTH)
    return standard(np.cumsum(jumps))


def remembering(rng: Rng, memory: float) -> np.ndarray:
    """A first-order autoregression of variance about 1: [time]."""
    shocks = rng.standard_normal(LENGTH + 200) * np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks))[200:]


def noise(rng: Rng) -> np.ndarray:
    """White, heavy-tailed or coloured noise of variance about 1, its size steady or not: [time]."""
    kind = rng.random()
    if kind < 0.5:
        values = rng.standard_normal(LENGTH)
    elif kind < 0.7:
        values = np.clip(rng.standard_t(rng.uniform(2.5, 6), LENGTH), -12, 12) * 0.7
    else:
        values = remembering(rng, rng.uniform(0.1, 0.9))
    if rng.random() < 0.3:
        swing = smooth(rng, LENGTH, 10 ** rng.uniform(0.8, 2.5))
        values = values * np.exp(rng.uniform(0.2, 0.8) * swing)
    return values


def drawn_periods(rng: Rng) -> tuple[int, ...]:
    """Periods as clocks and calendars give them, now and then any number."""
    if rng.random() < 0.08:
        return (int(rng.integers(2, 100)),)
    weights = np.array([weight for _, weight in PERIODS])
    return PERIODS[rng.choice(len(PERIODS), p=weights / weights.sum())][0]


def heights(rng: Rng, rows: int) -> np.ndarray:
    """How far above their changes series stand: not at all, or up to 63 times: [series].

    Matters only where a network scales by the mean: loads, prices and rates stand that high.
    """
    return 10 ** rng.uniform(-0.3, 1.8, rows) * (rng.random(rows) < 0.6)
