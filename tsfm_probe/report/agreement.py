"""Which cheap guess may be trusted: rank correlations to the measured drop, with intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.plates import Key, Plate
from tsfm_probe.report.section import Section

STRONG = 0.5
TRUST = {
    "yes": palette.VERDICTS["redundant"],
    "turned round": palette.VERDICTS["harmful"],
    "unclear": palette.VERDICTS["uncertain"],
    "no": palette.CONTROLS["noise"],
    "too few": palette.CONTROLS["random"],
}
CONSTANT = "constant"
COLUMNS = ("predictor", "Spearman", "95 % interval", "compared", "trusted here")


@dataclass(frozen=True)
class Correlation:
    """How well one predictor ranks what was measured.

    spearman, low, high: from -1 to 1; NaN where there is no correlation, or no interval.
    count: of how many heads, parts or layers.
    """

    level: str
    predictor: str
    spearman: float
    low: float
    high: float
    count: int

    @property
    def trust(self) -> str:
        """Whether it may be trusted: one of TRUST, or CONSTANT if it is the same for all.

        yes: the whole interval lies above STRONG; turned round: below its negative; no: elsewhere
        below STRONG; unclear: on both sides of STRONG; too few: there is no interval.
        """
        if math.isnan(self.spearman) and self.count > 1:
            return CONSTANT
        if math.isnan(self.low):
            return "too few"
        if self.low > STRONG:
            return "yes"
        if self.high < -STRONG:
            return "turned round"
        return "no" if self.high < STRONG else "unclear"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table with the columns COLUMNS, as text."""
        known = not math.isnan(self.low)
        between = f"{_number(self.low)} to {_number(self.high)}" if known else "–"
        counted = f"{self.count} {self.level}" + ("" if self.count == 1 else "s")
        return self.predictor, _number(self.spearman), between, counted, self.trust

    @property
    def label(self) -> tuple[str, ...]:
        """The lines that describe it, plain text."""
        _, spearman, between, counted, trust = self.cells
        return self.predictor, f"Spearman {spearman} ({between})", f"{counted}, trusted: {trust}"


def correlations(agreement: pd.DataFrame) -> tuple[Correlation, ...]:
    """The rows of a table of agreement, the largest correlation first, those without one last.

    agreement: one row per (level, predictor) with spearman, low, high and count.
    """
    ordered = agreement.sort_values("spearman", ascending=False, kind="stable")
    columns = [ordered[name].tolist() for name in Correlation.__dataclass_fields__]
    return tuple(Correlation(*values) for values in zip(*columns, strict=True))


def section(agreement: pd.DataFrame, about: Mapping[str, str]) -> Section:
    """The section of a page that shows a table of agreement."""
    found = correlations(agreement)
    name, title = "predictors", "Which cheap guess may be trusted"
    if not found:
        words = "Nothing was ablated alone, so there is no drop to compare the guesses with."
        return Section(name, title, (words,))
    return Section(
        name,
        title,
        _sentences(found, about),
        {"": (_plate(found),)},
        COLUMNS,
        tuple(one.cells for one in found),
    )


def _sentences(found: Sequence[Correlation], about: Mapping[str, str]) -> tuple[str, ...]:
    trusted = [one for one in found if one.trust == "yes"]
    named = ", ".join(one.predictor for one in trusted) or "none"
    lines = [
        f"May be trusted on this model: {named} ({len(trusted)} of {len(found)} guesses).",
        "A guess costs one pass of the network for everything at once, or none at all. Each is "
        "compared with the change of MASE that was measured; trusted is one whose 95 % interval "
        f"lies above {STRONG:g} (no: below {STRONG:g}; turned round: even below −{STRONG:g}). "
        "Each interval stands alone: the best of many guesses looks better than it is.",
        "Gradient and attribution patching take the derivative of a sum of the raw prediction's "
        "values with random weights, drawn once for each window. That needs no target and exists "
        "for every family; it tells how far the prediction moves, not whether it gets worse.",
    ]
    if about.get("joint") == "True":
        lines.append("The guesses read each series alone; the run forecast them jointly.")
    return tuple(lines)


def _plate(found: Sequence[Correlation]) -> Plate:
    used = {one.trust for one in found}
    keys = tuple(
        Key(mark.glyph, mark.colour, f"trusted: {name}")
        for name, mark in TRUST.items()
        if name in used
    )
    best = "; ".join(" ".join(one.label[:2]) for one in found[:3])
    return Plate(
        name="predictors",
        title="How well each guess ranks what was measured",
        caption="Spearman correlation between a guess and the change of MASE when a head, part or "
        "layer is ablated alone, with its 95 % bootstrap interval over heads (parts, layers). The "
        f"dashed lines stand at ±{STRONG:g}. A guess without a dot is the same for all.",
        alternative=f"Dot plot of {len(found)} correlations. The largest: {best}. "
        "All numbers are in the table below.",
        keys=keys,
        panels=(_chart(found),),
        below=None,
        print=_print(found),
    )


def _chart(found: Sequence[Correlation]) -> go.Figure:
    """One dot with its interval for each predictor, the largest correlation at the top."""
    figure = canvas.empty([_dots(found, name) for name in TRUST], 84 + 19 * len(found), top=12)
    title = canvas.axis_title("Spearman correlation to the change of MASE")
    figure.update_xaxes(range=[-1.03, 1.03], dtick=0.5, title=title, zeroline=True)
    figure.update_yaxes(
        range=[len(found) - 0.3, -0.7],
        tickvals=list(range(len(found))),
        ticktext=[canvas.shown(one.predictor) for one in found],
        tickfont={"size": 12},
    )
    for at in (-STRONG, STRONG):
        figure.add_vline(at, line={"color": palette.THRESHOLD, "dash": "dash", "width": 1.2})
    return figure


def _dots(found: Sequence[Correlation], trust: str) -> go.Scatter:
    mark = TRUST[trust]
    placed = [(place, one) for place, one in enumerate(found) if one.trust == trust]
    ends = [_ends(one) for _, one in placed]
    whiskers: dict[str, Any] = {
        "type": "data",
        "symmetric": False,
        "array": [high - one.spearman for (_, high), (_, one) in zip(ends, placed, strict=True)],
        "arrayminus": [one.spearman - low for (low, _), (_, one) in zip(ends, placed, strict=True)],
        "thickness": 1.4,
        "width": 0,
        "color": mark.colour,
    }
    return go.Scatter(
        x=[one.spearman for _, one in placed],
        y=[place for place, _ in placed],
        error_x=whiskers,
        mode="markers",
        marker=canvas.marker(mark),
        hovertext=["<br>".join(map(canvas.shown, one.label)) for _, one in placed],
        hoverinfo="text",
        cliponaxis=False,
    )


@mpl.rc_context(easel.STYLE)
def _print(found: Sequence[Correlation]) -> Figure:
    """The same for print."""
    figure = easel.blank(1.1 + 0.16 * len(found))
    axes = figure.subplots()
    axes.set_xlim(-1.03, 1.03)
    axes.set_ylim(len(found) - 0.3, -0.7)
    axes.set_yticks(range(len(found)), [easel.shown(one.predictor) for one in found])
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.grid(axis="x")
    axes.set_xlabel("Spearman correlation to the change of MASE")
    axes.axvline(0, color=easel.QUIET, linewidth=0.8)
    for at in (-STRONG, STRONG):
        axes.axvline(at, color=palette.THRESHOLD, linestyle="--", linewidth=1)
    for place, one in enumerate(found):
        if one.trust == CONSTANT:
            continue
        mark = TRUST[one.trust]
        face = mark.colour if mark.filled else "white"
        axes.plot(_ends(one), [place, place], color=mark.colour, linewidth=1)
        axes.plot(one.spearman, place, mark.sign, ms=4.5, mec=mark.colour, mfc=face, zorder=3)
    used = {one.trust for one in found}
    signs = [easel.sign(f"trusted: {name}", mark) for name, mark in TRUST.items() if name in used]
    easel.draw_legend(figure, signs, 5)
    return figure


def _ends(one: Correlation) -> tuple[float, float]:
    """The ends of the interval, the correlation itself where there is none."""
    return (one.spearman, one.spearman) if math.isnan(one.low) else (one.low, one.high)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.2f}".replace("-", "−")
