"""The forecasts of both Moirai adapters equal those of uni2ts, where it is installed.

`make` writes the fixture with which the ordinary suite checks the same.
"""

import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from einops import EinopsError, rearrange
from safetensors.torch import save_file
from torch import Tensor

from tests.case import Case
from tests.families import NETWORKS, enliven
from tests.parity.moirai_upstream import driver, groups_of, inputs, repaired, upstream
from tests.test_moirai import (
    CASES,
    FIXTURE,
    ONE_PASS,
    SIZES,
    losses,
    parameters,
    settled_model,
)
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.moirai.mixture import Mixture

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # gluonts says that it has no faster JSON
    from gluonts.transform import CausalMeanValueImputation

NAMES = ("df", "loc", "scale"), ("loc",), ("total_count", "logits"), ("loc", "scale")
SAMPLES, SEED = 5, 1
pytestmark = pytest.mark.filterwarnings("ignore")


@torch.no_grad()
def quantiles(module: Any, case: Case) -> Tensor:
    """What upstream's Moirai 2 forecasts: [series, horizon, level]."""
    found = torch.empty(len(case.contexts), case.horizon, 9)
    for places, series in groups_of(case):
        forecaster = driver(module, case.horizon, len(places))
        given = inputs(forecaster, series)
        if len(places) > 1:  # filled by the caller: as the predictor fills one series
            filled = [CausalMeanValueImputation()(one.copy()) for one in series]
            given["past_target"][0, -series.shape[1] :] = torch.tensor(np.array(filled)).T
        made = forecaster(**given)[0]
        found[places] = made.reshape(9, case.horizon, -1).permute(2, 1, 0)
    return found


@torch.no_grad()
def distribution(module: Any, case: Case, size: int) -> Tensor:
    """The parameters of upstream's mixtures, as `parameters` has ours."""
    found = torch.empty(14, len(case.contexts), case.horizon)
    for places, series in groups_of(case):
        forecaster = driver(module, case.horizon, len(places), patch_size=size)
        made = forecaster._get_distr(size, **inputs(forecaster, series))
        base = made.base_dist
        own = [
            getattr(one, name)
            for one, names in zip(base.components, NAMES, strict=True)
            for name in names
        ]
        affine = [one.expand_as(own[0]) for one in (made.loc, made.scale)]
        every = torch.stack([*base.weights.logits.unbind(-1), *own, *affine])
        kept = forecaster._format_preds(size, every, len(places))
        found[:, places] = kept[0].reshape(14, case.horizon, -1).permute(0, 2, 1)
    return found


def pair(family: str, folder: Path) -> tuple[Any, Any]:
    """Our model and upstream's network with the same random weights, as upstream saves them."""
    net = NETWORKS[family]()
    enliven(net)
    net.save_pretrained(folder / "ours")
    theirs = upstream(family, folder / "ours")
    theirs.save_pretrained(folder / "theirs")
    return load(str(folder / "theirs"), "cpu"), theirs


@pytest.mark.parametrize("name", CASES)
def test_moirai_2_forecasts_what_upstream_does(name: str, tmp_path: Path) -> None:
    (model, module), case = pair("moirai-2", tmp_path), CASES[name]
    found = model.forecast(case.contexts, case.horizon, groups=case.groups).values
    with repaired():
        assert relative(found, quantiles(module, case)) < 1e-5


def test_upstream_cannot_forecast_several_series_beyond_the_native_horizon(tmp_path: Path) -> None:
    module = pair("moirai-2", tmp_path)[1]
    with pytest.raises(EinopsError, match="Shape mismatch"):
        quantiles(module, CASES["jointly, beyond the native horizon"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_moirai_1_forecasts_and_draws_what_upstream_does(
    name: str, size: int, tmp_path: Path
) -> None:
    (model, module), case = pair("moirai-1.1", tmp_path), CASES[name]
    found = parameters(model, case, size)
    assert max(map(relative, found, distribution(module, case, size))) < 1e-5
    assert relative(*seeded(model, module, case, size)) < 1e-5


def test_the_losses_that_choose_a_patch_size_are_upstreams(tmp_path: Path) -> None:
    (model, module), case = pair("moirai-1.1", tmp_path), CASES["within the native horizon"]
    assert relative(losses(model, case), validation(module, case)) < 1e-4


@torch.no_grad()
def validation(module: Any, case: Case) -> Tensor:
    found = torch.empty(len(SIZES), len(case.contexts))
    for places, series in groups_of(case):
        forecaster = driver(module, case.horizon, 1, patch_size="auto")
        given = inputs(forecaster, series)
        told = [given[f"past_{name}"] for name in ("target", "observed_target", "is_pad")]
        found[:, places] = torch.stack([forecaster._val_loss(size, *told) for size in SIZES])
    return found


@torch.no_grad()
def seeded(model: Any, module: Any, case: Case, size: int) -> tuple[Tensor, Tensor]:
    """Our paths and upstream's [series, sample, horizon], both drawn by upstream's sampling."""
    ours, theirs = torch.empty(2, len(case.contexts), SAMPLES, case.horizon)
    model.patch_size = size
    for places, series in groups_of(case):
        options = {"patch_size": size, "num_samples": SAMPLES}
        forecaster = driver(module, case.horizon, len(places), **options)
        given = inputs(forecaster, series)
        torch.manual_seed(SEED)
        theirs[places] = by_series(forecaster(**given))
        draw = partial(redrawn, forecaster, forecaster._get_distr(size, **given), size)
        state = model.encode([case.contexts[place] for place in places], [0] * len(places))
        ours[places] = model._paths(state, case.horizon, SAMPLES, draw).float()
    return ours, theirs


def by_series(drawn: Tensor) -> Tensor:
    """[series, sample, time] from one group's [1, sample, time] or [1, sample, time, series]."""
    return drawn[0].reshape(*drawn.shape[1:3], -1).permute(2, 0, 1)


def redrawn(forecaster: Any, made: Any, size: int, mixture: Mixture, places: Tensor) -> Tensor:
    """What upstream draws with our parameters in the place of its own for what is to come.

    It draws for what is known as well, so that its random numbers run on in its own order.
    """
    start = len(places) * forecaster.context_token_length(size)

    def put(full: Tensor, own: Tensor) -> Tensor:
        future = rearrange(full[0, start:, :size], "(s time) value -> s (time value)", s=len(own))
        future = torch.cat([own, future[:, own.shape[1] :]], dim=1)
        new = full.clone()
        new[0, start:, :size] = rearrange(future, "s (time value) -> (s time) value", value=size)
        return new

    base = made.base_dist
    pairs = zip(
        base.weights.logits.unbind(-1), mixture.logits.log_softmax(-1).unbind(-1), strict=True
    )
    base.weights = torch.distributions.Categorical(
        logits=torch.stack([put(*one) for one in pairs], -1)
    )
    base.components = [
        type(one)(
            *(put(getattr(one, name), getattr(own, name)) for name in names),
            *([1e-3] if names == ("loc",) else []),
            validate_args=False,
        )
        for one, own, names in zip(base.components, mixture.components, NAMES, strict=True)
    ]
    torch.manual_seed(SEED)
    return by_series(forecaster._format_preds(size, made.sample((SAMPLES,)), len(places))).double()


def make() -> None:
    """Write the fixture: what uni2ts forecasts with weights that anyone can draw again."""
    expected = {}
    with TemporaryDirectory() as folder, repaired():
        one, two = (Path(folder) / name for name in ("one", "two"))
        settled_model("moirai-1.1", one)
        module = upstream("moirai-1.1", one)
        for name in ONE_PASS:
            for size in SIZES:
                key = f"moirai-1.1: {name}, patches of {size}"
                expected[key] = distribution(module, CASES[name], size)
        case = CASES["within the native horizon"]
        expected["moirai-1.1: losses"] = validation(module, case)
        settled_model("moirai-2", two)
        module = upstream("moirai-2", two)
        for name, case in CASES.items():
            expected[f"moirai-2: {name}"] = quantiles(module, case)
    save_file({name: one.contiguous() for name, one in expected.items()}, FIXTURE)


if __name__ == "__main__":
    make()
