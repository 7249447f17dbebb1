"""`tsfm-probe ablate --predictors`: cheap guesses beside what was measured."""

from pathlib import Path

import pandas as pd

from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.durable import write_atomically
from tsfm_probe.probes.ablation import Job
from tsfm_probe.probes.predictors import COLUMNS, agreement, predictors


def compared(
    job: Job, answer: pd.DataFrame, folder: Path, batch_size: int, terminal: Terminal
) -> pd.DataFrame:
    """How well each guess agrees with the answer; written to agreement.csv.

    The guesses are made once, and kept in predictors.csv of the run's folder.
    """
    path = folder / "predictors.csv"
    guesses = _kept(path)
    if guesses is None:
        terminal.say("guessing from weights and from one pass over the windows")
        guesses = predictors(job, batch_size)
        write_atomically(path, guesses.to_csv(index=False).encode())
    found = agreement(guesses, answer, job.setting.seed)
    write_atomically(folder / "agreement.csv", found.to_csv(index=False).encode())
    return found


def _kept(path: Path) -> pd.DataFrame | None:
    """The guesses that a run made before; None if there are none, or none that can be read."""
    try:
        text = path.read_bytes()
        found = pd.read_csv(path, dtype={"value": str})  # of which float() makes the very number
        whole = text.endswith(b"\n") and tuple(found.columns) == COLUMNS
        return found.assign(value=found["value"].astype(float)) if whole else None
    except (FileNotFoundError, ValueError):
        return None
