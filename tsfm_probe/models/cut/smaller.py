"""Making a network smaller: of one that is there, and of one that is yet to be read."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.body import Body
from tsfm_probe.models.cut.kept import Kept


@dataclass(frozen=True)
class Cut:
    """What is taken out: whole layers of stacks, other whole parts, and single heads of others.

    layers: by stack, numbers of layers. parts: attentions and MLPs of other layers.
    heads: heads of other attentions, none of which loses all of them.
    """

    layers: tuple[tuple[str, int], ...]
    parts: tuple[Address, ...]
    heads: tuple[Address, ...]

    @classmethod
    def of(cls, anatomy: Anatomy, addresses: Iterable[Address]) -> "Cut":
        """All heads of an attention are the attention, all parts of a layer are the layer.

        Raises UsageError for an address that is not there, and if a stack would lose every layer.
        """
        asked = set(addresses)
        for at in asked:
            anatomy[at]
        whole = {at for at in asked if at.head is None}
        for at in anatomy.attentions:
            if {replace(at, head=head) for head in range(anatomy[at].heads)} <= asked:
                whole.add(at)
        gone = {name for name, parts in anatomy.layers.items() if set(parts) <= whole}
        for stack in anatomy.stacks:
            there = {name for name in anatomy.layers if name.split(".")[0] == stack}
            if there and there <= gone:
                raise UsageError(
                    f"every layer of the {stack} was to be cut", allowed="one of them must stay"
                )
        layers = [(stack, int(layer)) for stack, layer in (name.split(".") for name in gone)]
        parts = [at for at in whole if at.layer_name not in gone]
        heads = [at for at in asked if at.head is not None and at.whole not in whole]
        return cls(tuple(sorted(layers)), tuple(sorted(parts)), tuple(sorted(heads)))

    def addresses(self, anatomy: Anatomy) -> tuple[Address, ...]:
        """The parts and heads that are ablated where this is cut, each once."""
        parts = [at for stack, layer in self.layers for at in anatomy.layers[f"{stack}.{layer}"]]
        return (*parts, *self.parts, *self.heads)


def cut(model: Model, addresses: Iterable[Address]) -> Model:
    """A smaller model without these parts and heads, which forecasts as the ablated one does.

    The model itself is left as it was. What an output projection adds besides its heads (a bias)
    goes with the last of them. Raises UsageError as `Cut.of` does.
    """
    asked = Cut.of(model.anatomy, addresses)
    if (body := model.body) is None:
        raise UsageError(f"{model.name} was to be cut", f"nothing tells how for {model.family}")
    net, kept = copy.deepcopy(model.net), model.kept
    kept = replace(kept, family=model.family)
    parts = list(asked.parts)
    dropped: dict[str, list[int]] = {}
    for stack, layer in asked.layers:
        if body.layers(net, stack) is None:
            parts += model.anatomy.layers[f"{stack}.{layer}"]
        else:
            dropped.setdefault(stack, []).append(layer)
    for at in sorted({one.whole for one in asked.heads}):
        gone = {one.head for one in asked.heads if one.whole == at}
        left = [head for head in range(model.anatomy[at].heads) if head not in gone]
        body.keep_heads(net, at, left)
        kept = kept.without_heads(at, left)
    for at in parts:
        body.silence(net, at)
        kept = kept.without_part(at)
    for stack, layers in dropped.items():
        left = [layer for layer in range(_many(body, net, stack)) if layer not in layers]
        body.keep_layers(net, stack, left)
        kept = kept.without_layers(stack, left)
    made = copy.copy(model)
    made.net, made.anatomy, made.kept = net.eval(), body.anatomy(net), kept
    return made


def narrow(model: Model, neurons: Mapping[Address, Sequence[int]]) -> Model:
    """A smaller model whose MLPs have these of their neurons alone.

    It forecasts as the model does where the others write nothing. The model itself is left as it
    was. UsageError for what is no MLP of it.
    """
    if (body := model.body) is None:
        raise UsageError(f"{model.name} was to be cut", f"nothing tells how for {model.family}")
    net = copy.deepcopy(model.net)
    for at, left in neurons.items():
        if model.anatomy[at].heads:
            raise UsageError(f"neurons of {at}", "it is an attention", "an MLP")
        body.keep_neurons(net, at, left)
    widths = {at: len(left) for at, left in neurons.items()}
    made = copy.copy(model)
    made.net, made.anatomy = net.eval(), body.anatomy(net)
    made.kept = replace(model.kept, family=model.family).with_widths(widths)
    return made


def _many(body: Body, net: Any, stack: str) -> int:
    return len(body.layers(net, stack) or ())


def narrowed(net: Any, body: Body, kept: Kept) -> Any:
    """The same network, made as small as the one of which `kept` tells."""
    for at, left in sorted(kept.heads.items()):
        body.keep_heads(net, at, left)
    for at, width in sorted(kept.widths.items()):
        body.keep_neurons(net, at, range(width))
    for at in sorted(kept.gone):
        body.silence(net, at)
    return net


def builder(build: Callable[..., Any], body: Body | None, kept: Kept) -> Callable[..., Any]:
    """What makes a network that small: a function like `build`, itself if none is cut."""
    if not kept or body is None:
        return build
    return lambda *given: narrowed(build(*given), body, kept)


def narrow_class(network: Any, body: Body | None, kept: Kept) -> Any:
    """A class of upstream whose networks start that small; itself if none is cut."""
    if not kept or body is None:
        return network

    class Narrow(network):
        def __init__(self, config: Any, *more: Any) -> None:
            super().__init__(config, *more)
            narrowed(self, body, kept)

    Narrow.__name__ = Narrow.__qualname__ = network.__name__  # which upstream writes in config.json
    return Narrow
