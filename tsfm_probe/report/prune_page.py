"""The page of a pruning: what is saved, what it costs, what was cut, how it was found."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tsfm_probe.durable import write_atomically
from tsfm_probe.report import (
    prune_before,
    prune_costs,
    prune_curve,
    prune_curve_charts,
    prune_map_charts,
    prune_steps_charts,
)
from tsfm_probe.report.effects import METRICS
from tsfm_probe.report.plates import Plate
from tsfm_probe.report.section import Section
from tsfm_probe.report.sheet import draw, inlined, template

TITLE_FIELDS = ("model", "data")
LISTED = 40


def write(
    folder: Path,
    tables: Mapping[str, pd.DataFrame],
    said: Sequence[str],
    removed: Sequence[str],
    about: Mapping[str, str],
) -> Path:
    """Write `report.html` and the folder `figures` and return the path of the page.

    tables: "alone", "steps", "confirmed", "healed" (without rows if nothing was), "costs", "curve"
    and "behaviour", as the command writes them. said: the answer in plain sentences. removed:
    addresses of what was cut. about: what the numbers belong to.
    """
    sections = [one for one in _sections(tables, removed) if one.plates or one.rows]
    every = [plate for section in sections for plate in section.every]
    draw(folder, every)
    html = template("prune.html.j2").render(
        about=dict(about),
        title=" on ".join(about.get(field, f"unnamed {field}") for field in TITLE_FIELDS),
        said=[one.replace(" %", "\u00a0%") for one in said],
        sections=sections,
        figures=inlined(every),
        plotly=Markup(get_plotlyjs()),
    )
    path = folder / "report.html"
    write_atomically(path, html.encode("utf-8"))
    return path


def _sections(tables: Mapping[str, pd.DataFrame], removed: Sequence[str]) -> tuple[Section, ...]:
    return (
        _costs(tables["costs"]),
        _curve(tables["curve"], removed),
        _map(tables["alone"], removed),
        Section(
            "search", "How it was found", plates=_always(prune_steps_charts.plate(tables["steps"]))
        ),
        _behaviour(tables["behaviour"]),
        _healing(tables["confirmed"], tables["healed"]),
    )


def _costs(costs: pd.DataFrame) -> Section:
    threads = costs.attrs.get("threads")
    with_threads = f", torch with {threads} thread{'s' * (threads != 1)}" if threads else ""
    return Section(
        "costs",
        "What it costs",
        (
            "Latency: the median of warm forecasts, both networks in turns, with quartiles in "
            f"brackets{with_threads}. Peak memory is that of a forecast, beside the weights.",
        ),
        columns=prune_costs.COLUMNS,
        rows=prune_costs.rows(costs),
    )


def _curve(curve: pd.DataFrame, removed: Sequence[str]) -> Section:
    title = "Accuracy against time and size"
    if curve.empty:
        return Section("curve", title)
    plates = {one: (prune_curve_charts.plate(curve, removed, one),) for one in METRICS}
    rows = prune_curve.rows(curve, removed)
    return Section("curve", title, (), plates, prune_curve.COLUMNS, rows)


def _map(alone: pd.DataFrame, removed: Sequence[str]) -> Section:
    more = len(removed) - LISTED
    others = f" and {more} more, which prune.json of the model lists" if more > 0 else ""
    listed = ", ".join(removed[:LISTED])
    sentence = f"Cut, by the addresses of the original: {listed}{others}."
    plates = _always(prune_map_charts.plate(alone, removed))
    return Section("map", "What was cut", (sentence,), plates)


def _behaviour(found: pd.DataFrame) -> Section:
    title = "Parroting and seasonality, before and after"
    if found.empty:
        return Section("behaviour", title)
    return Section(
        "behaviour",
        title,
        (),
        _always(prune_before.behaviour(found)),
        prune_before.BEHAVIOUR,
        prune_before.behaviour_rows(found),
    )


def _healing(confirmed: pd.DataFrame, healed: pd.DataFrame) -> Section:
    title = "What healing did"
    if healed.empty:
        return Section("healing", title)
    before = confirmed.loc[confirmed["budget"].isin(healed["budget"])]
    return Section(
        "healing",
        title,
        (),
        _always(prune_before.healing(before, healed)),
        prune_before.HEALING,
        prune_before.healing_rows(before, healed),
    )


def _always(plate: Plate) -> dict[str, tuple[Plate, ...]]:
    return {"": (plate,)}
