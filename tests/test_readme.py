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
    for line in shown:
        group: Any = typer.main.get_command(app)
        _, name, *words = shlex.split(line)
        while hasattr(group.commands[name], "commands"):
            group, (name, *words) = group.commands[name], words
        assert group.commands[name].make_context(name, list(words)).params


def commands(group: Any) -> list[Any]:
    """The commands of a group and of the groups in it."""
    found = []
    for one in group.commands.values():
        found += commands(one) if hasattr(one, "commands") else [one]
    return found


def test_options_that_are_explained_exist() -> None:
    known = {
        option
        for command in commands(typer.main.get_command(app))
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
