"""Whether heads that the weights speak against are those without which a behaviour goes."""

import math

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from tsfm_probe.bootstrap import stretch
from tsfm_probe.diagnosis.causal import by_change, responsible
from tsfm_probe.diagnosis.inputs import INDICES
from tsfm_probe.probes.predictors import interval, spearman

COLUMNS = (
    "flag", "measure", "heads", "true", "at_true", "at_five", "worst_five",
    "auc", "auc_low", "auc_high", "spearman", "spearman_low", "spearman_high", "verdict",
)  # fmt: skip
RANDOM = "random order"
HOLDS, REVERSED = "holds", "reversed"
NOT_SHOWN, UNTOLD = "not shown", "cannot be told"
FIRST = 5
DRAWS = 2000


def validated(flags: pd.DataFrame, effects: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How well each flag finds the heads that cause each index: columns COLUMNS.

    flags: as flags.flags gives them; effects: as causal.causal does. Only heads with both count.
    heads, true: how many there are, and for how many of them the index is surely lower without
    (causal.responsible). at_true, at_five: the share of true ones among the first `true` and the
    first five that the flag names (of equals: the expected share). worst_five: the share of the
    five heads of largest drop, sure or not, among the first five named.
    auc: the chance that a true head is suspected more than another, with its 95 % interval (see
    `area`). spearman: of suspicion and drop over all heads, with its bootstrap interval.
    The row RANDOM says what a random order gives: expected values, and the range of 95 % of orders.
    verdict: HOLDS if the interval of the AUC lies above 0.5, REVERSED if below, else NOT_SHOWN;
    UNTOLD with fewer than two true or two other heads, as nothing can then be said of others.
    """
    rows = []
    for measure in INDICES:
        drop = {str(at): -change for at, change in by_change(effects, measure).items()}
        causes = {str(at) for at in responsible(effects, measure)}
        for flag, ranks in _ranks(flags).items():
            names = [name for name in ranks if name in drop]
            true = np.array([name in causes for name in names], dtype=bool)
            drops = np.array([drop[name] for name in names])
            suspicion = np.array([ranks[name] for name in names])
            rows.append((flag, measure, *_agreement(suspicion, true, drops, seed)))
        true = np.array([name in causes for name in drop], dtype=bool)
        rows.append((RANDOM, measure, *_by_chance(true, seed)))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def precision(suspicion: np.ndarray, true: np.ndarray, first: int) -> float:
    """The share of true heads among the `first` most suspected; NaN if there are not so many.

    Where equals stand on the border, the expected share if they are drawn from.
    """
    if not 0 < first <= len(true):
        return math.nan
    border = np.sort(suspicion)[-first]
    above, on = suspicion > border, suspicion == border
    return float(true[above].sum() + true[on].mean() * (first - above.sum())) / first


def area(suspicion: np.ndarray, true: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """The area under the ROC curve with its 95 % interval; equals count half.

    NaN without a true or without another head; without an interval where either are fewer than two.
    True and other heads are resampled apart, and the draws stretched about the estimate as
    bootstrap.judged does, by the smaller number of the two. With 2 to 72 true ones of 16 to 144,
    the interval lay above 0.5 in 0.3 to 2.7 % of 600 random orders, which is what a verdict needs;
    at a true area of 0.92 it held the truth in 64 to 85 % of cases with 16 heads, and in 82 to
    95 % with more, so that it is too narrow near 1.
    """
    scores = suspicion[true], suspicion[~true]
    fewest = min(map(len, scores))
    if fewest < 1:
        return math.nan, math.nan, math.nan
    wins = np.sign(scores[0][:, None] - scores[1][None]) / 2 + 0.5
    value = float(wins.mean())
    if fewest < 2:
        return value, math.nan, math.nan
    rng = np.random.default_rng(seed)
    times = [rng.multinomial(size, np.full(size, 1 / size), DRAWS) for size in wins.shape]
    # Sums of halves are exact, so that a flag that tells nothing is exactly at 0.5.
    drawn = np.einsum("dt,to,do->d", times[0], wins, times[1], optimize=True) / wins.size
    ends = np.quantile(value + stretch(fewest) * (drawn - value), (0.025, 0.975))
    low, high = np.clip(ends, 0, 1).tolist()
    return value, low, high


def _ranks(flags: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The rank of every head by every flag."""
    found: dict[str, dict[str, float]] = {}
    for row in flags.to_dict("records"):
        found.setdefault(str(row["flag"]), {})[str(row["address"])] = float(row["rank"])
    return found


def _agreement(
    suspicion: np.ndarray, true: np.ndarray, drops: np.ndarray, seed: int
) -> tuple[object, ...]:
    """The columns from `heads` on of one flag; all arrays [head]."""
    count, first = int(true.sum()), min(FIRST, len(true))
    worst = rankdata(-drops, method="ordinal") <= first
    auc, low, high = area(suspicion, true, seed)
    return (
        len(true),
        count,
        precision(suspicion, true, count),
        precision(suspicion, true, first),
        precision(suspicion, worst, first),
        *(auc, low, high),
        *(spearman(suspicion, drops), *interval(suspicion, drops, seed)),
        _verdict(low, high),
    )


def _verdict(low: float, high: float) -> str:
    if math.isnan(low):
        return UNTOLD
    return HOLDS if low > 0.5 else REVERSED if high < 0.5 else NOT_SHOWN


def _by_chance(true: np.ndarray, seed: int) -> tuple[object, ...]:
    """The columns from `heads` on of a random order."""
    size, count = len(true), int(true.sum())
    share = count / size if size else math.nan
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(size), (DRAWS, 1)), axis=1).astype(float)
    ends = [math.nan, math.nan]
    if 0 < count < size:
        places = orders[:, true].mean(axis=1) - (count - 1) / 2
        ends = np.quantile(places / (size - count), (0.025, 0.975)).tolist()
    own, correlations = np.arange(size), [math.nan, math.nan]
    if size > 2:
        found = [np.corrcoef(own, order)[0, 1] for order in orders]
        correlations = np.quantile(found, (0.025, 0.975)).tolist()
    expected = math.nan if math.isnan(ends[0]) else 0.5
    return (
        *(size, count, share if count else math.nan, share),
        min(FIRST, size) / size if size else math.nan,
        *(expected, *ends),
        *(0.0, *correlations, ""),
    )
