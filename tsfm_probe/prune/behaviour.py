"""Parroting and seasonality bias of a model before and after a cut."""

import pandas as pd

from tsfm_probe.data.stimuli import Size
from tsfm_probe.diagnosis.indices import forecasts, indices
from tsfm_probe.diagnosis.inputs import COPIED, FREE, INDICES, Inputs
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model

CONTEXT, HORIZON, COUNT = 256, 24, 16
COLUMNS = ("measure", "set", "who", "value", "low", "high", "count")


def behaviour(original: Model, smaller: Model, seed: int = 0, samples: int = 0) -> pd.DataFrame:
    """Both INDICES of both models, on the sets that speak of each: columns COLUMNS.

    who: "original" or "pruned". value, low, high: the mean over `count` contexts and its 95 %
    interval (see diagnosis.indices). No rows for models that read too few values for those sets.
    """
    size = Size(min(CONTEXT, original.context_length), HORIZON)
    try:
        inputs = Inputs.built_in(size, COUNT, (*COPIED, *FREE), seed)
    except UsageError:
        return pd.DataFrame(columns=pd.Index(COLUMNS))
    parts = []
    for who, model in (("original", original), ("pruned", smaller)):
        made = forecasts(model, inputs, seed=seed, samples=samples)
        found = indices(inputs, {"model": made["model"]}, seed)
        parts.append(found.assign(who=who))
    every = pd.concat(parts, ignore_index=True)
    where = {INDICES[0]: COPIED, INDICES[1]: FREE}
    pairs = zip(every["measure"].tolist(), every["set"].tolist(), strict=True)
    kept = [measure in where and one in where[measure] for measure, one in pairs]
    return every.loc[kept, list(COLUMNS)].reset_index(drop=True)
