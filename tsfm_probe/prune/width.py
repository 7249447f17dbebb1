"""The neurons of MLPs that can go: those with the smallest weights."""

import copy
from collections.abc import Mapping, Sequence

import torch

from tsfm_probe.address import Address
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.body import Body

SHARES = (0.25, 0.5, 0.75)
"""Shares of the neurons of every MLP that are tried, one after the other."""
Neurons = Mapping[Address, Sequence[int]]


def loudest(model: Model, share: float) -> Neurons:
    """What is left of every MLP when a share of its neurons goes: those with the largest weights.

    The weight of a neuron is the product of the norms of all that leads into it and out of it.
    """
    found = {}
    for at in model.anatomy.parts:
        if not model.anatomy[at].heads:
            weight = _weights(_body(model), model, at)
            left = max(1, round((1 - share) * len(weight)))
            found[at] = sorted(weight.argsort(descending=True)[:left].tolist())
    return found


def without(model: Model, neurons: Neurons) -> Model:
    """The same model in full size, in which all other neurons write nothing."""
    made = copy.copy(model)
    made.net = copy.deepcopy(model.net)
    for at, left in neurons.items():
        out = _body(model).hidden(made.net, at).out
        gone = torch.ones(out.in_features, dtype=torch.bool, device=out.weight.device)
        gone[list(left)] = False
        with torch.no_grad():
            out.weight[:, gone] = 0
    made.anatomy = _body(model).anatomy(made.net)
    return made


def _weights(body: Body, model: Model, at: Address) -> torch.Tensor:
    hidden = body.hidden(model.net, at)
    found = hidden.out.weight.detach().norm(dim=0)
    for linear in hidden.into:
        for block in linear.weight.detach().norm(dim=1).chunk(hidden.blocks):
            found = found * block
    return found


def _body(model: Model) -> Body:
    assert model.body is not None  # its network was cut
    return model.body
