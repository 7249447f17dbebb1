"""Laws 6 to 9: the residual stream is the sum of what its parts write, head by head."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tsfm_probe.address import Address
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
    """Law 7: the shares of the heads (and a bias) sum to what the attention writes."""
    anatomy = subject.model.anatomy
    worst = 0.0
    for at in attentions(subject.model):
        component, heads = anatomy[at], heads_of(subject.model, at)
        record = subject.record(addresses=[at, *heads], horizon=1)
        bias = getattr(component.mix, "bias", None)
        for run, write in enumerate(record.parts[at]):
            shares = (component.share(record.parts[one][run], one.head or 0) for one in heads)
            total = sum(shares, torch.zeros_like(write) if bias is None else bias.detach())
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

    Doubling its v doubles them; doubling its q and halving its k leaves them; and the matrices
    returned by head_weights are those rows.
    """
    worst = 0.0
    for at in attentions(subject.model):
        heads = heads_of(subject.model, at)
        before = _mixed(subject, heads)
        for head in heads:
            doubled = [2 * one if own == head else one for own, one in before.items()]
            worst = max(
                worst,
                _moved(subject, head, heads, {"v": 2.0}, doubled),
                _moved(subject, head, heads, {"q": 2.0, "k": 0.5}, list(before.values())),
                _row_difference(subject.model, head),
            )
    return Finding(9, "head weights belong to their head", worst, ROUNDING)


def _moved(
    subject: Subject,
    head: Address,
    heads: Sequence[Address],
    factors: dict[str, float],
    expected: Sequence[Tensor],
) -> float:
    component = subject.model.anatomy[head]
    with torch.no_grad():
        for name, factor in factors.items():
            component.rows(name, head.head or 0).mul_(factor)
        try:
            found = _mixed(subject, heads)
        finally:
            for name, factor in factors.items():
                component.rows(name, head.head or 0).div_(factor)
    return max(map(relative, found.values(), expected))


def _mixed(subject: Subject, heads: Sequence[Address]) -> dict[Address, Tensor]:
    """The first mixed values of each head: before anything later can be moved by them."""
    record = subject.record(addresses=heads, horizon=1)
    return {head: record.parts[head][0].float() for head in heads}


def _row_difference(model: Model, head: Address) -> float:
    weights = model.anatomy.head_weights(head)
    component = model.anatomy[head]
    pairs = [(getattr(weights, name), component.rows(name, head.head or 0)) for name in "qkv"]
    return max(float((one - two.detach().float()).abs().max()) for one, two in pairs)
