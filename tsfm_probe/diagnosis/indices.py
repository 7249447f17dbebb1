"""How much a model parrots and how much season it sees, beside forecasters that are known."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from tsfm_probe.behaviour.likeness import index_by_step
from tsfm_probe.behaviour.season import seasonality_bias
from tsfm_probe.diagnosis.inputs import BIAS, INDICES, PARROTING, Inputs, points
from tsfm_probe.diagnosis.means import DRAWS, means
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import UNTOUCHED

WHO = ("model", "seasonal naive", "parrot", "random twin", "truth")
MEASURES = (PARROTING, BIAS, "to parrot", "to seasonal naive", "to truth")
COLUMNS = ("who", "set", "measure", "value", "low", "high", "count")
STEP_COLUMNS = ("who", "set", "step", "value", "low", "high")
AGAINST_COLUMNS = ("other", "set", "measure", "value", "low", "high")
SEASON_COLUMNS = ("who", "set", "period", "value", "low", "high")
Forecasts = Mapping[str, np.ndarray]
Progress = Callable[[int, int, str], None]


def forecasts(
    model: Model,
    inputs: Inputs,
    twin: Model | None = None,
    *,
    seed: int = 0,
    samples: int = 0,
    batch_size: int = 0,
    progress: Progress | None = None,
) -> Forecasts:
    """What each of WHO forecasts: [window, horizon] point forecasts.

    twin: the same network with random weights; None leaves it out.
    progress: told (done, all, who was last).
    """
    own = {"model": model} if twin is None else {"model": model, "random twin": twin}
    found = {
        "seasonal naive": np.stack([one.seasonal for one in inputs.references]),
        "parrot": np.stack([one.parrot for one in inputs.references]),
        "truth": np.stack([one.truth for one in inputs.references]),
    }
    for done, (who, one) in enumerate(own.items(), 1):
        found[who] = points(inputs.sweep(one, seed, samples, batch_size), UNTOUCHED)
        if progress:
            progress(done, len(own), who)
    return {who: found[who] for who in WHO if who in found}


def indices(inputs: Inputs, made: Forecasts, seed: int = 0, draws: int = DRAWS) -> pd.DataFrame:
    """Mean of every measure over the contexts of every set: columns COLUMNS.

    parroting: the parroting index. seasonality bias: as season.seasonality_bias has it; it speaks
    of a bias on sets without a period alone. The others are root mean square distances in
    deviations of the context (see likeness.Likeness). low, high: the 95 % bootstrap interval over
    series. count: how many contexts have the number.
    """
    rows = []
    for who, one in made.items():
        values = measured(inputs, one)
        for name, places in inputs.sets.items():
            here = values[:, places]
            series = np.unique(inputs.series[places], return_inverse=True)[1]
            count = (~np.isnan(here)).sum(axis=1)
            for measure, row, number in zip(
                MEASURES, means(here, series, seed, draws), count, strict=True
            ):
                rows.append((who, name, measure, *row[:3].tolist(), int(number)))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def against(inputs: Inputs, made: Forecasts, seed: int = 0, draws: int = DRAWS) -> pd.DataFrame:
    """By how much both INDICES of the model exceed those of others: columns AGAINST_COLUMNS.

    other: of WHO, all but the model. Means over the contexts of every set of the difference on
    each, with 95 % bootstrap intervals over series: what one context favours it favours for all.
    """
    rows = []
    own = measured(inputs, made["model"])[: len(INDICES)]
    for who, one in made.items():
        if who == "model":
            continue
        beyond = own - measured(inputs, one)[: len(INDICES)]
        for name, places in inputs.sets.items():
            series = np.unique(inputs.series[places], return_inverse=True)[1]
            ends = means(beyond[:, places], series, seed, draws)[:, :3].tolist()
            rows += [(who, name, measure, *row) for measure, row in zip(INDICES, ends, strict=True)]
    return pd.DataFrame(rows, columns=pd.Index(AGAINST_COLUMNS))


def by_step(inputs: Inputs, made: Forecasts, seed: int = 0, draws: int = DRAWS) -> pd.DataFrame:
    """The parroting index of every set at each step (from 0): columns STEP_COLUMNS.

    See likeness.index_by_step.
    """
    rows = []
    for who, one in made.items():
        for name, places in inputs.sets.items():
            references = [inputs.references[place] for place in places]
            steps = index_by_step(references, one[places], seed, draws)
            rows += [(who, name, step, *ends) for step, ends in enumerate(steps.tolist())]
    return pd.DataFrame(rows, columns=pd.Index(STEP_COLUMNS))


def by_season(inputs: Inputs, made: Forecasts, seed: int = 0, draws: int = DRAWS) -> pd.DataFrame:
    """The bias at each season of 2 steps to the horizon: columns SEASON_COLUMNS.

    By how much the seasonal power of the forecasts exceeds that of the truth, whatever the contexts
    suggest: a season that a model sees in everything stands out. Neighbouring periods of about the
    horizon's length share their frequencies, and of so many the largest is so by chance, too: what
    it finds is to be judged on other contexts (Inputs.at_season).
    """
    rows = []
    periods = range(2, inputs.horizon + 1)
    truth = np.stack([one.truth for one in inputs.references])
    for who, one in made.items():
        excess = np.stack([seasonality_bias(one, truth, period) for period in periods])
        for name, places in inputs.sets.items():
            series = np.unique(inputs.series[places], return_inverse=True)[1]
            ends = means(excess[:, places], series, seed, draws)[:, :3].tolist()
            rows += [(who, name, period, *row) for period, row in zip(periods, ends, strict=True)]
    return pd.DataFrame(rows, columns=pd.Index(SEASON_COLUMNS))


def measured(inputs: Inputs, made: np.ndarray) -> np.ndarray:
    """MEASURES of point forecasts [window, horizon]: [measure, window]."""
    found = np.empty((len(MEASURES), len(inputs)))
    rows = zip(made, inputs.references, inputs.seasons, strict=True)
    for place, (point, references, season) in enumerate(rows):
        like = references.likeness(point)
        bias = float(seasonality_bias(point, references.truth, season))
        found[:, place] = like.index, bias, like.parrot, like.seasonal, like.truth
    return found


def judging(inputs: Inputs, made: np.ndarray) -> np.ndarray:
    """Both INDICES of point forecasts where heads are judged by them, else NaN: [index, window]."""
    where = np.stack([inputs.judging(PARROTING), inputs.judging(BIAS)])
    return np.where(where, measured(inputs, made)[:2], np.nan)
