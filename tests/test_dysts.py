"""Forecasts of chaotic systems are measured as they are said to be, by hand and by equations."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.said import Said
from tsfm_probe.data.synthetic import FLOWS
from tsfm_probe.errors import DataError, UsageError
from tsfm_probe.evaluate.chaos import System, integrated, systems, trajectory
from tsfm_probe.evaluate.dysts import (
    Episode,
    Protocol,
    measured,
    normalised_error,
    valid_steps,
)
from tsfm_probe.evaluate.dysts_work import Job, Worker, units
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.paired import paired
from tsfm_probe.evaluate.trials import UNTOUCHED, Trial, trials
from tsfm_probe.models import load

Command = Callable[..., Said]
SMALL = Protocol(context=48, horizon=12, conditions=2)


def built_in(name: str) -> System:
    (found,) = systems([name], "built-in")
    return found


def test_valid_steps_are_those_before_the_first_failure() -> None:
    error = np.array([0.0, 0.1, 0.4, 0.41, 0.0])
    assert valid_steps(error, 0.4) == 3
    assert valid_steps(error, 0.05) == 1
    assert valid_steps(error, 0.5) == 5
    assert valid_steps(np.array([np.nan, 0.0]), 0.5) == 0


def test_the_error_is_in_units_of_the_spread() -> None:
    truth = np.array([[0.0, 1.0], [10.0, 10.0]])
    point = np.array([[0.3, 1.0], [10.0, 14.0]])
    found = normalised_error(truth, point, np.array([0.5, 2.0]))
    np.testing.assert_allclose(found, [0.6 / np.sqrt(2), 2 / np.sqrt(2)])


@pytest.mark.parametrize("exact", [0, 1, 37, 64])
def test_a_forecast_that_is_exact_for_some_steps_is_valid_for_as_many(exact: int) -> None:
    asked = Protocol(context=100, horizon=64)
    lorenz = built_in("lorenz")
    episode = Episode.of(lorenz, 0, asked)
    point = episode.truth.copy()
    point[:, exact:] += 0.41 * episode.spread[:, None]
    found = measured(lorenz, episode, point, asked)
    assert found["valid_periods"] == exact / 30
    assert found["valid_lyapunov"] == pytest.approx(exact * 0.025 * 0.905)
    point[:, exact:] = episode.truth[:, exact:] + 0.39 * episode.spread[:, None]
    assert measured(lorenz, episode, point, asked)["valid_periods"] == 64 / 30


def test_metrics_of_forecasts_that_are_known() -> None:
    asked = Protocol(context=100, horizon=64)
    lorenz = built_in("lorenz")
    episode = Episode.of(lorenz, 0, asked)
    perfect = measured(lorenz, episode, episode.truth, asked)
    assert (perfect["sMAPE"], perfect["spearman"]) == (0, 1)
    mirrored = measured(lorenz, episode, -episode.truth, asked)
    assert mirrored["sMAPE"] == pytest.approx(2)
    assert mirrored["spearman"] == pytest.approx(-1)
    doubled = measured(lorenz, episode, 2 * episode.truth, asked)
    assert doubled["sMAPE"] == pytest.approx(2 / 3)
    flat = measured(lorenz, episode, np.ones_like(episode.truth), asked)
    assert flat["spearman"] == 0
    unknown = replace(lorenz, exponent=None)
    assert np.isnan(measured(unknown, episode, episode.truth, asked)["valid_lyapunov"])
    broken = measured(lorenz, episode, episode.truth * np.inf, asked)
    assert np.isnan(list(broken.values())).all()


@pytest.mark.parametrize("name", FLOWS)
def test_a_trajectory_follows_its_equations(name: str) -> None:
    system = built_in(name)
    found = trajectory(system, 0, 0, 40, granularity=1000)
    step = system.period / 1000
    speed = (found[:, 2:] - found[:, :-2]) / (2 * step)
    rates = np.array([system.rates(0.0, state) for state in found[:, 1:-1].T]).T
    assert np.abs(speed - rates).max() < 2e-3 * np.abs(rates).max()


def test_a_trajectory_is_given_by_seed_name_and_number_alone() -> None:
    rossler = built_in("rossler")
    found = trajectory(rossler, 1, 0, 200)
    np.testing.assert_array_equal(trajectory(rossler, 1, 0, 200), found)
    np.testing.assert_allclose(trajectory(rossler, 1, 0, 300)[:, 0], found[:, 0], atol=1e-3)
    for other in (trajectory(rossler, 2, 0, 200), trajectory(rossler, 1, 1, 200)):
        assert np.abs(other - found).max() > 1


@pytest.mark.parametrize("granularity", [20, 30])
def test_a_period_has_as_many_values_as_asked_for(granularity: int) -> None:
    found = trajectory(built_in("rossler"), 0, 0, 20 * granularity, granularity)[0]
    turns = np.argmax(np.abs(np.fft.rfft(found - found.mean())))
    assert turns == pytest.approx(20, abs=1)


def test_a_system_that_runs_away_is_told() -> None:
    away = replace(built_in("lorenz"), rates=lambda _, state: state**3 + state)
    with pytest.raises(DataError, match="trajectory 0 of lorenz; integration failed"):
        trajectory(away, 0, 0, 100)


def test_the_exponent_is_how_fast_neighbours_part() -> None:
    lorenz = built_in("lorenz")
    times = np.linspace(0.0, 12.0, 241)
    grown = []
    for number in range(5):
        start = trajectory(lorenz, number, 0, 1)[:, 0]
        one, other = (integrated(lorenz, start + gap, times) for gap in (0.0, 1e-7))
        assert one is not None
        assert other is not None
        gaps = np.linalg.norm(one - other, axis=0)
        grown.append(np.log(gaps[-1] / gaps[20]) / 11)
    assert np.mean(grown) == pytest.approx(lorenz.exponent, rel=0.2)


def test_coordinates_that_do_not_move_are_left_out() -> None:
    lorenz = built_in("lorenz")
    shown = replace(lorenz, shown=lambda states: np.vstack([states, np.full(states.shape[1], 7.0)]))
    found = Episode.of(shown, 0, SMALL)
    assert (found.contexts.shape, found.truth.shape) == ((3, 48), (3, 12))


def test_a_worker_measures_what_the_model_forecasts(checkpoints: Callable[[str], Path]) -> None:
    name = str(checkpoints("chronos-bolt"))
    parrot = Trial("parrot", naive=True)
    tried = (parrot, *trials(["decoder.0"])[1:])
    chosen = systems(["thomas", "chen"], "built-in")
    job = Job(name, "cpu", "auto", chosen, tried, SMALL, Forecasting())
    worker = Worker(job)
    work = units(job, worker.subjects)
    assert [(unit.task, unit.trial) for unit in work] == [
        (system, trial)
        for system in ("thomas", "chen")
        for trial in ("parrot", "untouched", "decoder.0")
    ]
    made = {unit: worker(unit) for unit in work}
    chen = built_in("chen")
    episode = Episode.of(chen, 1, SMALL)
    point = load(name, device="cpu").forecast(list(episode.contexts), 12).median
    expected = measured(chen, episode, point, SMALL)
    found = made[work[4]].query("condition == 1").set_index("metric")["value"]
    assert found.to_dict() == pytest.approx(expected, rel=1e-4)
    assert not np.allclose(made[work[4]]["value"], made[work[5]]["value"])


def test_trials_are_compared_in_pairs() -> None:
    frame = pd.DataFrame(
        [
            *[("base", group, window, 1.0 + window) for group in "abc" for window in (0, 1)],
            *[("twice", group, window, 2.0 + 2 * window) for group in "abc" for window in (0, 1)],
            *[("more", group, window, 1.5 + window) for group in "abc" for window in (0, 1)],
        ],
        columns=pd.Index(["trial", "group", "window", "value"]),
    )
    ratios = paired(frame, "base").set_index("trial")
    assert ratios.loc["twice", ["estimate", "low", "high"]].tolist() == pytest.approx([2, 2, 2])
    assert ratios.loc["more", "estimate"] == pytest.approx(np.sqrt(1.5 * 1.25))
    gains = paired(frame, "base", ratio=False).set_index("trial")
    assert gains.loc["more", ["estimate", "low", "high"]].tolist() == pytest.approx([0.5] * 3)
    assert (gains.loc["more", ["groups", "windows"]] == [3, 6]).all()
    frame.loc[frame.eval("trial == 'more' and group != 'a'"), "value"] = np.nan
    one = paired(frame, "base").set_index("trial").loc["more"]
    assert (one["groups"], one["windows"]) == (1, 2)
    assert np.isnan(one["low"])


def test_the_command_goes_on_and_takes_more_conditions(
    checkpoints: Callable[[str], Path], tmp_path: Path, command: Command
) -> None:
    words = ["bench", "dysts", checkpoints("chronos-bolt"), "--source", "built-in", "--systems"]
    words += ["Lorenz", "--context", 48, "--horizon", 12, "--ablate", "decoder.0"]
    words += ["--device", "cpu", "--quiet"]
    few, many = tmp_path / "few", tmp_path / "many"
    assert command(*words, "--conditions", 6, "--out", few).code == 0
    before = {path: path.stat().st_mtime_ns for path in (few / "shards").rglob("*.parquet")}
    assert command(*words, "--conditions", 7, "--out", few).code == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}, "nothing was done twice"
    assert command(*words, "--conditions", 7, "--out", many).code == 0
    for name in ("table.csv", "summary.csv"):
        assert (few / name).read_bytes() == (many / name).read_bytes()

    table, answer = pd.read_csv(few / "table.csv"), pd.read_csv(few / "summary.csv")
    assert len(table) == 7 * 3 * 4
    own = table.query("metric == 'spearman' and trial == 'decoder.0'")
    found = answer.query("metric == 'spearman' and trial == 'decoder.0'").iloc[0]
    assert found["mean"] == pytest.approx(own.groupby("system")["value"].mean().mean())
    assert found["change"] == pytest.approx((own["value"] - own["base"]).mean())
    assert found[["forecasts", "of"]].tolist() == [7, 7]
    assert answer.query("trial == 'untouched' and metric == 'sMAPE'")["change"].item() == 1


def test_a_dry_run_tells_what_would_be_done(
    checkpoints: Callable[[str], Path], command: Command
) -> None:
    words = ["--context", 48, "--source", "built-in", "--dry-run", "--device", "cpu"]
    said = command("bench", "dysts", checkpoints("chronos-bolt"), *words)
    assert "8 systems (built-in) from 20 initial conditions each, 480 forecasts" in said.out
    assert "Trials: parrot, untouched" in said.out


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--systems", "Lorentz"], "did you mean lorenz"),
        (["--source", "dists"], "did you mean dysts"),
        (["--horizon", "1"], "--horizon 1; 2 or more"),
        (["--conditions", "0"], "--conditions 0; 1 or more"),
        (["--threshold", "0"], "--threshold 0.0; more than 0"),
        (["--context", "512"], "reads 48 values at most"),
        (["--context", "48", "--ablate", "decoder.9"], "no part of this network matches"),
    ],
)
def test_bad_options_are_told_in_a_line(
    asked: list[str],
    words: str,
    checkpoints: Callable[[str], Path],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = [] if "--source" in asked else ["--source", "built-in"]
    model = checkpoints("chronos-bolt")
    said = command("bench", "dysts", model, *source, *asked, "--device", "cpu")
    assert words in said.complaint
    assert said.code == 2
    assert not list(tmp_path.iterdir()), "no run folder is left"


@pytest.mark.skipif(find_spec("dysts") is not None, reason="dysts is installed")
def test_without_dysts_its_systems_are_refused_and_the_built_in_ones_taken() -> None:
    assert [one.name for one in systems()] == list(FLOWS)
    with pytest.raises(UsageError, match=r"not installed; pip install 'tsfm-probe\[dysts\]'"):
        systems(["Lorenz"], "dysts")


@pytest.mark.skipif(find_spec("dysts") is None, reason="dysts is not installed")
def test_systems_of_dysts_follow_their_equations() -> None:
    assert len(systems()) > 100
    for system in systems(["lorenz", "DoublePendulum", "ForcedVanDerPol", "Hopfield"]):
        found = trajectory(system, 0, 0, 60)
        assert np.isfinite(found).all()
        assert (found.std(axis=1) > 0).all()
        assert system.source.startswith("dysts ")
    assert UNTOUCHED.name not in {one.name for one in systems()}
