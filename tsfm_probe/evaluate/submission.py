"""Results in the form in which GIFT-Eval's leaderboard takes them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tsfm_probe.durable import write_atomically, write_json
from tsfm_probe.errors import ProbeError
from tsfm_probe.evaluate.gift_eval_sets import Configuration
from tsfm_probe.evaluate.sums import METRICS

PREFIX = "eval_metrics/"


def submit(
    folder: Path,
    model: str,
    dtype: str,
    found: pd.DataFrame,
    configurations: Sequence[Configuration],
) -> None:
    """Write all_results.csv and config.json of one trial into a folder, which is made.

    dtype: of the weights, "" for the seasonal naive forecast, which has none. found: rows of
    gift_eval_work.results. What only a person can say of the model (links, its organisation,
    whether it was trained on the test data) is left empty.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProbeError(f"the folder {folder} was to be made", error.strerror or "") from error
    of = {one.key: one for one in configurations}
    rows = pd.DataFrame(
        [
            {"dataset": row["configuration"], "model": model}
            | {f"{PREFIX}{name}": row[name] for name in METRICS}
            | {
                "domain": of[row["configuration"]].domain,
                "num_variates": of[row["configuration"]].variates,
            }
            for row in found.to_dict("records")
        ]
    )
    write_atomically(folder / "all_results.csv", rows.to_csv(index=False).encode())
    write_json(folder / "config.json", _about(model, dtype))


def _about(model: str, dtype: str) -> dict[str, str]:
    return {
        "model": model,
        "model_type": "pretrained" if dtype else "statistical",
        "model_dtype": dtype,
        "model_link": "",
        "code_link": "",
        "org": "",
        "testdata_leakage": "",
        "replication_code_available": "",
    }
