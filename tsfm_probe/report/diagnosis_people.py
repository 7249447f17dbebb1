"""The forecasters that a diagnosis sets side by side, and how each is drawn."""

from dataclasses import dataclass

from tsfm_probe.report import easel, palette
from tsfm_probe.report.plates import Key

MODEL, TWIN, NAIVE, PARROT, TRUTH = (
    "model", "random twin", "seasonal naive", "parrot", "truth",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """A colour for the page and one for print, and how a dot is drawn by either and by text."""

    colour: str
    print: str
    symbol: str
    sign: str
    glyph: str


def _look(colour: str, symbol: str, sign: str, glyph: str) -> Look:
    return Look(colour, colour, symbol, sign, glyph)


LOOKS = {
    MODEL: _look(palette.CURVES[0], "circle", "o", "●"),
    TWIN: _look(palette.CURVES[5], "x", "X", "✖"),
    NAIVE: _look(palette.CURVES[4], "square", "s", "■"),
    PARROT: _look(palette.CURVES[2], "diamond", "D", "◆"),
    TRUTH: Look(palette.INK, easel.INK, "triangle-up", "^", "▲"),
}


def keys(who: list[str], line: bool = False) -> tuple[Key, ...]:
    """The legend of some of them, as dots or as lines."""
    found = []
    for one in who:
        look = LOOKS[one]
        colour = "var(--ink)" if look.colour == palette.INK else look.colour
        found.append(Key("━" if line else look.glyph, colour, one))
    return tuple(found)
