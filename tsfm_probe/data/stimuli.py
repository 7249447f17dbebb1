"""Contexts that tell behaviours apart, with what is known about each.

Copying without a season: an aperiodic motif, once repeated, and repeated random patches, against
the same values shuffled. A season without a motif that fits: a break of phase. Neither: noise,
random walks and chaotic flows, on which any season in a forecast is the model's own.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tsfm_probe.data import synthetic
from tsfm_probe.errors import UsageError, nearest

PATCH = 16
REPEATS = (2, 8)  # of a random patch pattern, after the tests of induction heads
SHUFFLED = 16  # values in a window whose place is drawn, on average
SHORTEST = 32  # values that are seen of a repeated motif, or after a break of phase
Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Stimulus:
    """One context and what is known about it.

    name: the set; number: its place in the set.
    context: [time]; truth: [horizon], what follows.
    period: steps of its period, None where it has none (some chaotic flows nearly have one).
    motif: first place and end, in the context, of the stretch that the end of the context repeats;
    None where nothing is repeated.
    copied: place in the context of the value that a copy of the motif forecasts first, None where
    nothing is repeated. The truth is what stands from there on.
    broken: place of the first value after a break of phase, None where there is none.
    """

    name: str
    number: int
    context: np.ndarray
    truth: np.ndarray
    period: int | None = None
    motif: tuple[int, int] | None = None
    copied: int | None = None
    broken: int | None = None


@dataclass(frozen=True)
class Size:
    """How long a context and what follows it are, in steps."""

    context: int
    horizon: int


Maker = Callable[[Rng, Size], Stimulus]


def motif(rng: Rng, size: Size) -> Stimulus:
    """A stretch of a random walk, then the same again, cut so that its end is to be forecast.

    The walk is as long as the lengths allow; where they are odd together, one more value stands in
    front. UsageError where fewer than SHORTEST values would be seen twice.
    """
    again = (size.context - size.horizon) // 2
    _refuse_short("motif", size, 2 * SHORTEST + size.horizon)
    length = again + size.horizon
    stretch = synthetic.walk(rng, length, drift=0.0)
    lead = size.context - length - again
    first = stretch[:1] + rng.standard_normal(lead)
    context = np.concatenate([first, stretch, stretch[:again]])
    return Stimulus(
        "motif", 0, context, stretch[again:], motif=(lead, lead + length), copied=lead + again
    )


def shuffled_motif(rng: Rng, size: Size) -> Stimulus:
    """The values of `motif`, of which nothing is repeated: windows of about SHUFFLED in any order.

    The truth stays that of the motif, so that a forecast of it would be chance.
    """
    whole = motif(rng, size)
    mixed = shuffled(rng, whole.context, SHUFFLED)
    return Stimulus("shuffled-motif", 0, mixed, whole.truth)


def phase_break(rng: Rng, size: Size) -> Stimulus:
    """A noise-free periodic pattern that, in the second half, jumps by a third to two thirds of it.

    After the jump it goes on to the end of the truth; at least two periods of it, and SHORTEST
    values, are seen. No period is more than an eighth of the context.
    """
    _refuse_short("phase-break", size, 2 * SHORTEST)
    fitting = [one for one in synthetic.PERIODS if 8 * one <= size.context]
    period = int(rng.choice(fitting))
    pattern = synthetic.periodic(rng, period, period, noise=0.0)
    latest = size.context - max(2 * period, SHORTEST)
    broken = int(rng.integers(size.context // 2, latest + 1))
    jump = int(rng.integers(-(-period // 3), 2 * period // 3 + 1))
    time = np.arange(size.context + size.horizon)
    values = pattern[(time + np.where(time >= broken, jump, 0)) % period]
    return Stimulus("phase-break", 0, *_cut(values, size), period=period, broken=broken)


def patches(rng: Rng, size: Size) -> Stimulus:
    """White noise as long as some patches of PATCH values, repeated 2 to 8 times.

    So patches are repeated, from wherever a model counts them.
    """
    _refuse_short("patches", size, 4 * PATCH)
    low, high = REPEATS
    whole = size.context // PATCH
    block = PATCH * int(rng.integers(-(-whole // high), whole // low + 1))
    values = np.resize(rng.standard_normal(block), size.context + size.horizon)
    place = size.context - block
    return Stimulus(
        "patches", 0, *_cut(values, size), period=block, motif=(place - block, place), copied=place
    )


def _plain(name: str, make: Callable[[Rng, int], np.ndarray]) -> Maker:
    """A set without period and motif, of a kind of generated series."""

    def made(rng: Rng, size: Size) -> Stimulus:
        return Stimulus(name, 0, *_cut(make(rng, size.context + size.horizon), size))

    return made


SETS: Mapping[str, Maker] = MappingProxyType(
    {
        "motif": motif,
        "shuffled-motif": shuffled_motif,
        "phase-break": phase_break,
        "autoregressive": _plain("autoregressive", synthetic.autoregressive),
        "walk": _plain("walk", synthetic.walk),
        "flow": _plain("flow", synthetic.flow),
        "patches": patches,
    }
)


def stimuli(name: str, count: int, size: Size, seed: int = 0) -> list[Stimulus]:
    """The first `count` contexts of a set, each of them given by (seed, name, its number, size).

    A shuffled motif has the values of the motif with its number. UsageError for a name that is not
    in SETS, and for lengths that are too short for the set.
    """
    if name not in SETS:
        raise UsageError(f"asked for the stimuli {name!r}", "no such set", nearest(name, SETS))
    if size.horizon < 1:
        raise UsageError(f"a horizon of {size.horizon} was asked for", allowed="1 or more")
    _refuse_short(name, size, 1)
    key = zlib.crc32(name.removeprefix("shuffled-").encode())
    return [
        replace(SETS[name](np.random.default_rng([seed, key, number]), size), number=number)
        for number in range(count)
    ]


def shuffled(rng: Rng, values: np.ndarray, size: int) -> np.ndarray:
    """The same values in windows of about `size` whose order is drawn: [time].

    Windows have half to one and a half times that, also drawn, so that a stretch that is there
    twice is not cut alike twice.
    """
    longest = size + size // 2
    steps = rng.integers(size - size // 2, longest + 1, size=2 * len(values) // size + 1)
    cuts = np.cumsum(steps)
    windows = np.split(values, cuts[cuts < len(values)])
    return np.concatenate([windows[place] for place in rng.permutation(len(windows))])


def _cut(values: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
    return values[: size.context], values[size.context :]


def _refuse_short(name: str, size: Size, least: int) -> None:
    if size.context < least:
        raise UsageError(
            f"{name} stimuli with a context of {size.context} and a horizon of {size.horizon}",
            allowed=f"the context must have {least} values or more",
        )
