"""How alike the heads of each attention are: cosines of their outputs, and entropic ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsfm_probe.address import Address
from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.maps import attention
from tsfm_probe.report.plates import Key, Plate

SHADES = LinearSegmentedColormap.from_list("cosine", palette.DIVERGING)


@dataclass(frozen=True, eq=False)
class Kind:
    """The attentions of one kind, by layer.

    addresses, layers, ranks, heads: [layer]. cosines: [layer] of [head, head].
    """

    title: str
    addresses: tuple[str, ...]
    layers: tuple[int, ...]
    ranks: np.ndarray
    heads: np.ndarray
    cosines: tuple[np.ndarray, ...]

    @property
    def across(self) -> int:
        """How many of its matrices stand side by side."""
        return ceil(sqrt(len(self.addresses)))

    @property
    def cells(self) -> int:
        """Rows of the largest matrix and the gap to the next."""
        return max(map(len, self.cosines)) + 1

    def corner(self, place: int) -> tuple[int, int]:
        """The row and column at which a matrix begins; above it is room for its name."""
        down, right = divmod(place, self.across)
        return down * (self.cells + 1) + 1, right * self.cells


def kinds(ranks: pd.DataFrame, cosines: pd.DataFrame) -> tuple[Kind, ...]:
    """Every kind of attention; columns as in attribution.likeness."""
    places = [Address.parse(str(one)) for one in ranks["attention"]]
    titles = [attention(at.stack, at.part) for at in places]
    matrices = {
        str(at): rows.pivot(index="head", columns="other", values="cosine").to_numpy()
        for at, rows in cosines.groupby("attention", sort=False)
    }
    found = []
    for title in dict.fromkeys(titles):
        picked = [place for place, one in enumerate(titles) if one == title]
        rows = ranks.iloc[picked]
        found.append(
            Kind(
                title,
                tuple(map(str, rows["attention"])),
                tuple(places[place].layer for place in picked),
                rows["rank"].to_numpy(float),
                rows["heads"].to_numpy(int),
                tuple(matrices[str(one)] for one in rows["attention"]),
            )
        )
    return tuple(found)


def plates(found: Sequence[Kind]) -> tuple[Plate, ...]:
    """The cosines, and the ranks."""
    return (
        Plate(
            name="cosines",
            title="How alike the heads are",
            caption="Cosines between what two heads of an attention write, means over windows and "
            "tokens: red is alike (1), blue opposite (−1), white neither. One matrix for each "
            "layer, heads as rows and as columns.",
            alternative="Matrices of cosines: " + ", ".join(one.title for one in found),
            keys=(),
            panels=tuple(_matrices(one) for one in found),
            below=None,
            print=_print_matrices(found),
        ),
        Plate(
            name="ranks",
            title="How many different heads there are",
            caption="Entropic rank of what the heads of an attention write: 1 where all write the "
            "same, the number of heads (dashed) where all are at right angles.",
            alternative="Line charts of ranks by layer",
            keys=(
                Key("━", palette.CURVES[0], "entropic rank"),
                Key("┅", palette.THRESHOLD, "number of heads"),
            ),
            panels=tuple(_ranks(one) for one in found),
            below=None,
            print=_print_ranks(found),
        ),
    )


def _canvas(one: Kind) -> tuple[np.ndarray, list[list[str]]]:
    """All matrices of a kind on one sheet, with NaN between them, and the labels of its cells."""
    rows = ceil(len(one.cosines) / one.across) * (one.cells + 1)
    sheet = np.full((rows, one.across * one.cells - 1), np.nan)
    labels = [[""] * sheet.shape[1] for _ in range(rows)]
    for place, (address, matrix) in enumerate(zip(one.addresses, one.cosines, strict=True)):
        top, left = one.corner(place)
        for (head, other), value in np.ndenumerate(matrix):
            sheet[top + head, left + other] = value
            labels[top + head][left + other] = (
                f"{canvas.shown(address)}<br>heads {head} and {other}: {value:+.3f}"
            )
    return sheet, labels


def _matrices(one: Kind) -> go.Figure:
    sheet, labels = _canvas(one)
    trace = go.Heatmap(
        z=[[None if np.isnan(cell) else cell for cell in row] for row in sheet],
        zmin=-1,
        zmax=1,
        colorscale=canvas.shades(palette.DIVERGING),
        showscale=False,
        hovertext=labels,
        hoverinfo="text",
        hoverongaps=False,
    )
    down = ceil(len(one.cosines) / one.across)
    figure = canvas.empty([trace], 48 + min(620, max(280, 90 * down)), top=32)
    figure.update_layout(title=canvas.title(one.title))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    for place, layer in enumerate(one.layers):
        top, left = one.corner(place)
        figure.add_annotation(
            x=left - 0.5, y=top - 0.5, xanchor="left", yanchor="bottom", text=f"layer {layer}",
            showarrow=False, font={"size": 11, "color": palette.QUIET}, borderpad=1,
        )  # fmt: skip
    return figure


def _ranks(one: Kind) -> go.Figure:
    layers = np.array(one.layers)
    line = canvas.line("rank", layers, one.ranks, palette.CURVES[0], 2)
    line.update(
        mode="lines+markers",
        marker={"size": 7},
        hovertext=[
            f"{canvas.shown(at)}<br>rank {rank:.2f} of {heads} heads"
            for at, rank, heads in zip(one.addresses, one.ranks, one.heads, strict=True)
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    most = canvas.line("heads", layers, one.heads, palette.THRESHOLD, 1.5)
    most.update(line_dash="dash", hoverinfo="skip")
    figure = canvas.empty([most, line], 260, top=32)
    figure.update_layout(title=canvas.title(one.title))
    every = ceil(len(layers) / 13)
    figure.update_xaxes(title=canvas.axis_title("Layer"), tickvals=layers[::every], showgrid=False)
    figure.update_xaxes(range=[layers.min() - 0.4, layers.max() + 0.4])
    figure.update_yaxes(range=[0, 1.06 * one.heads.max()], nticks=6)
    return figure


@mpl.rc_context(easel.STYLE)
def _print_matrices(found: Sequence[Kind]) -> Figure:
    across = min(3, len(found))
    down = ceil(len(found) / across)
    figure = easel.blank(2.6 * down + 0.1)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, one in zip(panels, found, strict=False):
        _panel(axes, one)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    return figure


def _panel(axes: Axes, one: Kind) -> None:
    sheet, _ = _canvas(one)
    axes.pcolormesh(sheet, cmap=SHADES, vmin=-1, vmax=1)
    axes.set_ylim(len(sheet), 0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(easel.shown(one.title))
    for place, layer in enumerate(one.layers):
        top, left = one.corner(place)
        axes.text(left, top - 0.15, f"layer {layer}", fontsize=6, color=easel.QUIET)


@mpl.rc_context(easel.STYLE)
def _print_ranks(found: Sequence[Kind]) -> Figure:
    across = min(3, len(found))
    down = ceil(len(found) / across)
    figure = easel.blank(0.3 + 1.8 * down)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, one in zip(panels, found, strict=False):
        axes.plot(one.layers, one.heads, "--", color=palette.THRESHOLD, linewidth=1)
        axes.plot(one.layers, one.ranks, "o-", color=palette.CURVES[0], ms=3.5, linewidth=1.2)
        axes.set_ylim(0, 1.06 * one.heads.max())
        axes.set_xticks(one.layers[:: ceil(len(one.layers) / 13)])
        axes.set_xlabel("Layer")
        axes.grid(axis="y")
        axes.set_title(easel.shown(one.title))
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    rank = Line2D([], [], color=palette.CURVES[0], label="entropic rank")
    most = Line2D([], [], color=palette.THRESHOLD, linestyle="--", label="number of heads")
    easel.draw_legend(figure, [rank, most], 2)
    return figure
