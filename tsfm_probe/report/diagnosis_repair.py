"""What repair costs: accuracy against parroting and against the seasonality bias."""

from collections.abc import Mapping
from itertools import cycle

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.plates import Key, Plate

PANELS = {"parroting": "Parroting index", "bias": "Seasonality bias"}
UNTOUCHED, RANDOM = "untouched", "random"
GREY = palette.CURVES[5]
TICKS = (0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000)
UP = "MASE, ratio to the untouched model"
FRONT = palette.THRESHOLD


def plate(found: pd.DataFrame, data: str) -> Plate:
    """Every cut and scaling: order, k, scale, heads, parroting, bias, MASE and so on, front."""
    names = [one for one in dict.fromkeys(found["order"].astype(str)) if one != UNTOUCHED]
    colours = _colours(names)
    scales = [one for one in dict.fromkeys(found["scale"].tolist()) if one != 1]
    full, half = _signs(scales)
    return Plate(
        name="repair",
        title="What repair costs",
        caption="Each dot multiplies the first 1, 2, 4, ... heads of an order with a number; a "
        "line joins them. To the left there is less of the behaviour, on contexts other than "
        f"those that gave the order; further down is more accurate, on {data}. On the dashed "
        "front nothing is better in both, for parroting. The axis of the error is logarithmic.",
        alternative="Two scatter plots of accuracy against parroting and against bias",
        keys=(
            Key("★", "var(--ink)", "untouched"),
            *(Key("●", colour, name) for name, colour in colours.items()),
            *full,
            *half,
            Key("┅", FRONT, "Pareto front"),
        ),
        panels=tuple(_chart(found, name, colours) for name in _known(found)),
        below=None,
        print=_print(found, colours, [*full, *half]),
    )


def _known(found: pd.DataFrame) -> list[str]:
    return [one for one in PANELS if np.isfinite(found[one].to_numpy(float)).any()]


def _colours(names: list[str]) -> dict[str, str]:
    """One colour for each order, grey for all random ones together."""
    own = [one for one in names if not one.startswith(RANDOM)]
    found = dict(zip(own, cycle(palette.CURVES[:5]), strict=False))
    return found | ({"random orders": GREY} if len(own) < len(names) else {})


def _signs(scales: list[float]) -> tuple[list[Key], list[Key]]:
    """What full and open dots mean: the first scale, and any other."""
    full = [Key("●", "var(--quiet)", f"times {scales[0]:g}")] if len(scales) > 1 else []
    half = [Key("○", "var(--quiet)", f"times {one:g}") for one in scales[1:]]
    return full, half


def _groups(found: pd.DataFrame, index: str) -> list[tuple[str, bool, pd.DataFrame]]:
    """(order, whether it has the first scale, its rows with numbers), random ones first."""
    first = next((one for one in found["scale"] if one != 1), 0.0)
    rows = found.loc[(found["order"] != UNTOUCHED) & found[index].notna() & found["MASE"].notna()]
    groups = [
        (str(order), scale == first, own)
        for (order, scale), own in rows.groupby(["order", "scale"], sort=False)
    ]
    return sorted(groups, key=lambda one: not one[0].startswith(RANDOM))


def _colour(order: str, colours: Mapping[str, str]) -> str:
    return colours.get(order, GREY)


def _front(found: pd.DataFrame, index: str) -> pd.DataFrame:
    held = found.loc[found["front"].astype(bool)] if index == "parroting" else found.iloc[:0]
    return held.sort_values(index)


def _ticks(found: pd.DataFrame) -> list[float]:
    low, high = float(found["MASE"].min()), float(found["MASE"].max())
    kept = [one for one in TICKS if 0.9 * low <= one <= 1.1 * high]
    return kept or [1.0]


def _chart(found: pd.DataFrame, index: str, colours: Mapping[str, str]) -> go.Figure:
    traces = []
    for order, whole, rows in _groups(found, index):
        colour = _colour(order, colours)
        line = canvas.line(order, rows[index], rows["MASE"], colour, 1.2)  # pyright: ignore[reportArgumentType]
        line.update(
            mode="lines+markers",
            line_dash="solid" if whole else "dot",
            marker={"size": 8, "symbol": "circle" if whole else "circle-open"},
            hovertext=[_label(one, index) for one in rows.to_dict("records")],
            hoverinfo="text",
            opacity=0.6 if order.startswith(RANDOM) else 1,
            cliponaxis=False,
        )
        traces.append(line)
    front = _front(found, index)
    if len(front) > 1:
        dashed = canvas.line("front", front[index], front["MASE"], FRONT, 1.6)  # pyright: ignore[reportArgumentType]
        dashed.update(line_dash="dash", hoverinfo="skip")
        traces.append(dashed)
    base = found.loc[found["order"] == UNTOUCHED]
    traces.append(
        go.Scatter(
            x=base[index], y=base["MASE"], mode="markers", hoverinfo="text", cliponaxis=False,
            marker={"symbol": "star", "size": 13, "color": palette.INK},
            hovertext=[_label(one, index) for one in base.to_dict("records")],
        )
    )  # fmt: skip
    figure = canvas.empty(traces, 420, top=32)
    figure.update_layout(title=canvas.title(f"Error against {PANELS[index].lower()}"))
    figure.update_xaxes(title=canvas.axis_title(PANELS[index]), zeroline=True, nticks=7)
    ticks = _ticks(found)
    names = [f"{one:g}" for one in ticks]
    figure.update_yaxes(type="log", title=canvas.axis_title(UP), tickvals=ticks, ticktext=names)
    return figure


def _label(row: dict, index: str) -> str:  # pyright: ignore[reportMissingTypeArgument]
    if row["order"] == UNTOUCHED:
        return f"untouched<br>{PANELS[index].lower()} {row[index]:+.3f}"
    heads = str(row["heads"]).split(" ")
    some = ", ".join(heads[:4]) + (f" and {len(heads) - 4} more" if len(heads) > 4 else "")
    return (
        f"{canvas.shown(str(row['order']))}, {row['k']} heads times {row['scale']:g}<br>"
        f"{canvas.shown(some)}<br>{PANELS[index].lower()} {row[index]:+.3f} "
        f"({row[f'{index}_low']:+.3f} to {row[f'{index}_high']:+.3f})<br>"
        f"MASE x {row['MASE']:.3f} ({row['MASE_low']:.3f} to {row['MASE_high']:.3f})"
    )


@mpl.rc_context(easel.STYLE)
def _print(found: pd.DataFrame, colours: Mapping[str, str], signs: list[Key]) -> Figure:
    figure = easel.blank(3.9)
    known = _known(found)
    panels = figure.subplots(1, max(1, len(known)), squeeze=False, sharey=True)[0]
    for axes, index in zip(panels, known, strict=False):
        _panel(axes, found, index, colours)
    panels[0].set_ylabel(UP)
    star = Line2D([], [], linestyle="none", marker="*", ms=8, color=easel.INK, label=UNTOUCHED)
    orders = [
        Line2D([], [], color=colour, marker="o", ms=3.5, label=easel.shown(name))
        for name, colour in colours.items()
    ]
    dots = [
        Line2D([], [], linestyle="none", marker="o", ms=4, color=easel.QUIET, label=one.name,
               markerfacecolor=easel.QUIET if one.glyph == "●" else "white")
        for one in signs
    ]  # fmt: skip
    front = Line2D([], [], color=FRONT, linestyle="--", label="Pareto front")
    easel.draw_legend(figure, [star, *orders, *dots, front], 4)
    return figure


def _panel(axes: Axes, found: pd.DataFrame, index: str, colours: Mapping[str, str]) -> None:
    for order, whole, rows in _groups(found, index):
        colour = _colour(order, colours)
        axes.plot(
            rows[index], rows["MASE"], "-o" if whole else ":o", color=colour, linewidth=0.9,
            markersize=3.5, markerfacecolor=colour if whole else "white",
            alpha=0.5 if order.startswith(RANDOM) else 1,
        )  # fmt: skip
    front = _front(found, index)
    axes.plot(front[index], front["MASE"], "--", color=FRONT, linewidth=1.2)
    base = found.loc[found["order"] == UNTOUCHED]
    axes.plot(base[index], base["MASE"], "*", color=easel.INK, markersize=9)
    axes.axvline(0, color=easel.LINES, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_yticks(np.array(_ticks(found)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y")
    axes.set_title(f"Error against {PANELS[index].lower()}")
    axes.set_xlabel(PANELS[index])
