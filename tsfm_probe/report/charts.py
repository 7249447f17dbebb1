"""The interactive figures of the page, as plotly figures."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from tsfm_probe.report import canvas, palette
from tsfm_probe.report.effects import Effect, Effects, percent
from tsfm_probe.report.forecasts import UNTOUCHED, Curve, Window
from tsfm_probe.report.maps import Bars, Map
from tsfm_probe.report.ranking import Ranking


def heat_map(grid: Map, effects: Effects) -> go.Figure:
    """One cell for each head (or part) of each layer, coloured by the change of the metric."""
    trace = go.Heatmap(
        z=[[None if cell is None else cell.change for cell in row] for row in grid.cells],
        x=grid.columns,
        y=grid.rows,
        zmin=-effects.limit,
        zmax=effects.limit,
        colorscale=canvas.colour_scale(),
        showscale=False,
        xgap=1,
        ygap=1,
        text=[[palette.cell_sign(cell and cell.verdict) for cell in row] for row in grid.cells],
        texttemplate="%{text}",
        textfont={"size": 12},
        hovertext=[[canvas.hover(cell) for cell in row] for row in grid.cells],
        hoverinfo="text",
    )
    row = 30 if len(grid.rows) <= 8 else 22 if len(grid.rows) <= 14 else 16
    figure = canvas.empty([trace], 82 + row * len(grid.rows), top=32)
    figure.update_layout(title=canvas.title(grid.title))
    columns = canvas.axis_title(grid.columns_are.capitalize())
    figure.update_xaxes(type="category", title=columns, showgrid=False)
    layers = canvas.axis_title("Layer")
    figure.update_yaxes(type="category", title=layers, autorange="reversed", showgrid=False)
    return figure


def scale(effects: Effects) -> go.Figure:
    """The colour scale of the heat maps, with the controls as dots below it, one row a kind."""
    limit = effects.limit
    steps = [limit * (step / 50 - 1) for step in range(101)]
    kinds = list(dict.fromkeys(effect.kind for effect in effects.controls))
    traces: list[go.Heatmap | go.Scatter] = [
        go.Heatmap(
            z=[steps],
            x=steps,
            y=[0],
            colorscale=canvas.colour_scale(),
            showscale=False,
            hoverinfo="skip",
            zsmooth="best",
        )
    ]
    for row, kind in enumerate(kinds, start=1):
        found = [effect for effect in effects.controls if effect.kind == kind]
        held = [min(max(effect.change, -limit), limit) for effect in found]
        traces.append(canvas.dots(found, held, [row] * len(found)))
    figure = canvas.empty(traces, 92 + 26 * len(kinds), top=24)
    change = canvas.axis_title(f"{effects.metric} change, %")
    figure.update_xaxes(range=[-1.03 * limit, 1.03 * limit], title=change, showgrid=False, nticks=8)
    rows = ["colour", *kinds]
    figure.update_yaxes(
        range=[len(kinds) + 0.55, -0.55],
        tickvals=list(range(len(rows))),
        ticktext=rows,
        showgrid=False,
    )
    canvas.draw_threshold(figure, effects, vertical=True)
    return figure


def bars(stack: Bars, effects: Effects, axis: Ranking) -> go.Figure:
    """One bar for each layer of a stack, with its interval, the noise band and the threshold."""
    trace = go.Bar(
        x=stack.layers,
        y=[axis.held(effect.change) for effect in stack.effects],
        marker={"color": [palette.mark(one.kind, one.verdict).colour for one in stack.effects]},
        error_y=canvas.whiskers(stack.effects, axis) | {"color": palette.QUIET},
        text=[percent(one.change) if axis.beyond(one) else "" for one in stack.effects],
        textposition="inside",
        insidetextanchor="end",
        textangle=-90,
        hovertext=[canvas.hover(effect) for effect in stack.effects],
        hoverinfo="text",
    )
    figure = canvas.empty([trace], 320, top=32)
    figure.update_layout(title=canvas.title(stack.title), bargap=0.25)
    figure.update_xaxes(type="category", title=canvas.axis_title("Layer"), showgrid=False)
    change = canvas.axis_title(f"{effects.metric} change, %")
    figure.update_yaxes(range=[axis.lowest, axis.highest], title=change, zeroline=True)
    for effect in effects.controls:
        if effect.kind == "random":
            dotted = {"color": palette.CONTROLS["random"].colour, "dash": "dot", "width": 1.5}
            figure.add_hline(axis.held(effect.change), line=dotted)
    canvas.draw_noise(figure, effects, axis, vertical=False)
    canvas.draw_threshold(figure, effects, vertical=False)
    return figure


def ranked(order: Ranking, effects: Effects) -> go.Figure:
    """One dot with its interval for each trial, the least harmful at the top."""
    groups: dict[palette.Mark, list[tuple[int, Effect]]] = {}
    for place, effect in zip(order.places, order.effects, strict=True):
        mark = palette.mark(effect.kind, effect.verdict)
        groups.setdefault(mark, []).append((place, effect))
    last = max(order.places, default=0)
    figure = canvas.empty([_dots(group, order) for group in groups.values()], 96 + 19 * last, 28)
    margin = 0.02 * (order.highest - order.lowest)
    figure.update_xaxes(
        range=[order.lowest - margin, order.highest + margin],
        title=canvas.axis_title(f"{effects.metric} change, %"),
        zeroline=True,
        nticks=8,
    )
    figure.update_yaxes(
        range=[last + 0.7, -0.7],
        tickvals=order.places,
        ticktext=[canvas.shown(effect.trial) for effect in order.effects],
        tickfont={"size": 12},
    )
    _note_beyond(figure, order)
    canvas.draw_noise(figure, effects, order, vertical=True)
    canvas.draw_threshold(figure, effects, vertical=True)
    return figure


def window(one: Window, colours: Mapping[str, str]) -> go.Figure:
    """One window: context, target, and the median of each trial; the untouched one with a band."""
    traces = [
        canvas.line("context", one.context.x, one.context.y, palette.QUIET, 1.2),
        canvas.line("target", one.target.x, one.target.y, palette.INK, 2),
    ]
    for curve in one.curves:
        x, y = curve.median.x, curve.median.y
        traces.append(canvas.line(curve.trial, x, y, colours[curve.trial], 1.8))
        if curve.trial == UNTOUCHED:
            traces = [*_band(curve, colours[curve.trial]), *traces]
    figure = canvas.empty(traces, 250, top=32)
    figure.update_layout(title=canvas.title(one.title), hovermode="x unified")
    figure.update_xaxes(nticks=5, showgrid=False, fixedrange=False)
    figure.update_xaxes(spikecolor=palette.QUIET, spikethickness=1, spikedash="solid")
    figure.update_traces(yhoverformat=".5~g")
    figure.update_yaxes(nticks=6, title=canvas.axis_title("Value"))
    return figure


def _dots(group: Sequence[tuple[int, Effect]], order: Ranking) -> go.Scatter:
    places, effects = zip(*group, strict=True)
    dots = canvas.dots(effects, [order.held(effect.change) for effect in effects], places)
    colour = palette.mark(effects[0].kind, effects[0].verdict).colour
    dots.update(error_x=canvas.whiskers(effects, order) | {"color": colour})
    return dots


def _note_beyond(figure: go.Figure, order: Ranking) -> None:
    for place, effect in zip(order.places, order.effects, strict=True):
        if order.beyond(effect):
            figure.add_annotation(
                x=1,
                xref="x domain",
                xanchor="left",
                y=place,
                text=percent(effect.change),
                showarrow=False,
                xshift=6,
                font={"size": 11},
            )
    if any(map(order.beyond, order.effects)):
        figure.update_layout(margin_r=66)


def _band(curve: Curve, colour: str) -> list[go.Scatter]:
    if curve.low is None or curve.high is None:
        return []
    low = canvas.line("10 %", curve.low.x, curve.low.y, colour, 0)
    high = canvas.line("90 %", curve.high.x, curve.high.y, colour, 0)
    high.update(fill="tonexty", fillcolor=palette.faded(colour))
    return [low, high]
