"""Contexts that tell what heads attend to, cut such that what repeats is whole tokens."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tsfm_probe.data import synthetic
from tsfm_probe.data.stimuli import Size, Stimulus, stimuli
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.spans import FED, VALUES, Span

STEPS, TOKENS, FEWEST = 256, 32, 6
"""Of a context unless asked: steps, or tokens where these are more steps; and the least tokens."""
AHEAD = 24
"""Steps that are forecast, in whole tokens."""
SHORTEST, LONGEST, MOST = 3, 64, 8
"""Tokens of what is repeated, and how often it is at most, after the tests of induction heads."""
CUE = 8
"""Tokens of a needle that the end of the context repeats."""
Rng = np.random.Generator


@dataclass(frozen=True)
class Cut:
    """How contexts are cut into tokens.

    size: steps of a token that stands for values. count, ahead: tokens of the context, and of what
    is forecast.
    """

    size: int
    count: int
    ahead: int

    @classmethod
    def of(cls, model: Model, context: int = 0) -> "Cut":
        """As a model cuts them; context: about how many values, by default STEPS or TOKENS tokens.

        UsageError where it would not have FEWEST tokens.
        """
        read, longest = next(iter(model.anatomy.stacks)), model.context_length
        size = max(one.end - one.start for one in held(model.spans(read, longest, 1)))
        count = min(longest, context or max(STEPS, TOKENS * size)) // size
        if count < FEWEST:
            raise UsageError(
                f"scores of heads on contexts of {context or longest} values",
                f"they are {count} tokens of {size}",
                f"{FEWEST} tokens or more",
            )
        return cls(size, count, -(-AHEAD // size))

    @property
    def steps(self) -> Size:
        """The same in steps."""
        return Size(self.count * self.size, self.ahead * self.size)


def held(spans: tuple[Span, ...]) -> list[Span]:
    """The tokens that stand for values that the network was given or gave itself."""
    return [one for one in spans if one.kind in (VALUES, FED)]


Maker = Callable[[Rng, Cut], Stimulus]


def repeats(rng: Rng, cut: Cut) -> Stimulus:
    """Random tokens, repeated 2 to 8 times, as for induction heads (Olsson et al. 2022).

    No two values are equal: they are evenly spaced, in any order.
    """
    least = max(SHORTEST, -(-cut.count // MOST))
    block = int(rng.integers(least, max(least, min(LONGEST, cut.count // 2)) + 1)) * cut.size
    length, horizon = cut.steps.context, cut.steps.horizon
    values = np.resize(_distinct(rng, block), length + horizon)
    place = length - block
    return Stimulus(
        "repeats",
        0,
        *np.split(values, [length]),
        period=block,
        motif=(max(0, place - block), place),
        copied=place,
    )


def needles(rng: Rng, cut: Cut) -> Stimulus:
    """A stretch somewhere in noise whose beginning the end of the context repeats.

    The forecast is to go on with it, as in the tests of retrieval heads (Wu et al. 2024).
    """
    cue = max(1, min(CUE, cut.count // 4, (cut.count - cut.ahead) // 2))
    hay, needle = cut.count - cue, min(cue + cut.ahead, cut.count - cue)
    first = int(rng.integers(0, hay - needle + 1)) * cut.size
    values = _distinct(rng, hay * cut.size)
    end, copied = first + needle * cut.size, first + cue * cut.size
    context = np.concatenate([values, values[first:copied]])
    truth = np.resize(values[copied:], cut.steps.horizon)
    return Stimulus("needles", 0, context, truth, motif=(first, end), copied=copied)


def seasons(rng: Rng, cut: Cut) -> Stimulus:
    """A smooth pattern of a few sine waves again and again, with a little noise."""
    least = max(2, -(-4 // cut.size))
    period = int(rng.integers(least, max(least, min(LONGEST, cut.count // 4)) + 1)) * cut.size
    length = cut.steps.context
    values = synthetic.periodic(rng, length + cut.steps.horizon, period)
    return Stimulus("seasons", 0, *np.split(values, [length]), period=period)


PROMPTS: Mapping[str, Maker] = MappingProxyType(
    {"repeats": repeats, "needles": needles, "seasons": seasons}
)
WALKS = "walks"
"""Beside PROMPTS: random walks, of which nothing is known."""


def prompts(name: str, count: int, cut: Cut, seed: int) -> list[Stimulus]:
    """The first `count` contexts of a set, each of them given by (seed, name, its number, cut)."""
    if name == WALKS:
        return stimuli("walk", count, cut.steps, seed)
    key = zlib.crc32(name.encode())
    return [
        replace(PROMPTS[name](np.random.default_rng([seed, key, number]), cut), number=number)
        for number in range(count)
    ]


def _distinct(rng: Rng, count: int) -> np.ndarray:
    """Values from -1 to 1 in any order, no two of them equal."""
    return rng.permutation(np.linspace(-1, 1, count))
