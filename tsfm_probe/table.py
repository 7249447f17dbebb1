"""The long table that every probe fills and every report draws."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

COLUMNS = ("model", "kind", "trial", "series", "window", "metric", "value", "base")


@dataclass(frozen=True, eq=False)
class Table:
    """One row per (trial, series, window, metric).

    frame: columns COLUMNS. `kind` is what the trial edits: "head", "part", "layer", or a control,
    "noise" (nothing edited, another seed) or "random" (randomly drawn heads). `trial` is its name:
    an address (`decoder.3.cross.5`, `decoder.3.cross`, `decoder.3`) or `noise-1`, `random-1`.
    `value` is the metric with the trial's edits, `base` the same of the untouched model.
    about: what the numbers belong to (model, data, options), all text.
    """

    frame: pd.DataFrame
    about: Mapping[str, str]
