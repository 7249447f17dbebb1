"""All heads by all that is known of them, as a map of colours."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from tsfm_probe.report import canvas, easel, palette
from tsfm_probe.report.plates import Key, Plate
from tsfm_probe.report.trials import Cell

MOST = 64
EFFECT, FLAG = "without it", "weights"
SURE = "×"
SHADES = LinearSegmentedColormap.from_list("shade", palette.DIVERGING)


def plate(found: pd.DataFrame) -> Plate | None:
    """Heads as rows, scores as columns: address, group, score, value, low, high, shade, sure."""
    if found.empty:
        return None
    kept = _kept(found)
    rows = found.loc[found["address"].isin(kept)]
    every = found["address"].nunique()
    some = ""
    if len(kept) < every:
        some = f" The {len(kept)} heads of {every} that stand out most are drawn; all are below."
    return Plate(
        name="heads",
        title="The heads, and what is known of each",
        caption="Red speaks for parroting or for seasons, blue against it. Without it: the index "
        f"drops (red) or rises, a {SURE} if surely so (false discovery rate 5\u00a0%). Attention: "
        "the score over the largest one of any head. Weights: the rank by which a flag suspects "
        f"the head, from the least to the most.{some}",
        alternative=f"A heat map of {len(kept)} heads and {rows['score'].nunique()} scores",
        keys=(
            Key("■", palette.DIVERGING[-1], "speaks for it"),
            Key("■", palette.DIVERGING[0], "speaks against it"),
            Key(SURE, "var(--ink)", "surely other without it"),
        ),
        panels=(_chart(rows, kept),),
        below=None,
        print=_print(rows, kept),
    )


def table(found: pd.DataFrame) -> tuple[list[str], list[tuple[str, str, list[Cell]]]]:
    """The names of all scores, and (address, attention, cells) of every head."""
    columns = [str(one) for one in dict.fromkeys(found["score"])]
    places = {
        pair: place for place, pair in enumerate(zip(found["address"], found["score"], strict=True))
    }
    values = found["value"].to_numpy(float)
    sure = found["sure"].to_numpy(bool)
    rows = []
    for address in dict.fromkeys(found["address"].astype(str)):
        cells = []
        for score in columns:
            place = places.get((address, score))
            if place is None or np.isnan(values[place]):
                cells.append(Cell("–", ""))
                continue
            mark = f" {SURE}" if sure[place] else ""
            text = f"{values[place]:.3f}".replace("-", "−")
            cells.append(Cell(text + mark, repr(float(values[place]))))
        rows.append((address, address.rpartition(".")[0], cells))
    return columns, rows


def _kept(found: pd.DataFrame) -> list[str]:
    """At most MOST heads, in their order in the network, by their effect if it is known."""
    every = [str(one) for one in dict.fromkeys(found["address"])]
    rows = found.loc[found["group"] == EFFECT]
    rows = rows if len(rows) else found.loc[found["group"] != FLAG]
    rows = rows if len(rows) else found
    far = rows.assign(far=rows["shade"].abs()).groupby("address")["far"].max()
    order = np.argsort(-far.to_numpy(float), kind="stable")[:MOST]
    first = {str(far.index[place]) for place in order}
    return [one for one in every if one in first]


def _columns(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys(zip(rows["group"].astype(str), rows["score"].astype(str), strict=True))
    )


def _grid(rows: pd.DataFrame, kept: list[str], name: str) -> np.ndarray:
    """A column of the table as [head, score]."""
    columns = {pair: place for place, pair in enumerate(_columns(rows))}
    heads = {address: place for place, address in enumerate(kept)}
    found = np.full((len(heads), len(columns)), np.nan)
    for one in rows.to_dict("records"):
        found[heads[str(one["address"])], columns[str(one["group"]), str(one["score"])]] = one[name]
    return found


def _chart(rows: pd.DataFrame, kept: list[str]) -> go.Figure:
    columns, grid, sure = _columns(rows), _grid(rows, kept, "shade"), _grid(rows, kept, "sure")
    labels = [["" for _ in columns] for _ in kept]
    heads = {address: place for place, address in enumerate(kept)}
    for one in rows.to_dict("records"):
        ends = "" if np.isnan(one["low"]) else f" ({one['low']:+.3f} to {one['high']:+.3f})"
        place = columns.index((str(one["group"]), str(one["score"])))
        labels[heads[str(one["address"])]][place] = (
            f"{canvas.shown(str(one['address']))}<br>{canvas.shown(_named(*columns[place]))}: "
            f"{one['value']:+.3f}{ends}"
        )
    trace = go.Heatmap(
        z=[[None if np.isnan(cell) else cell for cell in row] for row in grid],
        x=[canvas.shown(_named(*one)) for one in columns],
        y=[canvas.shown(one) for one in kept],
        zmin=-1,
        zmax=1,
        colorscale=canvas.shades(palette.DIVERGING),
        showscale=False,
        xgap=1,
        ygap=1,
        text=[[SURE if cell == 1 else "" for cell in row] for row in sure],
        texttemplate="%{text}",
        textfont={"size": 12},
        hovertext=labels,
        hoverinfo="text",
        hoverongaps=False,
    )
    figure = canvas.empty([trace], 190 + 17 * len(kept), top=8)
    figure.update_xaxes(type="category", side="top", tickangle=-40, showgrid=False, dtick=1)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, dtick=1)
    figure.update_yaxes(tickfont={"size": 12})
    return figure


def _named(group: str, score: str) -> str:
    return f"{score} {group}" if group == EFFECT else score


@mpl.rc_context(easel.STYLE)
def _print(rows: pd.DataFrame, kept: list[str]) -> Figure:
    columns, grid, sure = _columns(rows), _grid(rows, kept, "shade"), _grid(rows, kept, "sure")
    figure = easel.blank(1.7 + 0.135 * len(kept))
    axes = figure.subplots()
    axes.set_facecolor("white")
    axes.pcolormesh(grid, cmap=SHADES, vmin=-1, vmax=1, edgecolors="white", lw=0.6)
    for row, column in np.argwhere(sure == 1):
        axes.text(column + 0.5, row + 0.5, SURE, ha="center", va="center", fontsize=7)
    axes.set_ylim(len(kept), 0)
    axes.xaxis.tick_top()
    names = [easel.shown(_named(*one)) for one in columns]
    axes.set_xticks(np.arange(len(columns)) + 0.5, names, rotation=40, ha="left", fontsize=7)
    axes.set_yticks(np.arange(len(kept)) + 0.5, [easel.shown(one) for one in kept], fontsize=6)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
