"""Networks whose truth is known, because it was put there."""

from collections.abc import Iterable

import torch

from tsfm_probe.address import Address
from tsfm_probe.models.base import Model


def with_dead(model: Model, heads: Iterable[Address]) -> Model:
    """The model with these heads dead: their columns of the output projection are zero."""
    with torch.no_grad():
        for at in heads:
            component = model.anatomy[at]
            assert component.mix is not None
            assert at.head is not None
            component.mix.weight[:, component.columns(at.head)] = 0.0
    return model


def with_only(model: Model, head: Address) -> Model:
    """The model in which one head is the only part of its stack that writes anything."""
    with torch.no_grad():
        for at in model.anatomy.parts:
            component = model.anatomy[at]
            if at.stack == head.stack and at != head.whole:
                component.write.weight.zero_()
    others = [one for one in model.anatomy.heads if one.whole == head.whole and one != head]
    return with_dead(model, others)


def with_twin(model: Model, head: Address, twin: Address) -> Model:
    """The model in which a head is an exact copy of another one of its attention."""
    component = model.anatomy[head]
    assert component.mix is not None
    assert head.head is not None
    assert twin.head is not None
    with torch.no_grad():
        for name in "qkv":
            component.rows(name, twin.head).copy_(component.rows(name, head.head))
        weight = component.mix.weight
        weight[:, component.columns(twin.head)] = weight[:, component.columns(head.head)]
    return model
