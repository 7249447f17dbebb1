"""Which guess may be trusted is told by its whole interval, and nothing is hidden."""

import math
from typing import Any

import pandas as pd
import pytest

from tests.made_pages import HOSTILE
from tsfm_probe.report.agreement import Correlation, correlations, section


@pytest.mark.parametrize(
    ("numbers", "trust"),
    [
        ((0.9, 0.6, 1.0, 12), "yes"),
        ((0.6, 0.4, 0.8, 12), "unclear"),
        ((-0.4, -0.7, 0.1, 12), "no"),
        ((-0.9, -1.0, -0.6, 12), "turned round"),
        ((1.0, math.nan, math.nan, 4), "too few"),
        ((math.nan, math.nan, math.nan, 0), "too few"),
        ((math.nan, math.nan, math.nan, 12), "constant"),
    ],
)
def test_trust_is_a_matter_of_the_whole_interval(numbers: Any, trust: str) -> None:
    assert Correlation("head", "any", *numbers).trust == trust


def test_bad_agreement_is_shown_like_good_and_names_stay_text() -> None:
    numbers = {"spearman": [-0.9, math.nan, 0.9], "low": [-1.0, math.nan, 0.8]}
    numbers |= {"high": [-0.8, math.nan, 1.0], "count": [9, 9, 9]}
    frame = pd.DataFrame({"level": "layer", "predictor": ["bad", HOSTILE, "good"], **numbers})
    assert [one.predictor for one in correlations(frame)] == ["good", "bad", HOSTILE]
    made = section(frame, {"joint": "True"})
    assert [row[0] for row in made.rows] == ["good", "bad", HOSTILE]
    assert made.rows[2][1:] == ("–", "–", "9 layers", "constant")
    assert made.sentences[0] == "May be trusted on this model: good (1 of 3 guesses)."
    assert made.sentences[-1].startswith("The guesses read each series alone")
    (plate,) = made.every
    ticks = plate.panels[0].to_plotly_json()["layout"]["yaxis"]["ticktext"]
    assert len(ticks) == 3
    assert not [text for text in ticks if set("<>$") & set(text)]
    assert "no drop" in section(frame.head(0), {}).sentences[0]
