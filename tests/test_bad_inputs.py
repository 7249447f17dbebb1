"""What a user can get wrong: one line that says what was asked, found and allowed, and a code."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.files import rows, text_file
from tests.said import Said

Command = Callable[..., Said]
TO = "allowed is 0 to 2147483647"
COLUMNS = "found the columns 'item_id', 'timestamp', 'target'"

OPTIONS = [
    ("--by heads", "by 'heads'.*did you mean head"),
    ("--by everything", "by 'everything'.*allowed are head, part, layer"),
    ("--method zeros", "method 'zeros'.*did you mean zero"),
    ("--device gpu", "device 'gpu'.*allowed are auto, cpu, cuda"),
    ("--device cuda:first", "device 'cuda:first'.*allowed are auto, cpu, cuda"),
    ("--dtype int8", "dtype 'int8'.*allowed are auto, float32, bfloat16, float16"),
    ("--dtype flaot32", "dtype 'flaot32'.*did you mean float32"),
    ("--only decoder.0.cros", "'decoder.0.cros'.*did you mean decoder.0.cross"),
    ("--only decodr", "'decodr'.*did you mean decoder"),
    ("--only decoder.2", "'decoder.2'.*did you mean decoder.[01]"),
    ("--only {", "'{'.*allowed are encoder, encoder.0"),
    ("--only ,", "an empty address pattern.*such as"),
    (
        "--by head --only *.*.mlp",
        "by head of '\\*.\\*.mlp'.*matches no head.*--by part or --by layer",
    ),
    ("--horizon 0", "horizon 0 .*allowed is 1 to 2147483647"),
    ("--horizon -3", "horizon -3 .*allowed is 1 to 2147483647"),
    ("--horizon ten", "'--horizon'.*integer.*tsfm-probe ablate --help"),
    ("--windows 0", "windows 0 .*allowed is 1 to 2147483647"),
    ("--seed -1", f"seed -1 .*{TO}"),
    ("--seed 99999999999999999999", f"seed 99999999999999999999 .*{TO}"),
    ("--samples -1", f"samples -1 .*{TO}"),
    ("--limit -1", f"limit -1 .*{TO}"),
    ("--context -1", f"context -1 .*{TO}"),
    ("--context 49", "context 49 .*chronos-bolt reads 48 values at most"),
    ("--batch-size 0", "--batch-size '0'.*allowed is auto or a number from 1"),
    ("--batch-size many", "--batch-size 'many'.*allowed is auto or a number from 1"),
    ("--batch-size ²", "--batch-size '²'.*allowed is auto or a number from 1"),
    ("--threshold-pp -0.1", "--threshold-pp -0.1; allowed is 0 or more"),
    ("--threshold-pp nan", "--threshold-pp nan; allowed is 0 or more"),
    ("--freq nonsense", "frequency 'nonsense'.*pandas has no such alias; allowed are"),
    ("--item-column shop", f"--item-column 'shop'.*{COLUMNS}; allowed are item_id"),
    ("--target-column tarqet", f"--target-column 'tarqet'.*{COLUMNS}; did you mean target"),
    ("--time-column when", f"--time-column 'when'.*{COLUMNS}; allowed are"),
    ("--limit 1 --method resample", "method 'resample'.*there is one window; two at least"),
    ("--limit 1 --method mean", "method 'mean'.*there is one window; two at least.*--method zero"),
    ("--horizn 4", "No such option.*--horizn.*--horizon"),
    ("--seed", "'--seed' requires an argument"),
    ("another-word", "unexpected extra argument.*another-word.*tsfm-probe ablate --help"),
]


@pytest.fixture
def ablate(command: Command, checkpoints: Callable[[str], Path], tmp_path: Path) -> Command:
    """`tsfm-probe ablate` of a tiny model into the folder "run" of tmp_path."""
    words = ["ablate", checkpoints("chronos-bolt"), "--horizon", 4, "--windows", 1]
    return lambda *more: command(*words, "--out", tmp_path / "run", "--quiet", *more)


def refused(said: Said, code: int, pattern: str) -> None:
    """One line on stderr that matches, nothing on stdout, this exit code."""
    assert re.search(pattern, said.complaint), said.complaint
    assert said.err.count("\n") == 1
    assert (said.code, said.out) == (code, "")


@pytest.mark.parametrize(("words", "pattern"), OPTIONS, ids=[one[0] for one in OPTIONS])
def test_a_bad_option_of_ablate(
    ablate: Command, sales: Path, tmp_path: Path, words: str, pattern: str
) -> None:
    refused(ablate("--data", sales, *words.split()), 2, pattern)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_without_cuda(ablate: Command, sales: Path, device: str) -> None:
    refused(ablate("--data", sales, "--device", device), 2, f"'{device}'.*no CUDA; allowed are cpu")


TEXTS = {
    "empty.csv": ("", "empty.csv is empty; allowed is a file with rows"),
    "header.csv": (rows(), "header.csv has no rows"),
    "words.csv": (
        rows(*(f"{item},2020-01-0{day},high" for item in "ab" for day in range(1, 9))),
        "no usable series in 'words'; 2 skipped for text in the target.*'high'",
    ),
    "short.csv": (
        rows(*(f"a,2020-01-0{day},{day}" for day in range(1, 8))),
        "no window .*horizon 4; 1 skipped for too short.*7 values, needs 8",
    ),
    "holes.csv": (
        rows(*(f"a,2020-01-{day},{day}" for day in (10, 11, 12, 14, 15, 16))),
        "no usable series in 'holes'; 1 skipped for irregular time stamps.*2020-01-14.*--freq",
    ),
    "garbage.parquet": ("PAR1", "garbage.parquet cannot be read as Parquet"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_bad_data_file(ablate: Command, tmp_path: Path, name: str) -> None:
    text, pattern = TEXTS[name]
    refused(ablate("--data", text_file(tmp_path, text, name)), 1, pattern)
    assert not (tmp_path / "run").exists()


def test_data_that_are_not_there(ablate: Command, sales: Path, tmp_path: Path) -> None:
    refused(
        ablate("--data", sales.with_name("sale.csv")), 1, "no such file.*did you mean sales.csv"
    )
    refused(ablate("--data", tmp_path), 1, "no data in the folder.*allowed are files that end in")


def test_data_of_another_kind(ablate: Command, tmp_path: Path) -> None:
    refused(
        ablate("--data", text_file(tmp_path, "x", "sales.xlsx")),
        2,
        "sales.xlsx.*its suffix is '.xlsx'; allowed are files that end in .csv",
    )


def test_a_horizon_longer_than_every_series(ablate: Command, sales: Path) -> None:
    refused(
        ablate("--data", sales, "--horizon", 16), 1, "horizon 16.*2 skipped for too short.*31 valu"
    )


def test_a_context_longer_than_every_series(ablate: Command, sales: Path) -> None:
    refused(ablate("--data", sales, "--context", 40), 1, "context 40.*2 skipped.*31 .*needs 44")


def test_a_file_in_place_of_the_run_folder(ablate: Command, sales: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    refused(ablate("--data", sales), 1, "run was to be made; a file is in its place.*--out")
    assert (tmp_path / "run").read_text() == "mine"


def test_a_run_folder_of_a_stranger(ablate: Command, sales: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    refused(ablate("--data", sales), 2, "run was chosen.*no run.json.*empty or new folder.*--out")
    assert [one.name for one in (tmp_path / "run").iterdir()] == ["letter.txt"]


def test_a_run_folder_of_another_run(ablate: Command, sales: Path, tmp_path: Path) -> None:
    words = ["--data", sales, "--by", "layer", "--only", "encoder.0"]
    assert ablate(*words).code == 0
    before = (tmp_path / "run" / "run.json").read_bytes()
    refused(
        ablate(*words, "--seed", 7, "--horizon", 5),
        2,
        "another run: horizon is 5 here and 4 there, seed is 7 here and 0 there; choose another",
    )
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_run_folder_that_cannot_be_written(ablate: Command, sales: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("permissions do not bind the administrator")
        refused(ablate("--data", sales), 1, "run was to be made.*[Pp]ermission.*--out")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ("ablat", "'ablat'.*[Dd]id you mean.*ablate"),
        ("forecast", "No such command 'forecast'.*tsfm-probe --help"),
        ("check", "Missing argument 'MODEL'.*tsfm-probe check --help"),
        ("check nano-chronos-bolt --device gpu", "device 'gpu'.*allowed are auto, cpu"),
        ("check nano-chronos-bolt --by head", "No such option.*--by.*tsfm-probe check --help"),
        ("check nano-chronos-bolt twice", "extra argument.*twice"),
        ("models --jsn", "No such option.*--jsn.*tsfm-probe models --help"),
        ("models nano-chronos-bolt", "extra argument.*nano-chronos-bolt"),
        ("version --json", "No such option.*--json"),
        ("--verbose", "No such option.*--verbose.*tsfm-probe --help"),
    ],
)
def test_a_bad_command_line(command: Command, words: str, pattern: str) -> None:
    refused(command(*words.split()), 2, pattern)
