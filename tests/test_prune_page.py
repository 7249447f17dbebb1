"""The page of a pruning, built from made-up tables and looked at by a real browser."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from tests.made_pages import HOSTILE
from tests.made_prunings import (
    METRICS,
    REMOVED,
    made_alone,
    made_behaviour,
    made_confirmed,
    made_curve,
    made_page,
    made_tables,
)
from tests.opened import Opened
from tsfm_probe.report import prune_before, prune_costs, prune_curve, prune_map, prune_steps
from tsfm_probe.report.labels import spread

CHARTS = ["curve-mase-1", "curve-mase-2", "map-1", "map-2", "map-below", "search-1"]
CHARTS += ["behaviour-1", "behaviour-2"]


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return made_tables()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, tables) -> Path:
    return made_page(tmp_path_factory.mktemp("pruned"), tables)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hostile names, a budget without end, broken trials, no intervals, nothing healed."""
    tables = made_tables((0.0, 1.0, np.inf))
    tables["confirmed"] = made_confirmed((0.0, 1.0, np.inf), intervals=False)
    tables["curve"] = made_curve(tables["confirmed"])
    tables["behaviour"] = made_behaviour(HOSTILE)
    tables["healed"] = tables["healed"].iloc[:0]
    tables["steps"].loc[3, ["unit", "MASE"]] = [HOSTILE, np.inf]
    tables["alone"].loc[5, "WQL"] = np.inf
    return made_page(tmp_path_factory.mktemp("hostile"), tables, HOSTILE)


def test_when_opened_then_it_asks_for_nothing_and_draws_everything(browser, page):
    opened = Opened(browser, page)
    assert opened.drawn() == [*CHARTS, "healing-1", "healing-2"]
    opened.page.get_by_text("WQL", exact=True).first.click()
    assert opened.drawn()[:2] == ["curve-wql-1", "curve-wql-2"]
    headings = opened.page.locator("h2").all_inner_texts()
    assert headings[:2] == ["The answer", "What it costs"]
    assert headings[6:8] == ["What healing did", "What is not to be overlooked"]
    said = opened.page.locator(".answer p").inner_text()
    assert said.endswith("42\u00a0% of the parameters are left.")
    opened.in_order()


@pytest.mark.parametrize("width", [1280, 390])
def test_when_names_are_hostile_then_they_stay_text_at_any_width(browser, hostile, width):
    opened = Opened(browser, hostile, width)
    assert opened.drawn() == CHARTS
    assert opened.page.locator("script").count() == 3
    assert opened.page.locator("h1").inner_text() == f"{HOSTILE} on electricity.csv"
    assert opened.page.locator("#behaviour-1 .ytick").text_content() == HOSTILE
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert "What healing did" not in opened.page.locator("h2").all_inner_texts()
    opened.in_order()


def test_when_a_cell_is_pointed_at_then_its_numbers_show_and_whether_it_was_cut(
    browser, page, tables
):
    opened, alone = Opened(browser, page), tables["alone"].set_index("unit")
    opened.drawn()
    charts: list[str] = ["map-1", "map-2"]
    maps = dict(zip(charts, prune_map.stacks(tables["alone"], REMOVED), strict=True))
    for chart, unit, fate in (
        ("map-1", "encoder.2.self.1", "cut"),
        ("map-1", "encoder.1.self", "kept"),
        ("map-2", "decoder.0.cross.1", "cut"),
        ("map-2", "decoder.0.cross.2", "kept"),
        ("map-2", "decoder.1.mlp", "cut"),
    ):
        cell = next(one for one in maps[chart].cells if one.label[0].startswith(f"{unit}: "))
        across, down = maps[chart].edges
        row = np.mean(cell.y) / down[-1] - 0.02  # beside the line that strikes it
        label = opened.hovered(chart, row, np.mean(cell.x) / across[-1]).replace("−", "-")
        mase, wql = (f"{metric} {alone.at[unit, metric]:+.2f}\u00a0%" for metric in METRICS)
        assert label == f"{unit}: {fate}|without it alone: {mase}, {wql}"
    opened.in_order()


def test_when_written_then_no_address_of_the_net_and_every_picture_is_there(page):
    html = page.read_text(encoding="utf-8")
    own = html.replace(get_plotlyjs(), "")
    assert html.count("plotly.js v") == 1
    assert "http://" not in own
    assert "https://" not in own
    links = set(re.findall(r'(?:src|href)="([^"]*)"', own))
    figures = page.parent / "figures"
    assert links == {f"figures/{file.name}" for file in figures.iterdir()}
    stems = {"curve-mase", "curve-wql", "map", "search", "behaviour", "healing"}
    assert {(Path(one).stem, Path(one).suffix) for one in links} == {
        (stem, form) for stem in stems for form in (".png", ".svg")
    }


def test_when_written_twice_then_page_and_pictures_are_the_same_bytes(page, tables, tmp_path):
    again = made_page(tmp_path, tables)
    files = [file for file in page.parent.rglob("*") if file.is_file()]
    assert len(files) == 13
    for file in files:
        other = again.parent / file.relative_to(page.parent)
        assert file.read_bytes() == other.read_bytes(), file.name


def test_when_shown_then_the_numbers_of_the_tables_are_those_of_the_frames(browser, page, tables):
    opened = Opened(browser, page)
    rows = [
        [cell.replace("−", "-").replace("\u00a0", " ") for cell in row.split("\t")]
        for row in opened.page.locator(".numbers tbody tr").all_inner_texts()
    ]
    assert rows[0] == ["parameters", "2,769,280", "1,162,112", "42 %", ""]
    assert rows[2][:3] == [
        "latency, one series", "19.1 ms (17.8 to 22.0)", "11.6 ms (11.3 to 11.9)"
    ]  # fmt: skip
    assert rows[2][3:] == ["61 %", "53 to 65 %"]
    assert rows[3][:3] == ["peak memory, 32 series at once", "17.3 MB", "8.94 MB"]
    made = rows[5]
    assert made[0] == "1 % (made)"
    assert made[1].replace("\u2009", "") == "1/1/1"
    assert made[2:4] == ["83.0 %", "80.0 % (74 to 88)"]
    assert made[4:] == ["+1.40 % (-0.70 to +4.60 %)", "+1.50 % (-0.60 to +4.70 %)"]
    first = tables["behaviour"].iloc[0]
    assert rows[7][2] == f"{first.value:+.3f} ({first.low:+.3f} to {first.high:+.3f})"
    assert len(rows) == 4 + 3 + 2 + 4
    assert rows[-1][:3] == ["unseen windows", "WQL", "+1.50 % (-0.60 to +4.70 %)"]
    assert rows[-1][3] == f"{100 * (1.015 * 0.99 - 1):+.2f} % (-1.59 to +3.65 %)"
    assert "torch with 3 threads" in opened.page.locator("section").nth(1).inner_text()


@pytest.mark.parametrize("saved", prune_curve.SAVED)
@pytest.mark.parametrize("metric", METRICS)
def test_the_points_of_the_curve_are_the_rows_of_the_table(tables, metric, saved):
    curve = tables["curve"]
    panel = prune_curve.panel(curve, REMOVED, metric, saved)
    rows = curve.sort_values(saved)
    assert [one.x for one in panel.points] == pytest.approx(100 * rows[saved])
    confirmed = [f"confirmed_{metric}{end}" for end in ("", "_low", "_high")]
    wanted = 100 * (rows[confirmed].to_numpy() - 1)
    assert [[one.y, *one.y_span] for one in panel.points] == pytest.approx(wanted)
    searched = 100 * (rows[f"searched_{metric}"] - 1)
    assert [one.searched for one in panel.points] == pytest.approx(searched)
    assert [one.name for one in panel.points if one.made] == ["1\u00a0%"]
    low, high = panel.y_ends
    assert low < 0 < panel.top < high
    assert max(one.y_span[1] for one in panel.points) < panel.top


@pytest.mark.parametrize("parts", [(), ("time", "variate")])
@pytest.mark.parametrize("what", ["all", "layers", "parts", "heads"])
def test_on_the_map_every_unit_is_one_rectangle_that_shows_the_larger_change(what, parts):
    alone = made_alone(what, parts)
    maps = prune_map.stacks(alone, [])
    cells = {cell.label[0]: cell for one in maps for cell in one.cells}
    larger = alone[["MASE", "WQL"]].max(axis=1)
    shown = [cells[f"{unit}: kept"].shade for unit in alone["unit"]]
    assert shown == pytest.approx(larger)
    assert len(cells) == len(alone) == sum(len(one.cells) for one in maps)
    for one in maps:
        assert one.struck == ()
        for first, second in combinations(one.cells, 2):
            beside = first.x[1] <= second.x[0] or second.x[1] <= first.x[0]
            assert beside or first.y[1] <= second.y[0] or second.y[1] <= first.y[0]
        painted = np.isfinite(one.shades).sum()
        filled = sum(
            (rows.stop - rows.start) * (columns.stop - columns.start)
            for _, rows, columns in one.painted()
        )
        assert painted == filled


def test_what_was_cut_is_struck_out_where_it_stands_and_nothing_else_is():
    alone = made_alone()
    encoder, decoder = prune_map.stacks(alone, REMOVED)
    cells = {cell.label[0].split(":")[0]: cell for one in (encoder, decoder) for cell in one.cells}
    ((left, right, height),) = encoder.struck
    assert (left, right) == (cells["encoder.2"].x[0], cells["encoder.2.mlp"].x[1])
    assert cells["encoder.2.self.0"].y[0] < height < cells["encoder.2.self.0"].y[1]
    part, head = decoder.struck
    assert part[:2] == cells["decoder.1.mlp"].x
    assert head[:2] == cells["decoder.0.cross.1"].x
    for line, name in ((part, "decoder.1.mlp"), (head, "decoder.0.cross.1")):
        low, high = cells[name].y
        assert low < line[2] < high
    gone = {unit for unit, cell in cells.items() if cell.label[0].endswith(": cut")}
    wanted = {unit for unit in alone["unit"] if unit.startswith("encoder.2")}
    assert gone == wanted | {"decoder.1.mlp", "decoder.0.cross.1"}


def test_the_search_shows_every_trial_once_and_holds_the_far_ones_at_the_edge(tables):
    steps = tables["steps"]
    found = prune_steps.read(steps)
    numbers = sorted(one.number for one in (*found.taken, *found.refused))
    assert numbers == list(range(1, len(steps) + 1))
    went = steps["taken"].to_numpy(bool)
    for metric in METRICS:
        assert list(found.lines[metric]) == steps.loc[went, metric].tolist()
    rises = steps.loc[~went, ["MASE", "WQL"]].max(axis=1)
    assert [one.rise for one in found.refused] == rises.tolist()
    assert len(found.beyond) == (rises > found.highest).sum() > 0
    assert [(one.first, one.last) for one in found.budgets] == [(1, 12), (13, 24), (25, 36)]
    broken = steps.assign(MASE=steps["MASE"].where(went, np.inf))
    assert len(prune_steps.read(broken).beyond) == len(found.refused)


def test_healing_is_told_by_the_budget_that_was_cut(tables):
    before = tables["confirmed"].loc[tables["confirmed"]["budget"] == 1]
    rows = prune_before.healing_rows(before, tables["healed"])
    assert [row[:2] for row in rows] == [
        (name, metric) for name in prune_before.PARTS.values() for metric in METRICS
    ]
    assert rows[0][2].startswith("+1.00\u00a0%")
    assert rows[0][3].startswith("−0.01\u00a0%")


def test_small_and_large_amounts_have_three_digits_or_all():
    assert prune_costs.amount(0.0000123, "s") == "0.0123\u00a0ms"
    assert prune_costs.amount(12.5, "s") == "12,500\u00a0ms"
    assert prune_costs.amount(123456789.0, "weight") == "123,456,789"
    assert prune_costs.amount(11077120.0, "byte") == "11.1\u00a0MB"


def test_labels_keep_their_distance_and_those_that_have_it_stay():
    assert spread([1.0, 5.0, 9.0], 2, 0, 10) == [1, 5, 9]
    assert spread([5.0, 5.0], 2, 0, 10) == [4, 6]
    crowded = spread([9.0, 9.5, 9.9], 3, 0, 10)
    assert np.diff(crowded) == pytest.approx(3)
    assert crowded[-1] == pytest.approx(10)
    assert spread([5.0] * 5, 4, 0, 10) == pytest.approx([0, 2.5, 5, 7.5, 10])
    assert spread([], 1, 0, 10) == []
