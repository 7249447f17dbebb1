"""The long table that every probe fills and every report draws."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

COLUMNS = ("model", "kind", "trial", "series", "window", "metric", "value", "base")


@dataclass(frozen=True, eq=False)
class Table:
    """One row per (trial, series, window, metric).

    frame: columns COLUMNS. `kind` is what the trial edits: "head", "part", "layer", "block" or
    "pair" (of layers), "order" (the first ones of an order), or a control: "noise" (nothing edited,
    another seed), "random" (randomly drawn heads), "random order" (the first ones of such an
    order). `trial` is its name: an address (`decoder.3.cross.5`, `decoder.3.cross`, `decoder.3`),
    `decoder.2-4`, `decoder.1+decoder.5`, `stable-rank:12`, `stable-rank:decoder.3.cross:2`,
    `noise-1`, `random-1` or `random-1:12`.
    `value` is the metric with the trial's edits, `base` the same of the untouched model.
    about: what the numbers belong to (model, data, options), all text.
    """

    frame: pd.DataFrame
    about: Mapping[str, str]
