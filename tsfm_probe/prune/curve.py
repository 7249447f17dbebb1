"""How much faster and smaller a network gets, and how much worse, budget by budget."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tsfm_probe.data.synthetic import walk
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut, cut
from tsfm_probe.probes.ablation import Setting
from tsfm_probe.prune.confirm import Looks
from tsfm_probe.prune.costs import Cost
from tsfm_probe.prune.latency import latency
from tsfm_probe.prune.search import Found

CONTEXT = 512
Progress = Callable[[int, int, str], None]


def context_of(model: Model, setting: Setting) -> int:
    """Values of a context with which costs are measured."""
    return setting.context or min(CONTEXT, model.context_length)


def curve(
    model: Model,
    setting: Setting,
    found: Sequence[Found],
    looks: Looks,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """One row for each budget under which something was cut.

    Columns: budget; layers, parts, heads: how many are cut (parts and heads of other layers);
    parameters, multiply_adds: what is left of them, as shares; latency, latency_low, latency_high:
    time of one forecast of one series over that of the original, with its 95 % interval; and for
    both parts of the windows and both metrics ratio, low and high, such as confirmed_MASE_low.
    """
    context, horizon, samples = context_of(model, setting), setting.horizon, setting.samples
    whole = Cost.of(model, context, horizon, samples)
    contexts = [walk(np.random.default_rng(setting.seed), context)]
    rows = []
    for one in found:
        if not one.at:
            continue
        smaller = cut(model, one.at)
        own = Cost.of(smaller, context, horizon, samples)
        both = (model, smaller)
        times = latency(both, contexts, horizon, samples, seed=setting.seed, progress=progress)
        low, high = times.interval(setting.seed)
        row = {
            "budget": one.budget,
            **_counts(Cut.of(model.anatomy, one.at)),
            "parameters": own.parameters / whole.parameters,
            "multiply_adds": own.multiply_adds / whole.multiply_adds,
            "latency": times.ratio,
            "latency_low": low,
            "latency_high": high,
        }
        rows.append(row | _errors(looks, one.budget))
    return pd.DataFrame(rows)


def _counts(cut: Cut) -> dict[str, int]:
    return {"layers": len(cut.layers), "parts": len(cut.parts), "heads": len(cut.heads)}


def _errors(looks: Looks, budget: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in looks:
        if one.budget == budget:
            name = f"{one.part}_{one.metric}"
            found |= {name: one.ratio, f"{name}_low": one.low, f"{name}_high": one.high}
    return found
