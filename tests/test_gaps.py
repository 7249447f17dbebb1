"""Values missing at the start of a series change nothing; what is no forecast is refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.families import NETWORKS, contexts
from tsfm_probe.data.series import Series
from tsfm_probe.data.synthetic import generated
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.draws import uniforms
from tsfm_probe.probes.ablation import ablate

Tiny = Callable[[str], Model]


def late() -> list[Series]:
    """Series that begin later and later."""
    made = []
    for number, one in enumerate(generated(1, 90, seed=1)[:4]):
        values = one.values.copy()
        values[: 10 + 12 * number] = np.nan
        made.append(replace(one, values=values))
    return made


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("method", ["mean", "resample"])
def test_late_series_give_the_same_table_whatever_the_batch(
    family: str, method: str, tiny: Tiny
) -> None:
    model = tiny(family)
    first = str(model.anatomy.parts[0])
    asked = {"by": "part", "only": first, "method": method, "horizon": 8, "windows": 2}
    one, many = (
        ablate(model, late(), samples=4, batch_size=size, **asked).frame for size in (1, 100)
    )
    np.testing.assert_allclose(one["value"], many["value"], rtol=1e-3, atol=1e-4)


def test_random_numbers_belong_to_the_values_that_are_there() -> None:
    given = contexts()[0]
    padded = np.concatenate([np.full(8, np.nan), given])
    assert torch.equal(uniforms([given], 3, 2, 4), uniforms([padded], 3, 2, 4))


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ([], {}, "no context"),
        ([np.zeros(0)], {}, "one without values"),
        ([np.array([1.0, np.inf])], {}, "infinite"),
        ([np.ones(9)], {"horizon": 0}, "horizon 0"),
        ([np.ones(9)], {"samples": -1}, "samples -1"),
        ([np.ones(9)], {"groups": [0, 1]}, "2 numbers of groups"),
    ],
)
def test_what_is_no_forecast_is_refused(
    given: list[np.ndarray], options: dict[str, object], said: str, tiny: Tiny
) -> None:
    with pytest.raises(UsageError, match=said):
        tiny("chronos-2").forecast(given, **({"horizon": 3} | options))
