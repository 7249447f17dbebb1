"""What every trial does to one metric, in percent, prepared once for page, pictures and table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsfm_probe.errors import DataError

METRICS = ("MASE", "WQL")
CONTROLS = ("noise", "random")


@dataclass(frozen=True)
class Effect:
    """The change of one metric under one trial, relative to the untouched model.

    kind: "head", "part", "layer", "noise" or "random".
    change, low, high: percent, 0 where nothing changes; low and high are the ends of the 95 %
    interval, NaN where there is none.
    label: the lines that describe the trial on all metrics, plain text.
    """

    kind: str
    trial: str
    change: float
    low: float
    high: float
    verdict: str
    label: tuple[str, ...]

    @property
    def span(self) -> tuple[float, float]:
        """The ends of the interval, the change itself where there is none."""
        return (
            self.change if math.isnan(self.low) else self.low,
            self.change if math.isnan(self.high) else self.high,
        )


@dataclass(frozen=True)
class Effects:
    """The effects of all trials on one metric.

    edits: the trials that edit a part, controls: noise and random ones; both in the given order.
    threshold: percent of degradation that still counts as none, NaN where unknown.
    """

    metric: str
    edits: tuple[Effect, ...]
    controls: tuple[Effect, ...]
    threshold: float

    @property
    def limit(self) -> float:
        """The end of a symmetric range in percent that a few huge effects do not stretch."""
        sizes = np.abs([effect.change for effect in self.edits if math.isfinite(effect.change)])
        if not len(sizes):
            return 1.0
        robust = min(np.quantile(sizes, 0.95), 10 * np.median(sizes))
        return rounded_up(float(max(robust or sizes.max(), np.nan_to_num(self.threshold), 0.1)))

    @property
    def noise(self) -> tuple[float, float] | None:
        """The lowest and the highest end of the intervals of the noise trials, in percent."""
        spans = [
            effect.span
            for effect in self.controls
            if effect.kind == "noise" and math.isfinite(effect.change)
        ]
        if not spans:
            return None
        return min(low for low, _ in spans), max(high for _, high in spans)


def read(answer: pd.DataFrame, about: Mapping[str, str]) -> tuple[Effects, ...]:
    """The effects of every metric in METRICS that the answer holds.

    DataError if it holds none of them.
    """
    known = tuple(metric for metric in METRICS if (answer["metric"] == metric).any())
    if not known:
        found = ", ".join(map(str, answer["metric"].unique()))
        raise DataError(
            "a report was asked for",
            f"the answer has the metrics {found or 'none'}",
            f"one of {' and '.join(METRICS)} is needed",
        )
    kept = answer.loc[answer["metric"].isin(known)]
    labels = {
        str(trial): _label(str(trial), rows, known)
        for trial, rows in kept.groupby("trial", sort=False)
    }
    return tuple(_effects(kept, metric, labels, threshold(about)) for metric in known)


def threshold(about: Mapping[str, str]) -> float:
    """The percentage points within which a trial counts as redundant, NaN where not stated."""
    try:
        return float(about.get("threshold_pp", "nan"))
    except ValueError:
        return math.nan


def percent(value: float) -> str:
    """A change as text: `+1.23 %`, `-0.4 %`, `+312 %`, or `not measured`."""
    if not math.isfinite(value):
        return "not measured"
    return f"{_signed(value)}\u00a0%"


def between(low: float, high: float) -> str:
    """An interval of changes as text: `-0.1 to +2.3 %`, or `no interval`."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    return f"{_signed(low)} to {_signed(high)}\u00a0%"


def rounded_up(value: float) -> float:
    """The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return power * next(step for step in steps if step * power >= value * (1 - 1e-9))


def _signed(value: float) -> str:
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:+,.{digits}f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def _effects(
    answer: pd.DataFrame, metric: str, labels: Mapping[str, tuple[str, ...]], limit: float
) -> Effects:
    found = [
        Effect(
            kind=str(row["kind"]),
            trial=str(row["trial"]),
            change=_change(row["ratio"]),
            low=_change(row["low"]),
            high=_change(row["high"]),
            verdict=str(row["verdict"]),
            label=labels[str(row["trial"])],
        )
        for row in answer.loc[answer["metric"] == metric].to_dict("records")
    ]
    return Effects(
        metric,
        tuple(effect for effect in found if effect.kind not in CONTROLS),
        tuple(effect for effect in found if effect.kind in CONTROLS),
        limit,
    )


def _change(ratio: float) -> float:
    return 100 * (float(ratio) - 1)


def _label(trial: str, rows: pd.DataFrame, metrics: tuple[str, ...]) -> tuple[str, ...]:
    lines = [trial]
    for metric in metrics:
        for row in rows.loc[rows["metric"] == metric].to_dict("records"):
            interval = between(_change(row["low"]), _change(row["high"]))
            lines.append(f"{metric} {percent(_change(row['ratio']))} ({interval})")
            lines.append(f"{metric} verdict: {row['verdict']}")
    return tuple(lines)
