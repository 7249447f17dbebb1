"""Laws 1 to 5: what an edit does to a forecast, and that it does nothing else."""

import numpy as np
import torch

from tsfm_probe.laws.subject import (
    EXACT,
    ROUNDING,
    Finding,
    Subject,
    attentions,
    heads_of,
    relative,
)
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.record import recorded


def no_edit_no_change(subject: Subject) -> Finding:
    """Law 1: without an edit nothing changes, bit for bit, also while everything is watched."""
    anatomy = subject.model.anatomy
    plain = subject.forecast()
    every = (*anatomy.parts, *anatomy.heads)
    with edited(anatomy, ()), recorded(anatomy, every, tuple(anatomy.stacks), True):
        watched = subject.forecast()
    return Finding(1, "no edit, no change", float(np.abs(plain - watched).max()), EXACT)


def every_edit_reaches(subject: Subject) -> Finding:
    """Law 2: zeroing any part or head changes the prediction."""
    anatomy = subject.model.anatomy
    plain = subject.output()
    silent = [
        str(at)
        for at in (*anatomy.parts, *anatomy.heads)
        if torch.equal(plain, subject.output(Edit(at)))
    ]
    note = f"without effect: {', '.join(silent[:5])}" if silent else ""
    return Finding(2, "every edit reaches the forecast", float(len(silent)), EXACT, note)


def no_hook_outlives(subject: Subject) -> Finding:
    """Law 3: after the block, also after an error in it, no hook is left."""
    anatomy = subject.model.anatomy
    before = _hooks(subject.model)
    try:
        with edited(anatomy, [Edit(at) for at in anatomy.parts]), recorded(anatomy, anatomy.heads):
            raise _Interrupted
    except _Interrupted:
        after = _hooks(subject.model)
    return Finding(3, "no hook outlives its block", float(abs(after - before)), EXACT)


class _Interrupted(Exception):
    """An error inside the block."""


def _hooks(model: Model) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in model.net.modules()
    )


def all_heads_are_the_attention(subject: Subject) -> Finding:
    """Law 4: ablating all heads of an attention equals ablating it, an output bias aside."""
    anatomy = subject.model.anatomy
    worst = 0.0
    for at in attentions(subject.model):
        component, heads = anatomy[at], heads_of(subject.model, at)
        assert component.mix is not None  # it has heads
        with torch.no_grad():
            rest = component.rest(component.mix.weight.new_zeros(1, 1, component.mix.in_features))
        zeroed = subject.output(*map(Edit, heads))
        worst = max(worst, relative(zeroed, subject.output(Edit(at, rest))))
    return Finding(4, "all heads are the attention", worst, ROUNDING)


def all_parts_are_the_layer(subject: Subject) -> Finding:
    """Law 5: with all parts of a layer ablated, the stream leaves it as it entered."""
    worst = 0.0
    for name, parts in subject.model.anatomy.layers.items():
        stack, layer = name.rsplit(".", 1)
        streams = subject.record(*map(Edit, parts), streams=[stack], horizon=1).streams
        pairs = zip(streams[stack, int(layer)], streams[stack, int(layer) + 1], strict=True)
        worst = max(worst, *(relative(after, before) for before, after in pairs))
    return Finding(5, "all parts are the layer", worst, ROUNDING)
