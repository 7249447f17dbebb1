"""What parts write along the horizon, stacked; and the parts that write most."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.plates import Key, Plate

DIRECT, WHOLE = "direct", "prediction"
NAMES = {
    "embedding": "embedding",
    "head": "heads",
    "mlp": "MLPs",
    "bias": "biases",
    "remainder": "remainder",
}
KINDS = ("embedding", "head", "mlp", "bias", "(remainder)")
ENDS = {
    "embedding": ("#009e73", "#009e73"),
    "head": (palette.SEQUENTIAL[2], palette.SEQUENTIAL[-1]),
    "mlp": ("#fdd0a2", "#a63603"),
    "bias": ("#b0619c", "#b0619c"),
    "(remainder)": (palette.NOISE_BAND, palette.NOISE_BAND),
}
"""The colours of a kind, from the first to the last layer."""
LAYERED = ("head", "mlp")


@dataclass(frozen=True, eq=False)
class Band:
    """What one kind of part of one layer writes: [step] effects; layer: "" if of all."""

    kind: str
    layer: str
    colour: str
    effects: np.ndarray

    @property
    def name(self) -> str:
        """What it is called."""
        name = self.kind.strip("()")
        return f"{NAMES[name]} of {self.layer}" if self.layer else NAMES[name]


@dataclass(frozen=True, eq=False)
class Stack:
    """All that is written along one path; steps: from 1. whole: [step], what it sums to."""

    path: str
    steps: np.ndarray
    bands: tuple[Band, ...]
    whole: np.ndarray


def stack(effects: pd.DataFrame, path: str) -> Stack:
    """Effects of one path by layer and kind; columns as in attribution.effects."""
    rows = effects.loc[(effects["path"] == path) & effects["kind"].isin((*KINDS, WHOLE))]
    steps = np.unique(rows["step"].to_numpy(int))
    layers = [
        ".".join(str(at).split(".")[:2]) if kind in LAYERED else ""
        for at, kind in zip(rows["address"], rows["kind"], strict=True)
    ]
    table = rows.assign(layer=layers).pivot_table(
        index=["kind", "layer"], columns="step", values="effect", aggfunc="sum", sort=False
    )
    found = dict(zip(table.index, table.to_numpy(), strict=True))
    order = list(dict.fromkeys(layer for _, layer in found if layer))
    shades = {kind: LinearSegmentedColormap.from_list(kind, ends) for kind, ends in ENDS.items()}
    keys = [("embedding", "")]
    keys += [(kind, layer) for layer in order for kind in LAYERED]
    keys += [("bias", ""), ("(remainder)", "")]
    bands = tuple(
        Band(kind, layer, _shade(shades[kind], layer, order), found[kind, layer])
        for kind, layer in keys
        if (kind, layer) in found
    )
    whole = found.get((WHOLE, ""), np.sum([one.effects for one in bands], axis=0))
    return Stack(path, steps + 1, bands, whole)


def plate(one: Stack, name: str, title: str, caption: str, unit: str, whole: str) -> Plate:
    """The figure of a stack; unit: of effects. whole: what they sum to is called."""
    kinds = list(dict.fromkeys(band.kind for band in one.bands))
    pale = " (darker: later layers)"
    return Plate(
        name=name,
        title=title,
        caption=caption,
        alternative=f"Stacked bars of {len(one.bands)} groups of parts along the horizon",
        keys=(
            *(
                Key("■", ENDS[kind][1], NAMES[kind.strip("()")] + pale * (kind in LAYERED))
                for kind in kinds
            ),
            Key("━", "var(--ink)", whole),
        ),
        panels=(_chart(one, unit, whole),),
        below=None,
        print=_print(one, kinds, unit, whole),
    )


def _shade(shades: LinearSegmentedColormap, layer: str, order: Sequence[str]) -> str:
    place = order.index(layer) / max(1, len(order) - 1) if layer else 0.0
    return str(to_hex(shades(place)))


def _chart(one: Stack, unit: str, whole: str) -> go.Figure:
    traces: list[go.Bar | go.Scatter] = [
        go.Bar(
            x=one.steps,
            y=band.effects,
            name=canvas.shown(band.name),
            marker={"color": band.colour, "line": {"width": 0}},
            hovertemplate=f"{canvas.shown(band.name)}<br>step %{{x}}: %{{y:+.4g}}<extra></extra>",
        )
        for band in one.bands
    ]
    line = canvas.line(whole, one.steps, one.whole, palette.INK, 2)
    line.update(mode="lines+markers", marker={"size": 5})
    line.update(hovertemplate=f"{whole}<br>step %{{x}}: %{{y:.4g}}<extra></extra>")
    figure = canvas.empty([*traces, line], 400, top=12)
    figure.update_layout(barmode="relative", bargap=0.12)
    figure.update_xaxes(title=canvas.axis_title("Step of the horizon"), showgrid=False, nticks=12)
    figure.update_yaxes(title=canvas.axis_title(f"Effect, {unit}"), zeroline=True)
    return figure


@mpl.rc_context(easel.STYLE)
def _print(one: Stack, kinds: Sequence[str], unit: str, whole: str) -> Figure:
    figure = easel.blank(3.6)
    axes = figure.subplots()
    _bars(axes, one)
    axes.plot(one.steps, one.whole, "o-", color=easel.INK, linewidth=1.2, markersize=2.5)
    axes.axhline(0, color=easel.QUIET, linewidth=0.8)
    axes.grid(axis="y")
    axes.margins(x=0.01)
    axes.set_xlabel("Step of the horizon")
    axes.set_ylabel(f"Effect, {unit}")
    signs = [Patch(color=ENDS[kind][1], label=NAMES[kind.strip("()")]) for kind in kinds]
    line = Line2D([], [], color=easel.INK, label=whole)
    easel.draw_legend(figure, [*signs, line], len(signs) + 1)
    return figure


def _bars(axes: Axes, one: Stack) -> None:
    above, below = np.zeros(len(one.steps)), np.zeros(len(one.steps))
    for band in one.bands:
        base = np.where(band.effects >= 0, above, below)
        axes.bar(one.steps, band.effects, 0.88, bottom=base, color=band.colour, linewidth=0)
        above += np.maximum(band.effects, 0)
        below += np.minimum(band.effects, 0)
