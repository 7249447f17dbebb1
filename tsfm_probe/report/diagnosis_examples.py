"""Forecasts of a few contexts, with what the parrot finds and copies marked in them."""

from dataclasses import dataclass
from math import ceil

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.diagnosis_people import LOOKS, MODEL, PARROT
from tsfm_probe.report.plates import Key, Plate

MATCHED, COPIED, OWN = palette.CURVES[4], palette.CURVES[2], palette.CURVES[0]
LONGEST = 30
Line = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class View:
    """One context; lines are steps and values, steps count from 1 and the context ends at 0.

    lines: by role. fan: steps and values at the lowest, the middle and the highest level.
    """

    title: str
    lines: dict[str, Line]
    fan: tuple[Line, Line, Line]


def plates(found: pd.DataFrame) -> dict[str, tuple[Plate, ...]]:
    """A figure for each set: set, series, window, role, step, level, value."""
    return {
        str(name): (_plate(str(name), number, rows),)
        for number, (name, rows) in enumerate(found.groupby("set", sort=False), 1)
    }


def _plate(name: str, number: int, rows: pd.DataFrame) -> Plate:
    views = [_view(one) for _, one in rows.groupby(["series", "window"], sort=False)]
    return Plate(
        name=f"examples-{number}",
        title=f"Forecasts of the set {name}",
        caption="In the context, what the parrot finds most like its end (ochre) and what came "
        "then (orange), which it copies, with the mean and deviation of the end. The band reaches "
        "from the model's 10\u00a0% to its 90\u00a0% quantile.",
        alternative=f"{len(views)} line charts of context, truth, the parrot and the model",
        keys=(
            Key("━", "var(--quiet)", "context"),
            Key("━", MATCHED, "most like the end"),
            Key("━", COPIED, "what came then"),
            Key("┅", COPIED, "the parrot's forecast"),
            Key("━", OWN, "the model's forecast"),
            Key("━", "var(--ink)", "truth"),
        ),
        panels=tuple(_chart(one) for one in views),
        below=None,
        print=_print(views),
    )


def _view(rows: pd.DataFrame) -> View:
    levels = sorted(rows.loc[rows["role"] == MODEL, "level"].unique())
    middle = min(levels, key=lambda level: abs(level - 0.5))
    series, window = rows.iloc[0][["series", "window"]]
    name = str(series) if len(str(series)) <= LONGEST else str(series)[: LONGEST - 1] + "…"
    own = str(series).startswith(f"{rows['set'].iloc[0]}-")
    return View(
        name if own else f"{name}, window {window}",
        {
            str(role): _line(own)
            for role, own in rows.loc[rows["role"] != MODEL].groupby("role", sort=False)
        },
        (
            _line(rows.loc[rows["level"] == levels[0]]),
            _line(rows.loc[rows["level"] == middle]),
            _line(rows.loc[rows["level"] == levels[-1]]),
        ),
    )


def _line(rows: pd.DataFrame) -> Line:
    return rows["step"].to_numpy(int) + 1, rows["value"].to_numpy(float)


def _chart(one: View) -> go.Figure:
    low, middle, high = one.fan
    bottom, top = canvas.line("", *low, OWN, 0), canvas.line("", *high, OWN, 0)
    top.update(fill="tonexty", fillcolor=palette.faded(OWN))
    traces = [bottom, top]
    for trace in traces:
        trace.update(hoverinfo="skip")
    styles = {
        "context": ("context", palette.QUIET, 1.1),
        "matched": ("most like the end", MATCHED, 3),
        "copied": ("what came then", COPIED, 3),
        "truth": ("truth", palette.INK, 2),
        PARROT: ("parrot", LOOKS[PARROT].colour, 1.8),
    }
    for role, (name, colour, width) in styles.items():
        if role in one.lines:
            traces.append(canvas.line(name, *one.lines[role], colour, width))
            if role == PARROT:
                traces[-1].update(line_dash="dash")
    traces.append(canvas.line("model", *middle, OWN, 2))
    for trace in traces[2:]:
        trace.update(hovertemplate="step %{x}: %{y:.5~g}")
    figure = canvas.empty(traces, 270, top=32)
    figure.update_layout(title=canvas.title(one.title))
    figure.add_vline(0.5, line={"color": palette.GRID, "width": 1.5})
    figure.update_xaxes(title=canvas.axis_title("Step"), showgrid=False, nticks=7)
    figure.update_xaxes(fixedrange=False)
    figure.update_yaxes(nticks=5, tickformat="~g")
    return figure


@mpl.rc_context(easel.STYLE)
def _print(views: list[View]) -> Figure:
    figure = easel.blank(0.5 + 1.8 * ceil(len(views) / 1))
    for axes, one in zip(figure.subplots(len(views), 1, squeeze=False)[:, 0], views, strict=True):
        _panel(axes, one)
    signs = [
        Line2D([], [], color=easel.QUIET, linewidth=0.9, label="context"),
        Line2D([], [], color=MATCHED, linewidth=2, label="most like the end"),
        Line2D([], [], color=COPIED, linewidth=2, label="what came then"),
        Line2D([], [], color=COPIED, linestyle="--", linewidth=1.2, label="parrot"),
        Line2D([], [], color=OWN, linewidth=1.4, label="model"),
        Line2D([], [], color=easel.INK, linewidth=1.4, label="truth"),
    ]
    easel.draw_legend(figure, signs, len(signs))
    return figure


def _panel(axes: Axes, one: View) -> None:
    low, middle, high = one.fan
    axes.fill_between(low[0], low[1], high[1], color=OWN, alpha=0.2, linewidth=0)
    for role, style in {
        "context": {"color": easel.QUIET, "linewidth": 0.7},
        "matched": {"color": MATCHED, "linewidth": 2},
        "copied": {"color": COPIED, "linewidth": 2},
        "truth": {"color": easel.INK, "linewidth": 1.4},
        PARROT: {"color": COPIED, "linewidth": 1.2, "linestyle": "--"},
    }.items():
        if role in one.lines:
            axes.plot(*one.lines[role], **style)
    axes.plot(*middle, color=OWN, linewidth=1.4)
    axes.axvline(0.5, color=easel.LINES, linewidth=1)
    axes.margins(x=0.01)
    axes.set_title(easel.shown(one.title))
    axes.set_xlabel("Step")
