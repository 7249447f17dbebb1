"""Laws 6 to 9: the residual stream is the sum of what its parts write, head by head."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Component
from tsfm_probe.laws.subject import ROUNDING, Finding, Subject, attentions, heads_of, relative
from tsfm_probe.models.base import Model


def writes_sum_to_the_stream(subject: Subject) -> Finding:
    """Law 6: the embedding and everything written sum to the final stream."""
    anatomy = subject.model.anatomy
    worst = 0.0
    for name, stack in anatomy.stacks.items():
        parts = [at for at in anatomy.parts if at.stack == name]
        record = subject.record(addresses=parts, streams=[name])
        for run, final in enumerate(record.streams[name, len(stack.starts)]):
            written = sum(record.parts[at][run] for at in parts)
            worst = max(worst, relative(record.streams[name, 0][run] + written, final))
    return Finding(6, "embedding and writes sum to the stream", worst, ROUNDING)


def shares_sum_to_the_write(subject: Subject) -> Finding:
    """Law 7: the shares of the heads (and of a bias) sum to what the attention writes."""
    worst = 0.0
    for at in attentions(subject.model):
        component, heads = subject.model.anatomy[at], heads_of(subject.model, at)
        record = subject.record(addresses=[at, *heads], horizon=1)
        for run, write in enumerate(record.parts[at]):
            mixed = torch.cat([record.parts[one][run] for one in heads], dim=-1)
            with torch.no_grad():
                total = component.shares(mixed).sum(0) + component.rest(mixed)
            worst = max(worst, relative(total, write))
    return Finding(7, "head shares sum to the write", worst, ROUNDING)


def effects_sum_to_the_prediction(subject: Subject) -> Finding:
    """Law 8: the readout gives the prediction; where it is linear, effects sum to it.

    Elsewhere the remainder is told.
    """
    model, anatomy = subject.model, subject.model.anatomy
    stack = anatomy.reads
    parts = [at for at in anatomy.parts if at.stack == stack.name]
    record = subject.record(addresses=parts, streams=[stack.name], output=True, horizon=1)
    final = record.streams[stack.name, len(stack.starts)][0]
    output = record.output[0]
    kept = final[:, -output.shape[1] :]
    read = model.readout(kept)
    with torch.no_grad():
        whole = read(kept)
        writes = [record.streams[stack.name, 0][0], *(record.parts[at][0] for at in parts)]
        effects = sum(whole - read(kept - one[:, -output.shape[1] :]) for one in writes)
    off, remainder = relative(whole, output), relative(torch.as_tensor(effects), whole)
    law = "frozen effects sum to the prediction"
    if model.linear_readout:
        return Finding(8, law, max(off, remainder), 1e-4)
    return Finding(8, law, off, ROUNDING, f"nonlinear readout: remainder {remainder:.2f}")


def weights_belong_to_their_head(subject: Subject) -> Finding:
    """Law 9: the rows of q, k and v claimed for a head move that head's mixed values alone.

    Doubling its v doubles them; turning the signs of its q and k leaves them (exactly so, whatever
    norm follows); without its q those of other heads stay; and the matrices of head_weights are
    those rows. Heads that share keys and values are changed together.
    """
    worst = 0.0
    for at in attentions(subject.model):
        heads = heads_of(subject.model, at)
        before = _mixed(subject, heads)
        for head in heads:
            worst = max(worst, _moved(subject, head, before), _row_difference(subject.model, head))
    return Finding(9, "head weights belong to their head", worst, ROUNDING)


def _moved(subject: Subject, head: Address, before: dict[Address, Tensor]) -> float:
    """How far the mixed values are from what scaled rows of one head should make of them."""
    component, own = subject.model.anatomy[head], head.head or 0
    doubled = [
        2 * one if component.group("v", at.head or 0) == component.group("v", own) else one
        for at, one in before.items()
    ]
    with _scaled(component, "v", own, 2.0):
        worst = max(map(relative, _mixed(subject, list(before)).values(), doubled))
    for name in "qk":
        others = [
            at for at in before if component.group(name, at.head or 0) != component.group(name, own)
        ]
        if others:
            with _scaled(component, name, own, 0.0):
                found = _mixed(subject, others)
            worst = max(worst, *(relative(found[at], before[at]) for at in others))
    return worst


@contextmanager
def _scaled(component: Component, name: str, head: int, factor: float) -> Iterator[None]:
    """One head's rows multiplied, with their bias, for as long as the block is open."""
    projection, group = component.projections[name], component.group(name, head)
    views = [one for one in (projection.rows(group), projection.bias(group)) if one is not None]
    kept = [view.detach().clone() for view in views]
    with torch.no_grad():
        for view in views:
            view.mul_(factor)
    try:
        yield
    finally:
        with torch.no_grad():
            for view, old in zip(views, kept, strict=True):
                view.copy_(old)


def _mixed(subject: Subject, heads: Sequence[Address]) -> dict[Address, Tensor]:
    """The first mixed values of each head: before anything later can be moved by them."""
    record = subject.record(addresses=heads, horizon=1)
    return {head: record.parts[head][0].float() for head in heads}


def _row_difference(model: Model, head: Address) -> float:
    weights = model.anatomy.head_weights(head)
    component = model.anatomy[head]
    worst = 0.0
    for name in "qkv":
        rows = component.projections[name].scale * component.rows(name, head.head or 0)
        worst = max(worst, float((getattr(weights, name) - rows.detach().float()).abs().max()))
    return worst
