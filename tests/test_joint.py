"""Several series forecast jointly: which belong together, and that nothing else does."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.families import NETWORKS, contexts
from tests.said import Said
from tsfm_probe.data.read import read
from tsfm_probe.data.synthetic import generated
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.groups import members
from tsfm_probe.probes.ablation import UNTOUCHED, Job, Setting, ablate
from tsfm_probe.probes.batches import batches, seen_jointly

Tiny = Callable[[str], Model]
JOINT = ("chronos-2", "timesfm-3", "toto-1", "toto-2", "moirai-1.1", "moirai-2")
GROUPS = [0, 1, 0, 2, 1]
HORIZON = 9


def forecast(model: Model, given: list[np.ndarray], groups: list[int] | None) -> np.ndarray:
    return model.forecast(given, HORIZON, samples=4, groups=groups).values


@pytest.mark.parametrize("family", NETWORKS)
def test_families_say_whether_they_read_series_jointly(family: str, tiny: Tiny) -> None:
    assert tiny(family).joint == (family in JOINT)


@pytest.mark.parametrize("family", JOINT)
def test_a_group_moves_its_members_and_nobody_else(family: str, tiny: Tiny) -> None:
    model, given = tiny(family), contexts()
    alone, together = forecast(model, given, None), forecast(model, given, GROUPS)
    for place, group in enumerate(GROUPS):
        if GROUPS.count(group) == 1:
            np.testing.assert_allclose(together[place], alone[place], rtol=1e-4)
        else:
            assert np.abs(together[place] / alone[place] - 1).max() > 1e-4
    changed = [one * (3 if place == 0 else 1) for place, one in enumerate(given)]
    moved = forecast(model, changed, GROUPS)
    np.testing.assert_allclose(moved[[1, 3, 4]], together[[1, 3, 4]], rtol=1e-4)


@pytest.mark.parametrize("family", JOINT)
def test_the_order_of_groups_and_their_neighbours_do_not_matter(family: str, tiny: Tiny) -> None:
    model, given = tiny(family), contexts()
    together = forecast(model, given, GROUPS)
    order = [4, 1, 3, 0, 2]
    turned = forecast(model, [given[one] for one in order], [GROUPS[one] for one in order])
    np.testing.assert_allclose(turned, together[order], rtol=1e-4)
    pair = forecast(model, [given[0], given[2]], [7, 7])
    np.testing.assert_allclose(pair, together[[0, 2]], rtol=1e-4)


def test_groups_are_windows_that_begin_at_the_same_time_and_stay_together(tiny: Tiny) -> None:
    series = generated(1, 90, seed=1)[:3]
    short = replace(series[2], values=series[2].values[30:], start=series[2].start + 30 * HOUR)
    made = Job.of(
        tiny("chronos-2"), [*series[:2], short], Setting(horizon=5, windows=2, joint=True)
    )
    given, groups = seen_jointly(made.windows)
    assert sorted(map(sorted, members(groups, len(groups)))) == [[0, 2, 4], [1, 3, 5]]
    assert all(len({len(given[one]) for one in those}) == 1 for those in members(groups, 6))
    for size in (1, 3, 4, 100):
        held = batches(given, size, groups)
        assert sorted(place for batch in held for place in batch.places) == list(range(6))
        assert all({0, 2, 4} <= set(one.places) or {1, 3, 5} <= set(one.places) for one in held)
        assert len(held) == (1 if size == 100 else 2)


HOUR = pd.Timedelta("1h")


def test_a_joint_sweep_forecasts_each_group_as_the_model_does(tiny: Tiny) -> None:
    series, model = generated(1, 90, seed=1)[:3], tiny("chronos-2")
    asked = Job.of(model, series, Setting(horizon=5, windows=2, joint=True))
    found = asked.sweep().forecasts(UNTOUCHED)
    for start in range(2):
        windows = asked.windows[start::2]
        expected = model.forecast([one.seen for one in windows], 5, groups=[0] * len(windows))
        np.testing.assert_allclose(found[start::2], expected.values, rtol=1e-3, atol=1e-5)
    apart = Job.of(model, series, Setting(horizon=5, windows=2)).sweep().forecasts(UNTOUCHED)
    assert np.abs(found / apart - 1).max() > 1e-4


@pytest.mark.parametrize("method", ["zero", "mean", "resample"])
def test_group_attention_matters_more_where_it_has_something_to_read(
    method: str, tiny: Tiny
) -> None:
    series = generated(1, 90, seed=1)[:3]
    asked = {"by": "part", "only": "encoder.*.group", "method": method, "horizon": 5, "windows": 2}
    apart = ablate(tiny("chronos-2"), series, **asked).frame
    jointly = ablate(tiny("chronos-2"), series, joint=True, **asked).frame
    assert not np.allclose(apart["value"], jointly["value"], equal_nan=True)


def test_a_family_that_reads_each_series_alone_says_so(tiny: Tiny) -> None:
    with pytest.raises(UsageError, match=r"chronos-bolt reads each series on its own.*no --joint"):
        Job.of(tiny("chronos-bolt"), generated(1, 90, seed=1)[:2], Setting(joint=True))


def test_a_wide_file_is_forecast_jointly(
    command: Callable[..., Said], checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    times = pd.date_range("2024-01-01", periods=60, freq="D")
    values = np.random.default_rng(0).normal(size=(60, 3)).cumsum(0) + 50
    wide = pd.DataFrame(values, columns=pd.Index(["a", "b", "c"])).assign(timestamp=times)
    wide.to_csv(tmp_path / "wide.csv", index=False)
    assert len(read(tmp_path / "wide.csv").series) == 3
    words = ["ablate", checkpoints("chronos-2"), "--data", tmp_path / "wide.csv", "--horizon", 5]
    words += ["--windows", 1, "--only", "encoder.0.group.*", "--out"]
    apart = command(*words, tmp_path / "apart", "--json")
    jointly = command(*words, tmp_path / "joint", "--joint", "--json")
    assert (apart.code, jointly.code) == (0, 0)
    assert json.loads(jointly.out)["about"]["joint"] == "True"
    assert json.loads(apart.out)["answer"] != json.loads(jointly.out)["answer"]
