"""The errors that a user can cause, each one line with three facts and an exit code."""

from collections.abc import Iterable
from difflib import get_close_matches


class ProbeError(Exception):
    """Something that was asked for cannot be done.

    The message is one line that says what was asked, what was found and what is allowed.
    """

    exit_code = 1

    def __init__(self, asked: str, found: str = "", allowed: str = "") -> None:
        parts = (part.strip().rstrip(".") for part in (asked, found, allowed) if part)
        super().__init__("; ".join(" ".join(part.split()) for part in parts))


class UsageError(ProbeError):
    """The command or call itself is wrong: an unknown name, an option out of its range."""

    exit_code = 2


class DataError(ProbeError):
    """The data cannot be read, or nothing usable is left of them."""


class ModelError(ProbeError):
    """A checkpoint cannot be found, read or trusted."""


class CheckFailed(ProbeError):
    """A law does not hold on this model."""

    exit_code = 3


class PartlyDone(ProbeError):
    """Some of the work could not be done; what was done is kept."""

    exit_code = 4


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names nearest to a misspelt one, as words for an error message."""
    names = list(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"allowed are {shown}"
