"""What flags from weights are worth on a model, in plain sentences."""

import math

import pandas as pd

from tsfm_probe.diagnosis.flags import PLAIN, WITHIN
from tsfm_probe.diagnosis.inputs import INDICES
from tsfm_probe.diagnosis.validation import HOLDS, NOT_SHOWN, RANDOM, REVERSED, UNTOLD

CLAIMED = (WITHIN, PLAIN)
"""The flags of the claim that is tried: low stable rank, in an attention and over all of them."""
VERDICTS = {
    HOLDS: "holds here",
    REVERSED: "is reversed here",
    NOT_SHOWN: "is not shown to hold here",
    UNTOLD: "cannot be told here",
}


def validation(found: pd.DataFrame) -> list[str]:
    """A line for each index: whether the claim holds, and which other flags do.

    found: as validation.validated gives it.
    """
    return [_judged(found.loc[found["measure"] == one], one) for one in INDICES]


def _judged(rows: pd.DataFrame, measure: str) -> str:
    flags = {str(one["flag"]): one for one in rows.to_dict("records") if one["flag"] != RANDOM}
    claimed = next(flags[one] for one in CLAIMED if one in flags)
    heads, true = int(claimed["heads"]), int(claimed["true"])
    told = (
        f"That a low stable rank marks the heads behind {measure} (arXiv 2602.01605) "
        f"{VERDICTS[str(claimed['verdict'])]}"
    )
    if claimed["verdict"] == UNTOLD:
        few = "none" if not true else f"only {true}"
        if true > 1:
            few = f"all but {heads - true}"
        rest = f": {few} of {heads} heads surely is, and two are needed on either side."
        return told + rest.replace("surely is,", "surely are,") if true > 1 else told + rest
    precise = float(claimed["at_true"])
    other = [
        f"{name} (AUC {_area(one)})"
        for name, one in flags.items()
        if one["verdict"] == HOLDS and name != claimed["flag"]
    ]
    rest = f" The flags that hold: {', '.join(other)}." if other else " No other flag does."
    return (
        f"{told}, with an AUC of {_area(claimed)} where 0.5 is chance; of the {true} first heads "
        f"that it names {precise:.0%} are true, of a random order {true / heads:.0%}.{rest}"
    )


def _area(row: dict) -> str:  # pyright: ignore[reportMissingTypeArgument]
    value, low, high = (float(row[name]) for name in ("auc", "auc_low", "auc_high"))
    return f"{value:.2f}" + ("" if math.isnan(low) else f" ({low:.2f} to {high:.2f})")
