"""Contexts as TimesFM 3.0 reads them: without gaps, without their trend, in whole patches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Given:
    """Groups of series as a batch, each from the start of the time axis on.

    values: [batch, variate, time] fp32, less the trend, 0 where masked; time is whole patches.
    masked: [batch, variate, time], true where there is no value.
    known: [batch], how many patches of a group hold values.
    trend: [batch, variate, 2] fp64, the level at the last value and the rise per step.
    places: [batch, variate], where each variate stands among the series; -1 where there is none.
    """

    values: Tensor
    masked: Tensor
    known: Tensor
    trend: Tensor
    places: Tensor


def given(
    contexts: Sequence[np.ndarray],
    groups: Sequence[Sequence[int]],
    longest: int,
    patch: int,
    threshold: float,
) -> Given:
    """The last `longest` values of each group of contexts; its last patch is full.

    contexts: one [time] array per series, NaN where missing. groups: the places of the series of
    each group. threshold: see `trends`. What is made of a group depends on that group alone, but
    for the variates and patches that are masked behind it.
    """
    filled = [without_gaps([contexts[place] for place in group])[:, -longest:] for group in groups]
    known = np.array([-(-one.shape[1] // patch) for one in filled])
    shape = (len(groups), max(map(len, groups)))
    values = np.zeros((*shape, known.max() * patch), dtype=np.float32)
    masked = np.ones_like(values, dtype=bool)
    trend = np.zeros((*shape, 2))
    places = np.full(shape, -1)
    for row, (group, one) in enumerate(zip(groups, filled, strict=True)):
        own = trends(one, threshold)
        count, size = one.shape
        at = slice(known[row] * patch - size, known[row] * patch)
        values[row, :count, at] = one - along(own, np.arange(1 - size, 1))
        masked[row, :count, at] = False
        trend[row, :count] = own
        places[row, :count] = group
    return Given(*map(torch.from_numpy, (values, masked, known, trend, places)))


def without_gaps(contexts: Sequence[np.ndarray]) -> np.ndarray:
    """Series that end at the same time as one array [variate, time], fp32, nothing missing.

    It starts where the first of them does. Gaps are interpolated; before its first and after its
    last value a series stays at that value. Where nothing is known it is zero.
    """
    joint = np.full((len(contexts), max(map(len, contexts))), np.nan, dtype=np.float32)
    for row, one in zip(joint, contexts, strict=True):
        row[len(row) - len(one) :] = one
    there = ~np.isnan(joint)
    if not there.any():
        return np.zeros_like(joint)
    first = int(there.any(axis=0).argmax())
    joint, there = joint[:, first:], there[:, first:]
    time = np.arange(joint.shape[1])
    for row, seen in zip(joint, there, strict=True):
        row[~seen] = np.interp(time[~seen], time[seen], row[seen]) if seen.any() else 0.0
    return joint


def trends(values: np.ndarray, threshold: float) -> np.ndarray:
    """The straight line through each row: [variate, 2], the level at the last value and the rise.

    values: [variate, time]. The line is zero unless the deviation from it is less than `threshold`
    of the deviation from the mean. The package takes squares of means from means of squares, in
    single precision: where the mean is large, its choice turns on rounding. Here it does not.
    """
    values = values.astype(np.float64)
    time = np.arange(1 - values.shape[1], 1, dtype=np.float64)
    centred, mean = time - time.mean(), values.mean(axis=1)
    rise = values @ centred / max(float(centred @ centred), 1.0)  # one value alone: no rise
    lines = np.stack([mean - rise * time.mean(), rise], axis=1)
    explains = (values - along(lines, time)).std(axis=1) < threshold * values.std(axis=1)
    return np.where(explains[:, None], lines, 0.0)


def along(trend: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The values [variate, time] of lines [variate, 2] at times that count from the last value."""
    return trend[:, :1] + trend[:, 1:] * time
