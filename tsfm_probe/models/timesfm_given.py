"""Contexts as TimesFM 2.5 reads them: without gaps, of mean 0 and deviation 1."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Given:
    """Contexts as the network reads them, each of mean 0 and deviation 1 over its own values.

    values: [series, time] in fp64, whole patches, zero where padded.
    padded: [series, time], True before the first value.
    loc, scale: [series, 1, 1] in fp64, mean and deviation before.
    positive: [series, 1, 1], True where no value of the series is negative.
    """

    values: Tensor
    padded: Tensor
    loc: Tensor
    scale: Tensor
    positive: Tensor


def filled(context: np.ndarray) -> np.ndarray:
    """A context [time] in fp64 without missing values, as the package fills them.

    Those before the first value are dropped, those between two values lie on a line, those after
    the last repeat it. Where there is no value at all, all are zero.
    """
    values = np.asarray(context, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.zeros_like(values)
    return np.interp(np.arange(known[0], len(values)), known, values[known])
