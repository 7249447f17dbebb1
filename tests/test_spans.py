"""What the tokens of a stream stand for: as many as run, and each over the values that move it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.families import NETWORKS
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.record import recorded

HORIZON = 6  # within the first pass of every tiny network


def streams(model: Model, context: np.ndarray) -> dict[str, torch.Tensor]:
    """The stream that enters each stack, [token, d], that of all its runs joined."""
    with recorded(model.anatomy, streams=tuple(model.anatomy.stacks)) as record:
        list(model.trace([context], HORIZON))
    return {name: torch.cat(record.streams[name, 0], dim=1)[0] for name in model.anatomy.stacks}


@pytest.mark.parametrize("length", [60, 48, 37, 5])
@pytest.mark.parametrize("family", NETWORKS)
def test_there_is_a_span_for_every_token(
    tiny: Callable[[str], Model], family: str, length: int
) -> None:
    model = tiny(family)
    context = np.random.default_rng(0).normal(size=length)
    for name, stream in streams(model, context).items():
        spans = model.spans(name, length, HORIZON)
        assert len(stream) == len(spans)
        values = [span for span in spans if span.kind == "values"]
        assert [one.end for one in values[:-1]] == [one.start for one in values[1:]]
        if values:
            assert (values[0].start, values[-1].end) == (
                max(0, length - model.context_length),
                length,
            )


@pytest.mark.parametrize("family", NETWORKS)
def test_swapped_values_move_the_tokens_that_stand_for_them_most(
    tiny: Callable[[str], Model], family: str
) -> None:
    """A swap leaves the scale of the whole context as it is."""
    model, name = tiny(family), next(iter(tiny(family).anatomy.stacks))
    context = np.random.default_rng(0).normal(size=48)
    spans = model.spans(name, 48, HORIZON)
    for one, other in ((2, 45), (19, 30)):
        context[one], context[other] = -2.5, 2.5
        swapped = context.copy()
        swapped[[one, other]] = context[[other, one]]
        moved = (streams(model, context)[name] - streams(model, swapped)[name]).norm(dim=-1)
        span = spans[int(moved.argmax())]
        assert any(span.start <= time < span.end for time in (one, other))


def test_kinds_tell_what_is_no_value(tiny: Callable[[str], Model]) -> None:
    kinds = {
        (family, name): {span.kind for span in tiny(family).spans(name, 48, HORIZON)}
        for family in ("chronos-t5", "chronos-bolt", "chronos-2", "timesfm-2.5")
        for name in tiny(family).anatomy.stacks
    }
    assert kinds == {
        ("chronos-t5", "encoder"): {"values", "end"},
        ("chronos-t5", "decoder"): {"start", "fed"},
        ("chronos-bolt", "encoder"): {"values", "register"},
        ("chronos-bolt", "decoder"): {"start"},
        ("chronos-2", "encoder"): {"values", "register", "masked"},
        ("timesfm-2.5", "decoder"): {"values"},
    }
