"""Hand-made networks whose streams hold words, each of them the code of some token.

There is a place for the word of the token itself, for those of two others, and for the one that is
said next; beside them flags tell values, the start and the end apart.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tests.hand_made import TOKENS, HandMade
from tsfm_probe.address import Address

DIGITS, BASE = 4, 17
WORD = DIGITS * BASE
OWN, OTHER, OLDER, SAID = (slice(one * WORD, (one + 1) * WORD) for one in range(4))
ALWAYS, START, END = range(4 * WORD, 4 * WORD + 3)
WIDTH = 4 * WORD + 4

PLAIN = (WIDTH / 3) ** -0.5
"""What makes a word one long again that a norm has read from a stream of three things."""
SHARP = 40.0
"""What a match is worth in the logits of an attention, and what the bin that is said is worth."""
FAINT = 0.02
"""How long a token's own word is where the next one is said: both have one embedding."""


def codes() -> Tensor:
    """A word for every token, one long: [token, WORD]. Any two are alike by a quarter at most.

    Each is four one-hot digits that lie on a line, and two lines meet in one point.
    """
    slope, first = torch.arange(TOKENS) // BASE, torch.arange(TOKENS) % BASE
    digits = (first[:, None] + slope[:, None] * torch.arange(DIGITS)) % BASE
    return one_hot(digits, BASE).flatten(1) * DIGITS**-0.5


def word(place: slice) -> Tensor:
    """What reads a word from a stream: [WORD, WIDTH]."""
    return torch.eye(WIDTH)[place]


def flag(place: int) -> Tensor:
    """What reads a flag from a stream: [1, WIDTH]."""
    return torch.eye(WIDTH)[[place]]


def speaking(seed: int, words: int = 1, encoder: float = 0.05) -> HandMade:
    """A network that reads words and says the one at SAID, where nothing is written yet.

    words: for how many a head has room.
    """
    embedding = torch.zeros(TOKENS, WIDTH)
    embedding[:, OWN], embedding[:, SAID] = codes(), FAINT * codes()
    embedding[:3] = 0.0  # the tokens of start, end and no bin
    embedding[:2, [START, END]] = torch.eye(2)
    embedding[:, ALWAYS] = 1.0
    made = HandMade.silent(embedding, words * WORD + 4, seed, encoder, decoder=0.02)
    gain = torch.zeros(WIDTH)
    gain[SAID] = 2 * SHARP / FAINT  # the stream is 2 long: four things
    made.reads(gain)
    return made


def look_back(made: HandMade, at: Address, lag: int, out: Tensor, value: Tensor) -> None:
    """Let a head write what stood so many places before, the next farther one if that is missing.

    Where nothing stood so far back, a head of the encoder reads all that follow alike.
    """
    past = -20.0 * (torch.arange(16) - lag)
    past[:lag] = -400.0
    made.places(at, past, future=-350.0)
    none = torch.zeros(1, WIDTH)
    made.head(at, query=none, key=none, value=PLAIN * value, out=out)


def look_at_end(made: HandMade, at: Address, out: Tensor, value: Tensor) -> None:
    """Let a head of the decoder write what stands where the context ends."""
    made.head(
        at,
        query=SHARP**0.5 * PLAIN * flag(ALWAYS),
        key=SHARP**0.5 * PLAIN * flag(END),
        value=PLAIN * value,
        out=out,
    )
