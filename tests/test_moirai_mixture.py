"""The mixture of Moirai 1.1: its draws and its density are those of its parts."""

import numpy as np
import torch
from scipy import stats

from tsfm_probe.models.moirai.mixture import LogNormal, Mixture, NegativeBinomial, Normal, StudentT

PARTS = [
    (StudentT, {"df": 2.5, "loc": -1.0, "scale": 0.5}, stats.t(2.5, -1.0, 0.5)),
    (Normal, {"loc": 1.0, "scale": 0.1}, stats.norm(1.0, 0.1)),
    (NegativeBinomial, {"total_count": 2.2, "logits": 0.7}, stats.nbinom(2.2, 0.33181223)),
    (LogNormal, {"loc": 0.3, "scale": 0.6}, stats.lognorm(0.6, scale=np.exp(0.3))),
]
CHANCES = torch.tensor([0.4, 0.1, 0.2, 0.3])


def mixture(series: int = 1) -> Mixture:
    """Twice as wide as its components and moved by 3: [series, 1]."""
    components = [
        kind(**{name: torch.full((series, 1), value) for name, value in of.items()})
        for kind, of, _ in PARTS
    ]
    ones = torch.ones(series, 1)
    return Mixture(CHANCES.log().expand(series, 1, 4), components, 3 * ones, 2 * ones)


def test_draws_invert_the_distribution_functions_of_the_mixture() -> None:
    grid = (torch.arange(300, dtype=torch.float64) + 0.5) / 300
    choice, place = torch.meshgrid(grid, grid, indexing="ij")
    drawn = mixture().inverse(choice.reshape(1, -1, 1), place.reshape(1, -1, 1)).flatten()
    for value in (-3.0, -1.0, 2.9, 3.5, 4.95, 5.5, 7.1, 12.3):
        parts = torch.tensor([law.cdf((value - 3) / 2) for _, _, law in PARTS])
        assert abs(float((drawn <= value).double().mean() - CHANCES @ parts.float())) < 2 / 300


def test_the_density_of_the_mixture_is_that_of_its_parts() -> None:
    value = torch.tensor([[-3.0], [2.0], [5.1], [7.0]])
    at = (value.numpy() - 3) / 2
    parts = [law.pmf(at) if hasattr(law.dist, "pmf") else law.pdf(at) for _, _, law in PARTS]
    expected = np.log(np.tensordot(CHANCES.numpy(), parts, 1) / 2)
    found = mixture(4).log_density(value)[[0, 1, 3]]
    np.testing.assert_allclose(found, expected[[0, 1, 3]], rtol=1e-5)
