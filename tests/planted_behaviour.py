"""Networks that behave as they were made to, and the heads that make them do it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from tests.hand_made import CENTRES, LIMIT, TOKENS, HandMade, token
from tests.words import (
    ALWAYS,
    END,
    OLDER,
    OTHER,
    OWN,
    PLAIN,
    SAID,
    SHARP,
    START,
    WIDTH,
    codes,
    flag,
    look_at_end,
    look_back,
    speaking,
    word,
)
from tsfm_probe.address import Address


class Planted:
    """What is known of a network."""

    @property
    def heads(self) -> tuple[Address, ...]:
        """The heads that make it do what it does; without one of them it does not."""
        found = [one for one in vars(self).values() if isinstance(one, Address)]
        return tuple(one for one in found if one.head is not None)


@dataclass(frozen=True)
class Parrot(Planted):
    """Says what followed the current value the last times, from the first step on.

    previous: writes at every place of the context which value stood before it.
    last: writes at every step which value the context ended with, and reads it where the context
    ends; the first step has no other current value, as the decoder starts from a token of its own.
    induction: looks for places whose previous value is the current one (else the last one of the
    context, which counts half) and says the value there; nothing else says anything.
    Without `last` it copies too, but it starts anywhere. One value is all that it matches: where
    it was followed by this and by that, each is drawn as often.
    """

    previous: Address
    last: Address
    induction: Address


@dataclass(frozen=True)
class PairParrot(Planted):
    """Says what followed the last two values: a parrot of the second order.

    previous, second: write at every place of the context which values stood one and two before it.
    last: writes at every step which two values the context ended with.
    before: writes at every step which value stood before the current one.
    induction: as that of the parrot, but it matches both values.
    It goes on with motifs in which a value occurs twice, such as stretches of a random walk; where
    none does, it does so without `second` and `before` too.
    """

    previous: Address
    second: Address
    last: Address
    before: Address
    induction: Address


@dataclass(frozen=True)
class Seasonal(Planted):
    """Swings between one and minus one mean absolute value of the context, whatever that is.

    head: says the opposite of what was said half a period ago, and one before there was any;
    nothing else says anything.
    """

    head: Address
    period: int


@dataclass(frozen=True)
class Last(Planted):
    """Says the last value of the context at every step.

    previous: as that of the parrot. head: reads it where the context ends, and says it; nothing
    else says anything, so that the whole forecast is the direct effect of this head.
    """

    previous: Address
    head: Address


@dataclass(frozen=True)
class Mean(Planted):
    """Draws from a normal distribution around the mean of the context, at every step.

    head: reads all values of the context alike. width: says how unlikely what is far from zero is.
    deviation: of the distribution, in mean absolute values of the context.
    """

    head: Address
    width: Address
    deviation: float


PARROT = Parrot(
    previous=Address("encoder", 0, "self", 1),
    last=Address("decoder", 0, "cross", 2),
    induction=Address("decoder", 1, "cross", 3),
)
PAIR_PARROT = PairParrot(
    previous=Address("encoder", 0, "self", 0),
    second=Address("encoder", 0, "self", 2),
    last=Address("decoder", 0, "cross", 1),
    before=Address("decoder", 1, "self", 3),
    induction=Address("decoder", 1, "cross", 0),
)
SEASONAL = Seasonal(head=Address("decoder", 1, "self", 2), period=12)
LAST = Last(previous=Address("encoder", 0, "self", 3), head=Address("decoder", 1, "cross", 1))
MEAN = Mean(Address("decoder", 0, "cross", 3), Address("decoder", 1, "mlp"), deviation=0.3)


def parrot(seed: int = 0) -> HandMade:
    """After the induction heads of Olsson et al. (2022)."""
    made = speaking(seed)
    look_back(made, PARROT.previous, 1, word(OTHER).T, word(OWN))
    look_at_end(made, PARROT.last, word(OTHER).T, word(OTHER))
    made.head(
        PARROT.induction,
        query=SHARP**0.5 * PLAIN * torch.cat([2 * word(OWN) + word(OTHER), flag(ALWAYS)]),
        key=SHARP**0.5 * PLAIN * torch.cat([word(OTHER), -6 * flag(END)]),  # no value is there
        value=PLAIN * word(OWN),
        out=word(SAID).T,
    )
    return made


def pair_parrot(seed: int = 0) -> HandMade:
    """At step 0 the last two values of the context are all there is; later they count half."""
    made = speaking(seed, words=2)
    look_back(made, PAIR_PARROT.previous, 1, word(OTHER).T, word(OWN))
    look_back(made, PAIR_PARROT.second, 2, word(OLDER).T, word(OWN))
    ended = torch.cat([word(OTHER), 0.5 * word(OLDER)])
    look_at_end(made, PAIR_PARROT.last, torch.cat([word(OTHER), word(OLDER)]).T, ended)
    look_back(made, PAIR_PARROT.before, 1, word(OLDER).T, word(OWN) + 0.5 * word(OTHER))
    current = torch.cat([2 * word(OWN) + word(OTHER), 2 * word(OLDER), flag(ALWAYS)])
    made.head(
        PAIR_PARROT.induction,
        query=SHARP**0.5 * PLAIN * current,
        key=SHARP**0.5 * PLAIN * torch.cat([word(OTHER), word(OLDER), -6 * flag(END)]),
        value=PLAIN * word(OWN),
        out=word(SAID).T,
    )
    return made


def seasonal(seed: int = 0, period: int = SEASONAL.period) -> HandMade:
    """With an even period of at most 32 steps: farther back T5 does not tell places apart."""
    made = speaking(seed, encoder=1.0)  # whatever it says of the context
    half = period // 2
    past = torch.full((half + 1,), -20.0 * half)
    past[:half] = 20.0 * torch.arange(half)  # the start of the decoder is the farthest at first
    made.places(SEASONAL.head, past)
    high, low = codes()[token(1.0)], codes()[token(-1.0)]
    none = torch.zeros(1, WIDTH)
    made.head(
        SEASONAL.head,
        query=none,
        key=none,
        value=PLAIN * torch.cat([torch.stack([high, low]) @ word(OWN), flag(START)]),
        out=word(SAID).T @ torch.stack([low, high, high], dim=1),
    )
    return made


def last(seed: int = 0) -> HandMade:
    made = speaking(seed)
    look_back(made, LAST.previous, 1, word(OTHER).T, word(OWN))
    look_at_end(made, LAST.head, word(SAID).T, word(OTHER))
    return made


def mean(seed: int = 0) -> HandMade:
    """The logits are those of a normal distribution: mean times x, less the half square of x.

    The stream holds x in itself. The rest of a circle beside it makes all tokens one long.
    """
    faint, width, (x, rest, always, start, end, linear, square) = 0.005, 16, range(7)
    embedding = torch.zeros(TOKENS, width)
    embedding[3:, x] = CENTRES / LIMIT
    embedding[3:, rest] = (1 - embedding[3:, x] ** 2).sqrt()
    embedding[:2, [start, end]] = torch.eye(2)
    embedding[:, always] = 1.0
    embedding[:, linear] = faint * embedding[:, x]
    embedding[:, square] = faint * embedding[:, x] ** 2
    embedding[:3, square] = faint  # what is no bin is as unlikely as the outermost one
    made = HandMade.silent(embedding, head=8, seed=seed, encoder=0.015, decoder=0.01)
    plain, one = (width / 2) ** -0.5, torch.eye(width)
    made.head(
        MEAN.head,
        query=SHARP * plain * one[[always]],
        key=-plain * one[[end]],
        value=plain * one[[x]],
        out=one[:, [linear]],
    )
    layer = made.net.decoder.block[MEAN.width.layer].layer[-1].DenseReluDense
    with torch.no_grad():
        layer.wi.weight[0] = plain * one[always]
        layer.wo.weight[:, 0] = -0.5 * one[square]
    gain = torch.zeros(width)
    gain[[linear, square]] = 1.5 * (LIMIT / MEAN.deviation) ** 2 / faint  # the stream is 1.5 long
    made.reads(gain)
    return made


BEHAVIOURS: Mapping[str, Callable[[int], HandMade]] = {
    "parrot": parrot,
    "pair-parrot": pair_parrot,
    "seasonal": seasonal,
    "last": last,
    "mean": mean,
}
