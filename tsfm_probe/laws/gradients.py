"""Law 14: the derivative that autograd gives is that of the forecast."""

import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.laws.subject import Finding, Subject
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.record import recorded

DIRECTIONS, STEPS, ALLOWED = 3, (3e-3, 1e-2, 1e-3, 2e-4), 0.05


def gradients_are_true(subject: Subject) -> Finding:
    """Law 14: autograd equals finite differences at every write and in the first heads.

    At each of them the slopes of a random sum of the prediction along a few random directions, as
    long as what is written there, are compared; the deviation is over the size of the slopes. The
    step that suits best counts: a larger one may cross a kink, a smaller one drowns in rounding.
    """
    anatomy = subject.model.anatomy
    heads = [at for at in anatomy.heads if at.head == 0]
    worst = max(_deviation(subject, at) for at in (*anatomy.parts, *heads))
    return Finding(14, "gradients are true", worst, ALLOWED, "in single precision")


def _deviation(subject: Subject, at: Address) -> float:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad(), recorded(subject.model.anatomy, [at]) as record:
        output = subject.model.predict(subject.contexts)
    written = record.parts[at][0]
    weights = torch.randn(output.shape, generator=generator).to(output)
    noise = torch.randn(DIRECTIONS, *written.shape, generator=generator).to(written)
    directions = written.pow(2).mean().sqrt() * noise
    slopes = torch.stack([_derived(subject, at, written, one, weights) for one in directions])
    best = float("inf")
    for step in STEPS:
        measured = [
            (
                _sum(subject, at, written + step * one, weights)
                - _sum(subject, at, written - step * one, weights)
            )
            / (2 * step)
            for one in directions
        ]
        differences = torch.stack(measured)
        size = max(slopes.norm(), differences.norm())
        best = min(best, float((slopes - differences).norm() / size) if size != 0 else 0.0)
        if best <= ALLOWED / 4:
            break
    return best


def _derived(
    subject: Subject, at: Address, written: Tensor, direction: Tensor, weights: Tensor
) -> Tensor:
    place = torch.zeros((), device=written.device, requires_grad=True)
    (slope,) = torch.autograd.grad(
        _sum(subject, at, written + place * direction, weights, gradients=True), place
    )
    return slope.double()


def _sum(
    subject: Subject, at: Address, written: Tensor, weights: Tensor, gradients: bool = False
) -> Tensor:
    """The weighted sum of the prediction where this is written at `at`."""
    anatomy = subject.model.anatomy
    with torch.set_grad_enabled(gradients), edited(anatomy, [Edit(at, written)]):
        return (subject.model.predict(subject.contexts).double() * weights).sum()
