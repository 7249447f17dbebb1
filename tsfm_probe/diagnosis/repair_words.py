"""What repair costs, in plain sentences."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tsfm_probe.diagnosis.repair import UNTOUCHED_ORDER

RANDOM = "random-"
NAMES = {"parroting": "parroting", "bias": "the seasonality bias"}
Row = Mapping[str, Any]


def repaired(found: pd.DataFrame, data: str) -> list[str]:
    """For each index the cut that lowers it most, and the one that does so without shown harm.

    found: as repair.repair gives it. data: on what accuracy was measured.
    """
    base: Row = found.loc[found["order"] == UNTOUCHED_ORDER].iloc[0].to_dict()
    rows = found.loc[(found["order"] != UNTOUCHED_ORDER) & found["MASE"].notna()]
    chosen = rows.loc[~rows["order"].str.startswith(RANDOM)]
    return [_lowest(base, chosen, rows, one, data) for one in NAMES]


def _lowest(base: Row, chosen: pd.DataFrame, rows: pd.DataFrame, index: str, data: str) -> str:
    name, before = NAMES[index], float(base[index])
    if not base[f"{index}_low"] > 0:
        return f"Repair: {name} is not surely there to be lowered ({before:.2f} untouched)."
    lower = chosen.loc[(chosen[f"{index}_high"] < base[f"{index}_low"])]
    if lower.empty:
        return f"Repair: no cut or scaling that was tried surely lowers {name} ({before:.2f})."
    unharmed = lower.loc[lower["MASE_low"] <= 1]
    best: Row = (unharmed if len(unharmed) else lower).sort_values(index).iloc[0].to_dict()
    like = rows.loc[
        rows["order"].str.startswith(RANDOM)
        & (rows["k"] == best["k"])
        & (rows["scale"] == best["scale"])
    ]
    control = f", of as many random heads to {like[index].mean():.2f}" if len(like) else ""
    harm = "without shown harm" if len(unharmed) else "not without harm"
    return (
        f"Repair: {_edit(best)} lowers {name} from {before:.2f} to {best[index]:.2f} "
        f"({best[f'{index}_low']:.2f} to {best[f'{index}_high']:.2f}){control}, {harm} to "
        f"accuracy on {data}: MASE {_change(best)}."
    )


def _edit(row: Row) -> str:
    count = int(row["k"])
    heads = "the first head" if count == 1 else f"the first {count} heads"
    done = "cutting" if row["scale"] == 0 else f"scaling to {row['scale']:g}"
    return f"{done} {heads} by “{row['order']}”"


def _change(row: Row) -> str:
    value, low, high = (100 * (float(row[f"MASE{end}"]) - 1) for end in ("", "_low", "_high"))
    return f"{value:+.1f}\u00a0% ({low:+.1f} to {high:+.1f})"
