"""The colours and marks of all figures: told apart by colour-blind eyes and in greyscale."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import cycle

# Blue over near-white to red: ColorBrewer RdBu, reversed (blue improves, red degrades).
DIVERGING = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
# Near-white to blue: ColorBrewer Blues. Shades of blue and of red for single lines.
SEQUENTIAL = ("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#3182bd", "#08519c")
LOW, HIGH = DIVERGING[:2], DIVERGING[:-3:-1]

# The page's style sheet replaces these four in the dark scheme.
INK = "rgb(17, 17, 17)"
QUIET = "rgb(95, 99, 104)"
GRID = "rgb(222, 225, 230)"
PAPER = "rgb(255, 255, 255)"

THRESHOLD = "#c0392b"
NOISE_BAND = "#8a8f98"


@dataclass(frozen=True)
class Mark:
    """How one sort of dot is drawn by plotly (symbol), matplotlib (sign) and text (glyph)."""

    colour: str
    symbol: str
    sign: str
    glyph: str
    filled: bool = True


VERDICTS = {
    "redundant": Mark("#2b83c6", "circle", "o", "●"),
    "harmful": Mark("#d55e00", "diamond", "D", "◆"),
    "uncertain": Mark("#868b94", "circle-open", "o", "○", filled=False),
}
CONTROLS = {
    "noise": Mark("#868b94", "x", "X", "✖"),
    "random": Mark("#b0619c", "square", "s", "■"),
}
CELL_SIGNS = {"redundant": "•", "harmful": "×"}
CURVES = ("#2b83c6", "#009e73", "#d55e00", "#b0619c", "#b58900", "#868b94")


def mark(kind: str, verdict: str) -> Mark:
    """The mark of a trial: controls by their kind, all others by their verdict."""
    return CONTROLS.get(kind) or VERDICTS.get(verdict, VERDICTS["uncertain"])


def marks(sorts: Collection[tuple[str, str]]) -> dict[str, Mark]:
    """The marks of trials of these kinds and verdicts by their name in a legend, in one order."""
    used = {mark(kind, verdict) for kind, verdict in sorts}
    named = VERDICTS | {f"{kind} control": one for kind, one in CONTROLS.items()}
    return {name: one for name, one in named.items() if one in used}


def cell_sign(verdict: str | None) -> str:
    """The sign that a heat map writes into a cell; empty for an uncertain or a missing one."""
    return CELL_SIGNS.get(verdict or "", "")


def faded(colour: str, opacity: float = 0.2) -> str:
    """A `#rrggbb` colour as a transparent one, for a band."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def curve_colours(trials: Iterable[str]) -> dict[str, str]:
    """A colour for each trial of a forecast, in the given order."""
    return dict(zip(trials, cycle(CURVES), strict=False))
