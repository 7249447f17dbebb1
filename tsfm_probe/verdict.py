"""What a Table says: how much each trial changes the forecast, how surely, and what follows.

"Redundant" is a non-inferiority statement: not "no harm was found" but "the harm was shown to be
smaller than the threshold". Many trials are judged at once, so the rate of false discoveries among
them is held at 5 % (Benjamini and Hochberg 1995).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from tsfm_probe.bootstrap import adjusted, judged, log_ratios, over, summed
from tsfm_probe.errors import DataError, UsageError, nearest
from tsfm_probe.table import Table

ACCURACY = ("MASE", "WQL", "MAE", "sMAPE")
CONTROLS = ("noise", "random", "random order")
RATE = 0.05
KEYS = ["metric", "kind", "trial", "series", "window"]
P_VALUES = ["p_redundant", "q_redundant", "p_harmful", "q_harmful"]
ANSWER = ["kind", "trial", "metric", "ratio", "low", "high", "mean", *P_VALUES]
ANSWER += ["verdict", "series", "windows", "excluded"]
FEW = 10


def answer(
    table: Table, *, threshold_pp: float = 1.0, seed: int = 0, draws: int = 10_000
) -> pd.DataFrame:
    """Judge every trial by every metric: one row per (kind, trial, metric), as they appear.

    ratio, low, high: ratio of geometric means over windows, trial over untouched, and its 95 %
    bootstrap interval over series (see bootstrap.judged). A window is excluded, and counted as
    such, if value or base is not finite or only one is zero; if both are zero its ratio is 1.
    mean: arithmetic mean of the finite values; the one number for metrics that compare with the
    untouched forecast (spearman, nrmse), which get no ratio and the verdict "".
    p_redundant, p_harmful: one-sided, for a ratio of at least / at most 1 + threshold; the q are
    adjusted over all trials of the metric. Controls are no part of that family: their q is NaN.
    verdict: "redundant" if the interval lies below 1 + threshold and q (p for controls) is at most
    5 %, and on no window the trial alone has no finite number; "harmful" if it lies above; else
    "uncertain". With fewer than two series there is no interval and no p.
    UsageError if an option is out of its range, DataError if the rows are not those of one run.
    """
    if not (math.isfinite(threshold_pp) and threshold_pp >= 0):
        raise UsageError(f"a threshold of {threshold_pp} was given", allowed="0 or more, in %")
    if draws < 100 or seed < 0:
        found = f"{draws} draws and the seed {seed} were given"
        raise UsageError(found, allowed="at least 100 draws and a seed of at least 0")
    rows = table.frame[["kind", "trial", "metric"]].drop_duplicates().astype(str)
    bound = math.log1p(threshold_pp / 100)
    groups = _ordered(table.frame).groupby("metric", observed=True)
    parts = [_of_metric(str(metric), part, bound, seed, draws) for metric, part in groups]
    return rows.merge(pd.concat(parts), how="left", validate="1:1").reindex(columns=ANSWER)


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in alphabetical order, so that no number depends on the order of a table.

    DataError if there are none, of several models, or two of one trial, window and metric.
    """
    asked = "the rows of a table were to be judged"
    if frame.empty or frame["model"].nunique() != 1:
        models = ", ".join(map(str, frame["model"].unique())) or "no model"
        raise DataError(asked, f"they are of {models}", "rows of one model")
    texts = {
        name: pd.Categorical(frame[name], categories=sorted(frame[name].unique()))
        for name in KEYS[:-1]
    }
    codes = [frame["window"].to_numpy(), *(texts[name].codes for name in KEYS[-2::-1])]
    order = np.lexsort(codes)
    same = np.all([np.diff(code[order]) == 0 for code in codes], axis=0)
    if same.any():
        twice = " ".join(map(str, frame[KEYS].iloc[order[int(same.argmax())]]))
        raise DataError(asked, f"two of them are of {twice}", "one row each")
    return frame.assign(**texts).take(order)


def _of_metric(
    metric: str, frame: pd.DataFrame, bound: float, seed: int, draws: int
) -> pd.DataFrame:
    """The rows of the answer for one metric's rows, which are in alphabetical order."""
    groups = frame.groupby(["kind", "trial"], observed=True)
    found = groups.size().index.to_frame(index=False).astype(str)
    trial, size = groups.ngroup().to_numpy(), len(found)
    value, base = frame["value"].to_numpy(), frame["base"].to_numpy()
    finite = np.isfinite(value)
    accuracy = metric in ACCURACY
    logs = log_ratios(value, base) if accuracy else np.where(finite, 0.0, np.nan)
    series = frame["series"].cat
    sums = summed(logs, trial, series.codes.to_numpy(), (size, len(series.categories)))
    heights = np.bincount(trial[finite], weights=value[finite], minlength=size)
    found = found.assign(
        metric=metric,
        mean=over(heights, np.bincount(trial[finite], minlength=size)),
        series=sums.series,
        windows=sums.windows,
        excluded=np.bincount(trial, minlength=size) - sums.windows,
        ratio=np.exp(sums.log_ratio) if accuracy else np.nan,
    )
    broken = np.bincount(trial[~finite & np.isfinite(base)], minlength=size) > 0
    ends = judged(sums, bound, seed, draws) if accuracy else np.full((size, 4), np.nan)
    found[["low", "high"]] = np.exp(ends[:, :2])
    found[["p_redundant", "p_harmful"]] = ends[:, 2:]
    return _with_verdict(found, ends, bound, broken, accuracy)


def _with_verdict(
    found: pd.DataFrame, ends: np.ndarray, bound: float, broken: np.ndarray, accuracy: bool
) -> pd.DataFrame:
    """Add the q values and the verdict."""
    control = found["kind"].isin(CONTROLS).to_numpy()
    surely = {}
    for name in ("redundant", "harmful"):
        p = found[f"p_{name}"].to_numpy()
        q = adjusted(np.where(control, np.nan, p))
        found[f"q_{name}"] = q
        surely[name] = np.where(control, p, q) <= RATE
    redundant = surely["redundant"] & (ends[:, 1] < bound) & ~broken
    harmful = surely["harmful"] & (ends[:, 0] > bound)
    otherwise = "uncertain" if accuracy else ""
    words = np.select([redundant, harmful], ["redundant", "harmful"], otherwise)
    return found.assign(verdict=words)


@dataclass(frozen=True)
class Row:
    """What a summary needs of one row of an answer."""

    kind: str
    trial: str
    metric: str
    ratio: float
    low: float
    high: float
    verdict: str
    excluded: int

    def __str__(self) -> str:
        return f"{self.trial} {percent(self.ratio)} ({percent(self.low)} to {percent(self.high)})"


def summary(
    table: Table, answer: pd.DataFrame, threshold_pp: float, metric: str = "MASE"
) -> list[str]:
    """Say in plain words what the answer to a table says, a sentence or two per line.

    metric: the accuracy metric to speak of; WQL (for WQL itself: MASE) is counted beside it.
    UsageError if the answer has no rows of that metric.
    """
    columns = [answer[field.name].tolist() for field in fields(Row)]
    every = [Row(*values) for values in zip(*columns, strict=True)]
    rows = [row for row in every if row.metric == metric]
    if not rows or metric not in ACCURACY:
        known = [name for name in ACCURACY if any(row.metric == name for row in every)]
        raise UsageError(f"a summary by {metric} was asked for", allowed=nearest(metric, known))
    other = "MASE" if metric == "WQL" else "WQL"
    kinds = Counter(row.kind for row in rows if row.kind not in CONTROLS)
    lines = [_extent(table.frame, kinds)]
    for kind in kinds:
        ours, beside = (
            [r for r in every if (r.kind, r.metric) == (kind, m)] for m in (metric, other)
        )
        lines += _of_kind(kind, ours, beside, threshold_pp)
    lines += controls(rows) + cautions(table.frame, rows)
    return [*lines, "Cutting several at once is not the sum of these: what is left can compensate."]


def _extent(frame: pd.DataFrame, kinds: Mapping[str, int]) -> str:
    cut = [_number(count, kind) for kind, count in kinds.items()]
    words = " and ".join(filter(None, [", ".join(cut[:-1]), *cut[-1:]])) or "nothing"
    windows = _number(len(frame[["series", "window"]].drop_duplicates()), "window")
    return f"Cut one at a time: {words}, on {windows} of {frame['series'].nunique()} series."


def _of_kind(
    kind: str, rows: Sequence[Row], beside: Sequence[Row], threshold_pp: float
) -> list[str]:
    """The verdicts on one kind, the worst cuts, and those without which the forecast is better."""
    counts = "; ".join(_counts(part) for part in (rows, beside) if part)
    lines = [f"{_number(len(rows), kind)} at {threshold_pp:g} %: {counts}."]
    rows = sorted(rows, key=lambda row: -row.ratio)
    metric = rows[0].metric
    worst = [row for row in rows if row.verdict == "harmful"][:3]
    if worst:
        listed = ", ".join(map(str, worst))
        lines.append(f"Most harmful {kind} to cut, by change of {metric}: {listed}.")
    better = [row for row in reversed(rows) if row.high < 1]
    if better:
        listed = ", ".join(map(str, better[:3]))
        lines.append(
            f"{metric} is lower without {_number(len(better), kind)}, most without: {listed}. "
            f"Each interval stands alone: of {_number(len(rows), kind)} without any effect, about "
            f"{0.025 * len(rows):.1f} would look like this by chance."
        )
    return lines


def _counts(rows: Sequence[Row]) -> str:
    """How many of some trials got each verdict."""
    count = Counter(row.verdict for row in rows)
    return (
        f"{count['redundant']} redundant, {count['harmful']} harmful to cut, "
        f"{count['uncertain']} uncertain by {rows[0].metric}"
    )


def controls(rows: Sequence[Row]) -> list[str]:
    """How large the controls are, against which every other size has to be seen."""
    said = {"noise": "another seed and nothing cut", "random": "heads drawn at random"}
    lines = []
    for kind, words in said.items():
        ratios = [row.ratio for row in rows if row.kind == kind and math.isfinite(row.ratio)]
        if ratios:
            sizes = " to ".join(dict.fromkeys(map(percent, (min(ratios), max(ratios)))))
            trials = _number(len(ratios), "trial")
            lines.append(f"Control, {words}: {rows[0].metric} {sizes} ({trials}).")
    return lines or ["No control was run, so nothing says how large a change is by chance."]


def cautions(frame: pd.DataFrame, rows: Sequence[Row]) -> list[str]:
    """What a reader must not overlook."""
    series, lines = frame["series"].nunique(), []
    if series == 1:
        lines.append("With a single series there is no interval, so every verdict is uncertain.")
    elif series < FEW:
        lines.append(
            f"With only {series} series the intervals are wide and rough: take {FEW} or more."
        )
    excluded = max(row.excluded for row in rows)
    if excluded:
        windows = _number(excluded, "window")
        lines.append(f"Up to {windows} per trial had no ratio and did not count.")
    return lines


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def percent(ratio: float) -> str:
    """A ratio as a change in percent: 1.012 is `+1.2 %`."""
    return f"{100 * (ratio - 1):+.1f} %"
