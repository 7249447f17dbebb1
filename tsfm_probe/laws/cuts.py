"""Law 10: a network that parts were cut from forecasts as the ablated one does."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tsfm_probe.address import Address
from tsfm_probe.laws.subject import ROUNDING, Finding, Subject, attentions, heads_of, relative
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut, cut
from tsfm_probe.surgery.edit import Edit


def cut_equals_ablated(subject: Subject) -> Finding:
    """Law 10: heads, parts and layers cut from the matrices are as if they were ablated.

    Cut are the first head of every attention, the parts of the first layer one by one, that layer
    as a whole, and all of it together from a network whose last MLP was cut before; what is saved
    is read again.
    """
    model = subject.model
    if model.body is None:
        note = f"nothing tells how {model.family} is cut"
        return Finding(10, "cut equals ablated", 0.0, ROUNDING, note, tried=False)
    worst = max(deviation(subject, cut(model, asked), asked) for asked in _asked(model))
    return Finding(10, "cut equals ablated", max(worst, _twice(subject)), ROUNDING)


def deviation(subject: Subject, smaller: Model, addresses: tuple[Address, ...]) -> float:
    """How far a cut model's forecasts are from those of the ablated one, over their size."""
    asked = Cut.of(subject.model.anatomy, addresses).addresses(subject.model.anatomy)
    ablated = subject.forecast(*map(Edit, asked))
    groups = subject.groups if smaller.joint else None  # nothing is left that reads across series
    return relative(replace(subject, model=smaller, groups=groups).forecast(), ablated)


def _first_heads(model: Model) -> tuple[Address, ...]:
    return tuple(heads_of(model, at)[0] for at in attentions(model) if model.anatomy[at].heads > 1)


def _first_layers(model: Model) -> list[tuple[Address, ...]]:
    """The parts of the first layer of every stack that has more than one."""
    found = {}
    for parts in model.anatomy.layers.values():
        found.setdefault(parts[0].stack, []).append(parts)
    return [layers[0] for layers in found.values() if len(layers) > 1]


def _asked(model: Model) -> Iterator[tuple[Address, ...]]:
    layers = _first_layers(model)
    yield _first_heads(model)
    for parts in zip(*layers, strict=False):
        yield parts
    for parts in layers:
        yield parts


def _twice(subject: Subject) -> float:
    """Everything together in two cuts, saved and read in between and at the end."""
    model = subject.model
    last = [at for at in model.anatomy.parts if at.part == "mlp"][-1]
    heads = tuple(at for at in _first_heads(model) if at.layer)
    once = _saved(cut(model, (*heads, last)))
    then = tuple(at for parts in _first_layers(model) for at in parts)
    twice = _saved(cut(once, then))
    return deviation(subject, twice, (*heads, last, *then))


def _saved(model: Model) -> Model:
    with TemporaryDirectory() as folder:
        model.save(Path(folder))
        return load(folder, device=str(model.device), dtype="float32")
