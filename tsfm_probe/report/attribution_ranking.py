"""The parts that write most towards the forecast, in order."""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.attribution_stack import ENDS, NAMES
from tsfm_probe.report.plates import Key, Plate

MOST = 24
REMAINDER = "(remainder)"


def plate(parts: pd.DataFrame, unit: str) -> Plate:
    """The largest writes of each path; columns as in attribution.answer."""
    paths = {
        str(path): rows.loc[rows["kind"] != REMAINDER].head(MOST)
        for path, rows in parts.groupby("path", sort=False)
    }
    kinds = [kind for kind in ENDS if any((rows["kind"] == kind).any() for rows in paths.values())]
    first = next(iter(paths.values())).head(3)["address"]
    return Plate(
        name="ranking",
        title="The parts that write most",
        caption="Bars: the mean size of the effect of a part over all windows and steps; dots: the "
        f"mean effect itself, which is small where signs differ. At most {MOST} are drawn; all "
        "are in the table below.",
        alternative=f"Bars of the largest effects; the largest: {', '.join(first)}",
        keys=(
            *(Key("■", ENDS[kind][1], NAMES[kind]) for kind in kinds),
            Key("●", "var(--ink)", "mean effect"),
        ),
        panels=tuple(_chart(path, rows, unit) for path, rows in paths.items()),
        below=None,
        print=_print(paths, kinds, unit),
    )


def _chart(path: str, rows: pd.DataFrame, unit: str) -> go.Figure:
    labels = [
        f"{canvas.shown(str(one['address']))}<br>size {one['size']:.4g}, effect "
        f"{one['effect']:+.4g}<br>{100 * one['share']:.2f} % of all sizes"
        for one in rows.to_dict("records")
    ]
    names = [canvas.shown(str(one)) for one in rows["address"]]
    bars = go.Bar(
        x=rows["size"],
        y=names,
        orientation="h",
        marker={"color": [palette.faded(ENDS[str(kind)][1], 0.55) for kind in rows["kind"]]},
        hovertext=labels,
        hoverinfo="text",
    )
    dots = go.Scatter(
        x=rows["effect"],
        y=names,
        mode="markers",
        marker={"color": palette.INK, "size": 6},
        hovertext=labels,
        hoverinfo="text",
        cliponaxis=False,
    )
    figure = canvas.empty([bars, dots], 100 + 19 * len(rows), top=32)
    figure.update_layout(title=canvas.title(path.capitalize()), bargap=0.25)
    figure.update_xaxes(title=canvas.axis_title(f"Effect, {unit}"), zeroline=True, nticks=7)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_yaxes(tickfont={"size": 12}, dtick=1)
    return figure


@mpl.rc_context(easel.STYLE)
def _print(paths: Mapping[str, pd.DataFrame], kinds: list[str], unit: str) -> Figure:
    figure = easel.blank(1.2 + 0.16 * max(len(rows) for rows in paths.values()))
    panels = figure.subplots(1, len(paths), squeeze=False)[0]
    for axes, (path, rows) in zip(panels, paths.items(), strict=True):
        _panel(axes, path, rows, unit)
    signs = [Patch(color=ENDS[kind][1], alpha=0.55, label=NAMES[kind]) for kind in kinds]
    dot = Line2D([], [], linestyle="none", marker="o", color=easel.INK, ms=4, label="mean effect")
    easel.draw_legend(figure, [*signs, dot], len(signs) + 1)
    return figure


def _panel(axes: Axes, path: str, rows: pd.DataFrame, unit: str) -> None:
    places = range(len(rows))
    colours = [ENDS[str(kind)][1] for kind in rows["kind"]]
    axes.barh(places, rows["size"], 0.75, color=colours, alpha=0.55)
    axes.plot(rows["effect"], places, "o", color=easel.INK, markersize=3)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(places, [easel.shown(str(one)) for one in rows["address"]])
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.grid(axis="x")
    axes.axvline(0, color=easel.QUIET, linewidth=0.8)
    axes.set_title(path.capitalize())
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"Effect, {unit}")
