"""The page of a run, built from made-up frames and looked at by a real browser."""

import re
from pathlib import Path

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from tests.made_pages import HOSTILE, made_answer, made_forecasts, made_page
from tests.opened import Opened
from tsfm_probe.errors import DataError
from tsfm_probe.report.effects import read
from tsfm_probe.report.forecasts import windows
from tsfm_probe.report.ranking import ranking


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_page(tmp_path_factory.mktemp("heads"), "head")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    return made_page(folder, "part", intervals=False, names=(HOSTILE,), model=HOSTILE)


def made_layers(folder: Path) -> Path:
    """A page by layer on which one q is missing."""
    answer = made_answer("layer")
    answer.loc[(answer["trial"] == "encoder.1") & (answer["metric"] == "MASE"), "q_harmful"] = None
    return made_page(folder, "layer", names=("one",), answer=answer)


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_layers(tmp_path_factory.mktemp("layers"))


def test_when_opened_then_it_asks_for_nothing_and_draws_everything(browser, heads):
    opened = Opened(browser, heads)
    names = ["map-mase-1", "map-mase-2", "map-mase-3", "map-mase-below", "ranking-mase-1"]
    names += ["forecasts-1", "forecasts-2", "forecasts-3"]
    assert opened.drawn() == names
    opened.page.get_by_text("WQL", exact=True).first.click()
    assert opened.drawn() == [name.replace("mase", "wql") for name in names]
    opened.in_order()


def test_when_a_cell_is_pointed_at_then_its_address_and_its_numbers_show(browser, heads):
    opened = Opened(browser, heads)
    answer = made_answer("head").set_index(["trial", "metric"])
    for chart, trial in (("map-mase-1", "encoder.2.self.1"), ("map-mase-3", "decoder.2.cross.1")):
        label = opened.hovered(chart, row=2.5 / 4, column=1.5 / 4).replace("−", "-")
        mase, wql = answer.loc[(trial, "MASE")], answer.loc[(trial, "WQL")]
        assert label.startswith(f"{trial}|")
        assert f"MASE {100 * (mase.ratio - 1):+.2f}\u00a0%" in label
        assert f"({100 * (mase.low - 1):+.2f} to {100 * (mase.high - 1):+.2f}\u00a0%)" in label
        assert f"WQL {100 * (wql.ratio - 1):+.2f}\u00a0%" in label
        assert f"MASE verdict: {mase.verdict}" in label
    opened.in_order()


def test_when_a_column_is_clicked_then_the_table_is_sorted_by_it(browser, heads):
    opened = Opened(browser, heads)
    button = opened.page.get_by_role("button", name="ratio").first
    for rising in (True, False):
        button.click()
        ratios = [float(text) for text in opened.column(2)]
        assert ratios == sorted(ratios, reverse=not rising)
    assert opened.column(0)[0] == "encoder.0.self.0"
    opened.page.get_by_role("button", name="trial").click()
    assert opened.column(0)[:2] == ["decoder.0.cross.0", "decoder.0.cross.1"]
    opened.page.get_by_label("Filter").fill("noise")
    assert opened.page.locator("#table tbody tr:visible").count() == 2


def test_when_a_value_is_missing_then_it_stands_last_in_either_order(browser, layers):
    opened = Opened(browser, layers)
    for _ in range(2):
        opened.page.get_by_role("button", name="q harmful").first.click()
        assert opened.column(0)[-1] == "encoder.1"
        assert opened.column(5)[-1] == "–"


@pytest.mark.parametrize("width", [1280, 390])
def test_when_a_name_is_hostile_then_it_stays_text_at_any_width(browser, hostile, width):
    opened = Opened(browser, hostile, width)
    assert "forecasts-1" in opened.drawn()
    assert opened.page.locator("script").count() == 3
    assert opened.page.locator("h1").inner_text() == f"{HOSTILE} on electricity-hourly.csv"
    title = opened.page.locator("#forecasts-1 .gtitle")
    assert title.text_content() == f"{HOSTILE[:29]}…, window 0"
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    opened.in_order()


@pytest.mark.parametrize("by", ["heads", "hostile", "layers"])
def test_when_written_then_no_address_of_the_net_and_every_picture_is_there(request, by):
    path: Path = request.getfixturevalue(by)
    folder = path.parent
    html = path.read_text(encoding="utf-8")
    own = html.replace(get_plotlyjs(), "")
    assert len(html) - len(own) > 1_000_000
    assert html.count("plotly.js v") == 1
    assert "default-src 'none'; script-src 'unsafe-inline'" in own
    assert "http://" not in own
    assert "https://" not in own
    links = set(re.findall(r'(?:src|href)="([^"]*)"', own))
    pictures = {str(file.relative_to(folder)) for file in (folder / "figures").iterdir()}
    assert links == pictures
    form = "layers" if by == "layers" else "map"
    stems = {f"{form}-mase", f"{form}-wql", "ranking-mase", "ranking-wql", "forecasts"}
    assert {Path(link).stem for link in links} == stems


def test_when_written_twice_then_page_and_pictures_are_the_same_bytes(layers, tmp_path):
    again = made_layers(tmp_path)
    files = [file for file in layers.parent.rglob("*") if file.is_file()]
    assert len(files) == 11
    for file in files:
        other = again.parent / file.relative_to(layers.parent)
        assert file.read_bytes() == other.read_bytes(), file.name


def test_when_no_metric_can_be_drawn_then_the_error_names_what_was_found(tmp_path):
    answer = made_answer("layer")
    answer = answer.loc[answer["metric"] == "spearman"]
    with pytest.raises(DataError, match="the metrics spearman; one of MASE and WQL"):
        made_page(tmp_path, "layer", answer=answer)
    assert list(tmp_path.iterdir()) == []


def test_when_many_trials_are_ranked_then_both_ends_and_all_controls_are_kept():
    effects = read(made_answer("head", layers=6, heads=8), {"threshold_pp": "1"})[0]
    order = ranking(effects)
    changes = sorted(one.change for one in effects.edits + effects.controls)
    assert order.measured == 6 * 8 * 3 + 5
    assert [one.change for one in order.effects[:25]] == changes[:25]
    assert [one.change for one in order.effects[-25:]] == changes[-25:]
    assert {one.trial for one in order.effects} >= {one.trial for one in effects.controls}
    last = len(order.effects) - 25
    assert order.gaps == (25, last)
    assert [order.places[at] for at in (24, 25, last - 1, last)] == [24, 26, last, last + 2]


def test_when_one_effect_is_huge_then_the_range_still_fits_the_others():
    effects = read(made_answer("layer"), {})[0]
    assert max(one.change for one in effects.edits) == pytest.approx(340)
    assert effects.limit < 10
    order = ranking(effects)
    assert [one.trial for one in order.effects if order.beyond(one)] == ["encoder.0"]


def test_when_forecasts_have_no_time_then_steps_are_drawn():
    frame = made_forecasts(["encoder.0"], ["one"]).assign(time=pd.NaT)
    view = windows(frame, read(made_answer("layer"), {})[0])
    assert view.windows[0].target.x.tolist() == list(range(24))
    assert view.windows[0].context.x.tolist() == list(range(-72, 0))
    assert view.names["encoder.0"] == "encoder.0 (MASE +340\u00a0%)"
