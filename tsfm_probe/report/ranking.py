"""The trials of one metric in order of their effect, the least harmful first."""

import math
from dataclasses import dataclass

from tsfm_probe.report.effects import Effect, Effects

ALL = 60
EACH_END = 25


@dataclass(frozen=True)
class Ranking:
    """Ranked trials, and the range of the axis that they are drawn on.

    effects: rising change; controls stand among them.
    gaps: the places in `effects` before which trials were left out.
    measured: number of all ranked trials.
    lowest, highest: ends of the axis in percent; dots beyond are drawn at the end.
    """

    effects: tuple[Effect, ...]
    gaps: tuple[int, ...]
    measured: int
    lowest: float
    highest: float

    @property
    def places(self) -> tuple[int, ...]:
        """The row of each trial; one row stays free where trials were left out."""
        return tuple(
            index + sum(index >= gap for gap in self.gaps) for index in range(len(self.effects))
        )

    def held(self, value: float) -> float:
        """The value, moved to the end of the axis if it lies beyond."""
        return min(max(value, self.lowest), self.highest)

    def beyond(self, effect: Effect) -> bool:
        """Whether the change lies outside the axis."""
        return self.held(effect.change) != effect.change


def ranking(effects: Effects) -> Ranking:
    """Rank all trials; of more than ALL, keep EACH_END at each end and every control."""
    measured = [one for one in effects.edits + effects.controls if math.isfinite(one.change)]
    measured.sort(key=lambda effect: effect.change)
    kept, gaps = measured, ()
    if len(measured) > ALL:
        controls = [one for one in measured[EACH_END:-EACH_END] if one in effects.controls]
        kept = measured[:EACH_END] + controls + measured[-EACH_END:]
        gaps = tuple(dict.fromkeys((EACH_END, EACH_END + len(controls))))
    lowest, highest = _axis(effects, kept)
    return Ranking(tuple(kept), gaps, len(measured), lowest, highest)


def _axis(effects: Effects, kept: list[Effect]) -> tuple[float, float]:
    far = 3 * effects.limit
    lows = [low for low, _ in (effect.span for effect in kept)]
    highs = [high for _, high in (effect.span for effect in kept)]
    marks = [0.0, -0.2 * effects.limit, 0.2 * effects.limit, 1.2 * effects.threshold]
    inside = [one for one in lows + highs + marks if abs(one) <= far]
    return min(inside), max(inside)
