"""Fixtures that several tests share."""

import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, sync_playwright

from tests.families import write_checkpoint
from tests.files import days, long_frame
from tests.opened import FLAGS
from tests.said import Said
from tsfm_probe.cli import main
from tsfm_probe.models import load
from tsfm_probe.models.base import Model

REPOSITORY = Path(__file__).parent.parent
torch.set_num_threads(1)  # the networks are tiny: more threads only wait for each other

BESIDE = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny random checkpoint, written once."""
    made: dict[str, Path] = {}

    def checkpoint(family: str) -> Path:
        if family not in made:
            made[family] = write_checkpoint(family, tmp_path_factory.mktemp("tiny") / family)
        return made[family]

    return checkpoint


@pytest.fixture
def tiny(checkpoints: Callable[[str], Path]) -> Callable[[str], Model]:
    """A freshly loaded tiny random model of a family."""
    return lambda family: load(str(checkpoints(family)), device="cpu")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real series; skips where there is none."""
    folder = Path(os.environ.get("TSFM_PROBE_DATA", BESIDE))
    if not (folder / "datasets.json").is_file():
        pytest.skip("no folder of real series (set TSFM_PROBE_DATA)")
    return folder


@pytest.fixture(scope="session")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file: two daily series, a and b, of 31 values."""
    path = tmp_path_factory.mktemp("data") / "sales.csv"
    long_frame({"a": days(31), "b": days(31)}).to_csv(path, index=False)
    return path


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Said]]:
    """The command line in this process: takes words, gives exit code, stdout and stderr.

    Logging is put back as it was after the test.
    """
    loggers = [logging.getLogger(name) for name in ("", "tsfm_probe")]
    before = [(one.level, one.handlers[:], one.propagate) for one in loggers]

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["tsfm-probe", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(ended.value.code, said.out, said.err)

    yield run
    for one, (level, handlers, propagate) in zip(loggers, before, strict=True):
        one.setLevel(level)
        one.handlers, one.propagate = handlers, propagate


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser; skips where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is on the PATH, CHROMIUM is not set")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()
