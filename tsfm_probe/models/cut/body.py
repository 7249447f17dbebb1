"""How the network of a family is made smaller, in place."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component, Projection


class Silent(nn.Module):
    """Stands where a part was taken out; writes nothing."""

    def forward(self, stream: Tensor, *_: Any, **__: Any) -> Any:
        """Zeros, of the form that the part's output had."""
        return torch.zeros_like(stream)


@dataclass(frozen=True, eq=False)
class Hidden:
    """The maps around the hidden layer of an MLP.

    into: those that lead into it. out: the one that leads out of it. blocks: how many times its
    neurons stand in the rows of a map into it, one block below the other (gate and value).
    """

    into: tuple[nn.Linear, ...]
    out: nn.Linear
    blocks: int = 1

    @property
    def width(self) -> int:
        """How many neurons it has."""
        return self.out.in_features

    def rows(self, neurons: Sequence[int]) -> Tensor:
        """The rows of a map into it that belong to some neurons."""
        one = torch.tensor(neurons, dtype=torch.long)
        return torch.cat([one + block * self.width for block in range(self.blocks)])


class Body(ABC):
    """What a family tells of its network so that parts can be taken out.

    anatomy: gives the anatomy of a network; it is asked again after each change.
    """

    def __init__(self, anatomy: Callable[[Any], Anatomy]) -> None:
        self.anatomy = anatomy

    @abstractmethod
    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        """Tell an attention whose matrices were narrowed which of its heads are left.

        groups: how many sets of keys and values they have.
        """

    @abstractmethod
    def silence(self, net: Any, at: Address) -> None:
        """Put something without weights that writes nothing in place of an attention or MLP."""

    @abstractmethod
    def hidden(self, net: Any, at: Address) -> Hidden:
        """The hidden layer of an MLP."""

    def layers(self, net: Any, stack: str) -> Any:
        """The layers of a stack, if a network with fewer of them is one of the family; else None.

        Of another, all parts of a layer are silenced.
        """
        return None

    def recount(self, net: Any, stack: str) -> None:  # noqa: B027
        """Set right what depends on how many layers a stack has, after some were taken out."""

    def keep_heads(self, net: Any, at: Address, left: Sequence[int]) -> None:
        """Take all heads but these out of an attention."""
        groups = _narrow(self.anatomy(net)[at], left)
        self.count(net, at, left, groups)

    def keep_neurons(self, net: Any, at: Address, left: Sequence[int]) -> None:
        """Take all neurons but these out of the hidden layer of an MLP."""
        hidden = self.hidden(net, at)
        rows = hidden.rows(left)
        for linear in hidden.into:
            _keep_rows(linear, rows)
        _keep_columns(hidden.out, torch.tensor(left, dtype=torch.long))

    def keep_layers(self, net: Any, stack: str, left: Sequence[int]) -> None:
        """Take all layers but these out of a stack, at least one of which is left."""
        found = self.layers(net, stack)
        assert found is not None  # asked of families that have told their layers
        for layer in sorted(set(range(len(found))) - set(left), reverse=True):
            del found[layer]
        self.recount(net, stack)


def _narrow(component: Component, left: Sequence[int]) -> int:
    """Take the rows and columns of all other heads out; how many sets of keys there are then."""
    assert component.mix is not None  # it has heads
    columns = torch.cat(
        [torch.arange(component.mix.in_features)[component.columns(h)] for h in left]
    )
    fused: dict[int, list[tuple[Projection, list[int]]]] = {}
    for name, projection in component.projections.items():
        sets = _sets(component, name, left)
        fused.setdefault(id(projection.linear), []).append((projection, sets))
    for parts in fused.values():
        ordered = sorted(parts, key=lambda part: part[0].span.start or 0)
        rows = torch.cat([_rows(projection, sets) for projection, sets in ordered])
        _keep_rows(ordered[0][0].linear, rows)
    _keep_columns(component.mix, columns)
    return len(_sets(component, "k", left))


def _keep_rows(linear: nn.Linear, rows: Tensor) -> None:
    linear.weight = _part(linear.weight, rows, 0)
    if linear.bias is not None:
        linear.bias = _part(linear.bias, rows, 0)
    linear.out_features = len(rows)


def _keep_columns(linear: nn.Linear, columns: Tensor) -> None:
    linear.weight = _part(linear.weight, columns, 1)
    linear.in_features = len(columns)


def _sets(component: Component, name: str, left: Sequence[int]) -> list[int]:
    """Which sets of rows the heads that are left use, in order.

    Heads go on sharing a set only where each set has as many of them: otherwise each gets its own.
    """
    used = [component.group(name, head) for head in left]
    shared = [used.count(one) for one in dict.fromkeys(used)]
    return list(dict.fromkeys(used)) if len(set(shared)) == 1 else used


def _rows(projection: Projection, sets: Sequence[int]) -> Tensor:
    """The rows of the map that these sets of a projection have."""
    rows = torch.arange(projection.linear.out_features)[projection.span]
    each = rearrange(rows, f"({projection.order}) -> head row", head=projection.groups)
    return rearrange(each[list(sets)], f"head row -> ({projection.order})")


def _part(weight: Tensor, places: Tensor, axis: int) -> nn.Parameter:
    kept = weight.detach().index_select(axis, places.to(weight.device))
    return nn.Parameter(kept.clone(), requires_grad=weight.requires_grad)
