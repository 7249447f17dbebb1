"""How trials compare with one of them on the same windows, and how sure that is."""

import numpy as np
import pandas as pd

from tsfm_probe.bootstrap import judged, log_ratios, summed

DRAWS = 2000


def paired(
    values: pd.DataFrame, base: str, ratio: bool = True, seed: int = 0, draws: int = DRAWS
) -> pd.DataFrame:
    """What each trial has over the trial `base`: one row for each, in order of appearance.

    values: columns trial, group, window, value; groups (tasks, systems) are what is resampled,
    windows belong together. ratio: whether trials are compared by the ratio of geometric means, or
    by the difference of means.

    Columns: trial, estimate, low, high (the ends of the 95 % interval, see bootstrap.judged; NaN
    with fewer than two groups), groups (that count), windows (that count: both values are known,
    and for a ratio above zero).
    """
    names = list(dict.fromkeys(values["trial"]))
    wide = values.pivot(index=["group", "window"], columns="trial", values="value")[names]
    found = wide.to_numpy(dtype=np.float64)
    known = found[:, [names.index(base)]]
    gains = log_ratios(found, np.broadcast_to(known, found.shape)) if ratio else found - known
    group, unique = pd.factorize(wide.index.get_level_values("group"))
    trial = np.tile(np.arange(len(names)), len(wide))
    sums = summed(gains.reshape(-1), trial, np.repeat(group, len(names)), (len(names), len(unique)))
    ends = judged(sums, 0.0, seed, draws)
    read = np.exp if ratio else np.asarray
    return pd.DataFrame(
        {
            "trial": names,
            "estimate": read(sums.log_ratio),
            "low": read(ends[:, 0]),
            "high": read(ends[:, 1]),
            "groups": sums.series,
            "windows": sums.windows,
        }
    )


def beside(long: pd.DataFrame, trial: str, keys: list[str], name: str) -> pd.DataFrame:
    """A table with another column: the value of one trial where all the keys are the same."""
    other = long.loc[long["trial"] == trial, [*keys, "value"]].rename(columns={"value": name})
    return long.merge(other, on=keys, how="left", validate="many_to_one")
