"""What comes about across the snapshots of a training."""

import numpy as np
import pandas as pd
import pytest

from tests.planted_behaviour import BEHAVIOURS, PAIR_PARROT
from tsfm_probe.diagnosis.emergence import COLUMNS, RANK, emerged, emergence


def table(**values: list[float]) -> pd.DataFrame:
    """Snapshots at steps 10, 20, ... of measures with intervals of 0.1 to either side."""
    rows = [
        (10 * (number + 1), measure, "", value, value - 0.1, value + 0.1)
        for measure, own in values.items()
        for number, value in enumerate(own)
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.0, 0.0, 0.6, 0.9, 1.0], 30),
        ([0.0, 0.7, 0.2, 0.9, 1.0], 40),  # not for good before
        ([0.9, 0.9, 0.9, 0.9, 1.0], 10),
        ([0.0, 0.5, 1.0, 1.0, 1.0], 30),  # half is not above half
        ([0.0, 0.0, 0.0, 0.0, 0.05], None),  # its interval holds 0
        ([0.0, np.nan, 0.8, 0.9, 1.0], 30),
    ],
)
def test_a_measure_has_come_about_where_it_stays_above_half_of_its_last_value(
    values: list[float], step: int | None
) -> None:
    shuffled = table(copying=values).sample(frac=1, random_state=0)
    assert emerged(shuffled) == {"copying": step}


def test_ranks_are_told_but_do_not_come_about() -> None:
    assert emerged(table(**{RANK: [3.0, 2.0], "copying": [0.0, 1.0]})) == {"copying": 20}


def test_copying_comes_about_where_a_network_that_copies_follows_one_that_does_not() -> None:
    snapshots = {
        200: lambda: BEHAVIOURS["pair-parrot"](0).model,
        100: lambda: BEHAVIOURS["mean"](0).model,
    }
    told: list[tuple[int, int, str]] = []
    found = emergence(snapshots, count=2, progress=lambda *one: told.append(one))
    assert told == [(1, 2, "step 100"), (2, 2, "step 200")]
    steps = emerged(found)
    assert {steps[one] for one in ("parroting, patches", "prefix matching", "copying")} == {200}
    last = found.loc[(found["step"] == 200) & (found["measure"] == "prefix matching")]
    assert last["address"].tolist() == [str(PAIR_PARROT.induction)]
