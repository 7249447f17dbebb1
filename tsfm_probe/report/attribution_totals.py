"""The direct effect of each head beside its total one."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsfm_probe.address import Address
from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.maps import attention
from tsfm_probe.report.plates import Key, Plate

PANELS = {"Mean effects": ("direct", "total"), "Mean sizes": ("direct_size", "total_size")}
MARKS = (("circle", "o", "●"), ("diamond", "D", "◆"), ("square", "s", "■"), ("x", "X", "✖"))


def plate(totals: pd.DataFrame, unit: str) -> Plate | None:
    """Scatter of direct against total effects; None where no head has both."""
    known = totals.dropna(subset=["direct", "total"])
    if known.empty:
        return None
    places = [Address.parse(str(one)) for one in known["address"]]
    kinds = pd.Series([attention(at.stack, at.part) for at in places], index=known.index)
    groups = {str(kind): rows for kind, rows in known.groupby(kinds, sort=False)}
    lacking = len(totals) - len(known)
    some = f" {lacking} heads without a direct effect are not drawn." if lacking else ""
    colours = dict(zip(groups, palette.CURVES, strict=False))
    glyphs = dict(zip(groups, (glyph for _, _, glyph in MARKS), strict=False))
    return Plate(
        name="totals",
        title="Direct against total effects of heads",
        caption="Total: the prediction less that with the head writing zero. On the diagonal "
        "nothing later changes what a head wrote; above it (in size) later layers build on it, "
        f"below it they repair its loss.{some}",
        alternative=f"Two scatter plots of {len(known)} heads",
        keys=tuple(Key(glyphs.get(kind, "●"), colours[kind], kind) for kind in groups),
        panels=tuple(_chart(name, groups, unit) for name in PANELS),
        below=None,
        print=_print(groups, unit),
    )


def _ends(groups: Mapping[str, pd.DataFrame], name: str) -> tuple[float, float]:
    """The ends of both axes."""
    values = np.concatenate(
        [rows[list(PANELS[name])].to_numpy().ravel() for rows in groups.values()]
    )
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad


def _chart(name: str, groups: Mapping[str, pd.DataFrame], unit: str) -> go.Figure:
    across, up = PANELS[name]
    ends = _ends(groups, name)
    diagonal = canvas.line("", np.array(ends), np.array(ends), palette.QUIET, 1.2)
    diagonal.update(line_dash="dash", hoverinfo="skip")
    traces = [diagonal]
    for (kind, rows), colour, mark in zip(groups.items(), palette.CURVES, MARKS, strict=False):
        traces.append(
            go.Scatter(
                x=rows[across],
                y=rows[up],
                name=canvas.shown(kind),
                mode="markers",
                marker={"color": colour, "symbol": mark[0], "size": 8, "opacity": 0.85},
                hovertext=[
                    f"{canvas.shown(str(at))}<br>direct {one:+.4g}<br>total {other:+.4g}"
                    for at, one, other in zip(rows["address"], rows[across], rows[up], strict=True)
                ],
                hoverinfo="text",
                cliponaxis=False,
            )
        )
    figure = canvas.empty(traces, 420, top=32)
    figure.update_layout(title=canvas.title(name))
    figure.update_xaxes(
        title=canvas.axis_title(f"Direct, {unit}"), zeroline=True, range=list(ends), nticks=7
    )
    figure.update_yaxes(
        title=canvas.axis_title(f"Total, {unit}"), zeroline=True, range=list(ends), nticks=7
    )
    return figure


@mpl.rc_context(easel.STYLE)
def _print(groups: Mapping[str, pd.DataFrame], unit: str) -> Figure:
    figure = easel.blank(3.7)
    for axes, name in zip(figure.subplots(1, 2), PANELS, strict=True):
        _panel(axes, name, groups, unit)
    signs = [
        Line2D([], [], linestyle="none", marker=mark[1], ms=4, color=colour, label=kind)
        for kind, colour, mark in zip(groups, palette.CURVES, MARKS, strict=False)
    ]
    easel.draw_legend(figure, signs, len(signs))
    return figure


def _panel(axes: Axes, name: str, groups: Mapping[str, pd.DataFrame], unit: str) -> None:
    across, up = PANELS[name]
    ends = _ends(groups, name)
    axes.plot(ends, ends, "--", color=easel.QUIET, linewidth=0.9)
    axes.axhline(0, color=easel.LINES, linewidth=0.8)
    axes.axvline(0, color=easel.LINES, linewidth=0.8)
    for rows, colour, mark in zip(groups.values(), palette.CURVES, MARKS, strict=False):
        axes.plot(rows[across], rows[up], mark[1], color=colour, markersize=3.5, alpha=0.85)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_title(name)
    axes.set_xlabel(f"Direct, {unit}")
    axes.set_ylabel(f"Total, {unit}")
