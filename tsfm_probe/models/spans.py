"""Which stretch of time each token of a stream stands for."""

from dataclasses import dataclass

VALUES, PADDING, REGISTER, END, START, FED, MASKED = (
    "values",
    "padding",
    "register",
    "end",
    "start",
    "fed",
    "masked",
)


@dataclass(frozen=True)
class Span:
    """One token.

    kind: "values" of the context; "padding", all before the first value; "register" and "end",
    which networks add to a context; "start", with which a decoder begins; "fed", a forecast value
    that is read back; "masked", future that is to be filled.
    start, end: the steps that it stands for, from 0 at the first value of the context; the forecast
    begins at the number of values. Tokens without values of their own have start = end.
    """

    kind: str
    start: int
    end: int


def patches(length: int, size: int, longest: int) -> tuple[Span, ...]:
    """The patches of a context of `length` values, of which a network reads the last `longest`.

    They end with the last value; the first one may begin with padding, which is not counted.
    """
    kept = min(length, longest)
    count = -(-kept // size)
    first = length - kept
    ends = [length - size * later for later in range(count - 1, -1, -1)]
    return tuple(Span(VALUES, max(end - size, first), end) for end in ends)


def masked(length: int, size: int, count: int) -> tuple[Span, ...]:
    """As many patches of future behind a context."""
    starts = [length + size * place for place in range(count)]
    return tuple(Span(MASKED, start, start + size) for start in starts)
