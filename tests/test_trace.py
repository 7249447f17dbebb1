"""A trace is a forecast in passes, each of which reads the path so far."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.families import NETWORKS
from tests.test_reading import REACH, given, truth
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.models.passes import Pass
from tsfm_probe.surgery.record import recorded

Tiny = Callable[[str], Model]
LONG = 21  # more than one pass of most families


@pytest.mark.parametrize("family", NETWORKS)
def test_a_trace_reads_its_path_pass_by_pass(family: str, tiny: Tiny) -> None:
    """As contexts that are longer by it; Chronos-T5 does so where it begins again."""
    model, path = tiny(family), np.nan_to_num(truth(LONG))
    native = model.net.config.chronos_config["prediction_length"] if family == "chronos-t5" else 1
    before = model.forecast(given(), 3, samples=2).values
    place, passes = 0, list[Pass]()
    last = model.anatomy.parts[-1]
    with recorded(model.anatomy, [last]) as record:
        for one in model.trace(given(), LONG, path):
            passes.append(one)
            assert one.first == place
            assert len(record.parts[last]) == len(passes)
            place += one.steps
    assert place == LONG
    for one in passes:
        if one.first % native == 0:
            longer = [
                np.append(old, new[: one.first]) for old, new in zip(given(), path, strict=True)
            ]
            with torch.no_grad():
                expected = model.predict(longer, LONG - one.first)
            assert torch.equal(one.prediction, expected.reshape(one.prediction.shape))
    assert (len(passes) > 1) == (REACH.get(family, 0) <= LONG and family != "moirai-1.1")
    np.testing.assert_array_equal(model.forecast(given(), 3, samples=2).values, before)


@pytest.mark.parametrize("family", NETWORKS)
def test_a_trace_without_a_path_reads_its_medians(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    passes = list(model.trace(given(), LONG))
    medians = np.concatenate([one.median() for one in passes], axis=1)
    assert medians.shape == (len(given()), LONG)
    for one, again in zip(passes, model.trace(given(), LONG, medians), strict=True):
        assert torch.equal(one.prediction, again.prediction)


def test_the_trace_of_chronos_t5_has_the_logits_of_a_teacher_forced_pass(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    passes = list(model.trace(given(), 6))
    tokenizer = model.config.create_tokenizer()  # type: ignore[attr-defined]
    tokens, mask, scale = tokenizer.context_input_transform(left_padded(given(), 48))
    path = torch.from_numpy(np.concatenate([one.median() for one in passes], axis=1)).float()
    read = torch.bucketize(path / scale[:, None], tokenizer.boundaries, right=True) + 2
    start = torch.full_like(read[:, :1], model.net.config.decoder_start_token_id)
    with torch.no_grad():
        expected = model.net(
            input_ids=tokens,
            attention_mask=mask,
            decoder_input_ids=torch.cat([start, read[:, :-1]], dim=1),
        ).logits
    found = torch.cat([one.prediction for one in passes], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
