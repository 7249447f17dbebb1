"""Running uni2ts on the cases of the tests."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor

from tests.case import Case
from tsfm_probe.models.base import left_padded
from tsfm_probe.models.groups import members

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # gluonts says that it has no faster JSON
    from gluonts.dataset.common import ListDataset

moirai = pytest.importorskip("uni2ts.model.moirai")
moirai_2 = pytest.importorskip("uni2ts.model.moirai2")


def upstream(family: str, folder: Path) -> Any:
    """Upstream's network without the dropout that it applies in forecasts."""
    kind = moirai_2.Moirai2Module if family == "moirai-2" else moirai.MoiraiModule
    module = kind.from_pretrained(folder).eval()
    for layer in module.encoder.layers:
        layer.self_attn.attn_dropout_p = 0.0
    return module


def driver(module: Any, horizon: int, variates: int, **options: Any) -> Any:
    """Upstream's forecaster of contexts of at most 64 values."""
    kind = moirai.MoiraiForecast if options else moirai_2.Moirai2Forecast
    return kind(
        prediction_length=horizon,
        target_dim=variates,
        feat_dynamic_real_dim=0,
        past_feat_dynamic_real_dim=0,
        context_length=64,
        module=module,
        **options,
    )


def inputs(forecaster: Any, series: np.ndarray) -> dict[str, Tensor]:
    """What upstream's predictor gives its network for one group [variate, time]."""
    given = ListDataset(
        [{"start": "2020-01-01", "target": series if len(series) > 1 else series[0]}],
        freq="D",
        one_dim_target=len(series) == 1,
    )
    chain = forecaster.create_predictor(batch_size=1, device="cpu").input_transform
    (entry,) = chain.apply(given, is_train=False)
    kinds = {"target": torch.float, "observed_target": torch.bool, "is_pad": torch.bool}
    return {
        f"past_{name}": torch.tensor(entry[f"past_{name}"], dtype=kind)[None]
        for name, kind in kinds.items()
    }


def groups_of(case: Case) -> Iterator[tuple[list[int], np.ndarray]]:
    for places in members(case.groups, len(case.contexts)):
        yield places, left_padded([case.contexts[place] for place in places], 64).numpy()


@contextmanager
def repaired() -> Iterator[None]:
    """Upstream takes the tokens of one series for those of all where it splits them up."""
    forecast = moirai_2.forecast

    def split(value: Tensor, pattern: str, **lengths: int) -> Tensor:
        if pattern.startswith("... predict_token num_quantiles patch_size -> ... num_quantiles"):
            del lengths["predict_token"]
        return rearrange(value, pattern, **lengths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast, "rearrange", split)
        yield
