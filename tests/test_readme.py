"""What the README shows is true."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer.main

from tests.conftest import REPOSITORY
from tsfm_probe.cli import app
from tsfm_probe.data.synthetic import generated

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


def test_every_command_shown_can_be_read() -> None:
    """Names of commands and options exist; nothing is run."""
    lines = [line for _, text in BLOCKS for line in text.splitlines()]
    shown = [line.split("  #")[0] for line in lines if line.startswith("tsfm-probe ")]
    assert len(shown) >= 6
    group: Any = typer.main.get_command(app)
    for line in shown:
        name, *words = shlex.split(line)[1:]
        assert group.commands[name].make_context(name, list(words)).params


def test_options_that_are_explained_exist() -> None:
    group: Any = typer.main.get_command(app)
    known = {
        option
        for command in group.commands.values()
        for parameter in command.params
        for option in parameter.opts
    }
    named = set(re.findall(r"`(--[a-z-]+)", README))
    assert named
    assert named <= known


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = generated(1, 120, seed=0)[:2]
    time = pd.date_range("2024-01-01", periods=120, freq="h")
    frame = pd.DataFrame({"time": time} | {one.name: one.values for one in series})
    frame.to_csv(tmp_path / "my.csv", index=False)
    monkeypatch.chdir(tmp_path)
    (example,) = [text for language, text in BLOCKS if language == "python"]
    names = {"history": series[0].values}
    exec(compile(example, "README.md", "exec"), names)
    forecast = names["forecast"].values  # type: ignore[attr-defined]
    assert forecast.shape == (1, 24, 9)
    assert np.isfinite(forecast).all()


def test_the_two_commands_stand_alone_on_their_lines() -> None:
    assert len(re.findall(r"^python3 -m venv .*$", README, flags=re.MULTILINE)) == 2
