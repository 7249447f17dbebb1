"""What both Moirai networks read in place of what is missing."""

import warnings

import numpy as np

from tests.families import contexts
from tsfm_probe.models.moirai.tokens import causal_mean

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # gluonts says that it has no faster JSON
    from gluonts.transform import CausalMeanValueImputation


def test_gaps_are_filled_with_the_causal_mean_as_upstream_does() -> None:
    for gaps in ([], [0, 1], [5, 6, 20], [0, 7, 47], list(range(48))):
        series = contexts()[0].astype(np.float32)
        series[gaps] = np.nan
        with np.errstate(invalid="ignore"):
            theirs = CausalMeanValueImputation()(series.copy())
        np.testing.assert_allclose(causal_mean(series), theirs, rtol=1e-6)
