"""A Model as a GluonTS predictor forecasts what the Model does, whole and edited."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.evaluation import make_evaluation_predictions
from gluonts.model.predictor import RepresentablePredictor

from tests.families import NETWORKS, contexts
from tsfm_probe.address import Address
from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.models.base import Model
from tsfm_probe.models.draws import known
from tsfm_probe.surgery.edit import Edit, edited

HORIZON = 5
START = pd.Period("2024-01-01 00:00", "h")
Tiny = Callable[[str], Model]


def entries() -> list[dict[str, Any]]:
    """Of different lengths, with missing values inside and at the beginning."""
    found = contexts(6)
    found[3] = np.concatenate([np.full(7, np.nan), found[3][:20]])
    return [
        {"target": one.astype(np.float32), "start": START + place, "item_id": f"s{place}"}
        for place, one in enumerate(found)
    ]


def alone(model: Model, target: np.ndarray) -> np.ndarray:
    """[level, step] of one context from its first value on, without any predictor."""
    return model.forecast([known(target.astype(np.float64))], HORIZON, 3, 4).values[0].T


@pytest.mark.parametrize("family", NETWORKS)
def test_forecasts_are_the_models_whatever_the_batch(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    for size in (1, 4, 0):
        predictor = Predictor(model, HORIZON, batch_size=size, seed=3, samples=4)
        assert isinstance(predictor, RepresentablePredictor)
        made = list(predictor.predict(entries()))
        assert len(made) == 6
        for entry, one in zip(entries(), made, strict=True):
            expected = alone(model, entry["target"])
            found = np.stack([one.quantile(level / 10) for level in range(1, 10)])
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
            np.testing.assert_array_equal(one.mean, one.quantile("0.5"))
            assert (one.item_id, one.start_date) == (
                entry["item_id"],
                entry["start"] + len(entry["target"]),
            )


def test_edits_are_open_while_it_predicts_and_at_no_other_time(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    edit = Edit(Address("decoder", 0, "cross"))
    forecasts = Predictor(model, HORIZON, edits=[edit]).predict(entries())
    first = next(forecasts).forecast_array[1:]
    target = entries()[0]["target"]
    whole = alone(model, target)  # in between: the predictor has not ended yet
    with edited(model.anatomy, [edit]):
        ablated = alone(model, target)
    np.testing.assert_allclose(first, ablated, rtol=1e-5)
    assert np.abs(first - whole).max() > 1e-3 * np.abs(whole).max()
    assert len(list(forecasts)) == 5


def test_the_context_is_the_end_of_the_series(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    entry = entries()[0]
    short = Predictor(model, HORIZON, context=16).predict_item(entry)
    np.testing.assert_allclose(
        short.forecast_array[1:], alone(model, entry["target"][-16:]), rtol=1e-5
    )


def test_dimensions_are_series_of_their_own_unless_they_are_forecast_jointly(tiny: Tiny) -> None:
    model = tiny("chronos-2")
    target = np.stack(contexts(4)[:3])
    target[1] = np.nan_to_num(target[1])
    target = np.concatenate([np.full((3, 4), np.nan), target[:, :48]], axis=1)
    entry = {"target": target, "start": START}
    single = Predictor(model, HORIZON).predict_item(entry).forecast_array
    assert single.shape == (10, HORIZON, 3)
    for dim in range(3):
        np.testing.assert_allclose(single[1:, :, dim], alone(model, target[dim]), rtol=1e-4)
    jointly = Predictor(model, HORIZON, joint=True).predict_item(entry).forecast_array
    expected = model.forecast(list(target[:, 4:]), HORIZON, groups=[0, 0, 0]).values
    np.testing.assert_allclose(jointly[1:], np.moveaxis(expected, 2, 0).swapaxes(1, 2), rtol=1e-4)
    assert np.abs(jointly - single).max() > 1e-3 * np.abs(single).max()
    two = list(Predictor(model, HORIZON, joint=True, batch_size=1).predict([entry, entry]))
    np.testing.assert_allclose(two[1].forecast_array, jointly, rtol=1e-4)


def test_a_model_that_reads_series_alone_is_not_used_jointly(tiny: Tiny) -> None:
    with pytest.raises(UsageError, match="chronos-bolt reads each series on its own"):
        Predictor(tiny("chronos-bolt"), HORIZON, joint=True)


def test_gluonts_own_evaluation_takes_it(tiny: Tiny) -> None:
    predictor = Predictor(tiny("chronos-t5"), HORIZON, samples=2)
    made, truths = make_evaluation_predictions(entries(), predictor, num_samples=6)
    forecasts = list(made)
    assert len(list(truths)) == 6
    cut = {"target": entries()[0]["target"][:-HORIZON], "start": START}
    six = Predictor(tiny("chronos-t5"), HORIZON, samples=6).predict_item(cut)
    np.testing.assert_allclose(forecasts[0].forecast_array, six.forecast_array, rtol=1e-5)


def test_batches_get_smaller_when_memory_runs_out(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("chronos-bolt")
    expected = [one.forecast_array for one in Predictor(model, HORIZON).predict(entries())]
    encode, room = model.encode, [2]

    def encode_few(given: Any, groups: Any = None) -> Any:
        if len(given) > room[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(given, groups)

    monkeypatch.setattr(model, "encode", encode_few)
    predictor = Predictor(model, HORIZON, batch_size=6)
    found = [one.forecast_array for one in predictor.predict(entries())]
    assert predictor.batch_size <= 2
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    room[0] = 0
    with pytest.raises(ModelError, match="memory ran out with 1 series"):
        list(predictor.predict(entries()))
