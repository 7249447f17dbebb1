"""Where the parts of a network are: what every probe, edit and score looks things up in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from tsfm_probe.address import Address, matching, prefixes
from tsfm_probe.errors import UsageError, nearest


@dataclass(frozen=True, eq=False)
class Projection:
    """Where every head's rows of one projection to query, key or value are.

    linear: the map whose output holds them, alone or together with other projections.
    groups: sets of rows: as many as heads, or fewer where heads share keys and values
    (grouped-query attention; Ainslie et al. 2023).
    span: the rows of the map that belong to this projection.
    order: how those rows are ordered: "head row", or "row head" where the head runs fastest.
    scale: what the map multiplies its weight and bias with (unit scaling; Blake et al. 2023).
    gain: the gain [d_model] of the norm in front of the map; None where it has no weights.
    factor: what each dimension of the query or key of every head is multiplied with behind the map,
    [head_dim]: the gain of its norm, a scale. None: nothing that differs between dimensions.
    """

    linear: nn.Linear
    groups: int
    span: slice = field(default_factory=lambda: slice(None))
    order: str = "head row"
    scale: float = 1.0
    gain: Tensor | None = None
    factor: Tensor | None = None

    def rows(self, group: int) -> Tensor:
        """The raw weights of one set of rows: a view [head_dim, d_model]."""
        rows = self.linear.weight[self.span]
        return rearrange(rows, f"({self.order}) d -> head row d", head=self.groups)[group]

    def bias(self, group: int) -> Tensor | None:
        """Their bias, a view [head_dim], if the map has one."""
        if self.linear.bias is None:
            return None
        rows = self.linear.bias[self.span]
        return rearrange(rows, f"({self.order}) -> head row", head=self.groups)[group]


@dataclass(frozen=True, eq=False)
class Component:
    """One attention or MLP of a layer, with the two places where it can be edited.

    at: its address, without a head.
    write: the module whose output is added to the residual stream.
    mix: the linear map whose input is the concatenation of the heads, head-major; None for an MLP.
    heads: how many heads there are, 0 for an MLP.
    projections: the projections to query, key and value by the names "q", "k" and "v".
    axes: the axes of the input of `mix` (of the write for an MLP), as the network lays them out;
    several may be merged, "(batch time) variate d".
    write_axes: the axes of the write; "" where they are the same.
    along: the one of `axes` that an attention attends along, so that its keys stand on it.
    scale: what `mix` multiplies its weight and its bias with.
    gain: what stands between `mix` and `write`: takes the output of `mix` and gives the factor by
    which it is multiplied to become the write, such as that of a norm; None where nothing does.
    keys_from: the stack whose end keys and values are read from, where that is another one.
    rotary: takes a lag in tokens and gives the R [head_dim, head_dim] with which q^T R k is the
    score of a query and the key that many tokens earlier, with q and k as the projections make
    them: R holds their factors. A score that depends on the places themselves is that of the key
    at place 0. None where places do not turn queries and keys.
    matrices: the matrices [out, in] of an MLP by the names in, out, gate, value.
    """

    at: Address
    write: nn.Module
    mix: nn.Linear | None = None
    heads: int = 0
    projections: Mapping[str, Projection] = field(default_factory=dict)
    axes: str = "batch time d"
    write_axes: str = ""
    along: str = "time"
    scale: float = 1.0
    gain: Callable[[Tensor], Tensor] | None = None
    keys_from: str = ""
    rotary: Callable[[float], Tensor] | None = None
    matrices: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mix is not None and self.mix.in_features % self.heads:
            raise ValueError(f"{self.at}: {self.mix.in_features} columns for {self.heads} heads")

    @property
    def head_dim(self) -> int:
        """Columns of one head in the input of `mix`."""
        return 0 if self.mix is None else self.mix.in_features // self.heads

    def columns(self, head: int) -> slice:
        """The columns of one head in the input of `mix`."""
        return slice(head * self.head_dim, (head + 1) * self.head_dim)

    def group(self, name: str, head: int) -> int:
        """Which set of rows of the projection "q", "k" or "v" a head uses."""
        return head * self.projections[name].groups // self.heads

    def rows(self, name: str, head: int) -> Tensor:
        """One head's raw rows of the projection "q", "k" or "v": a view [head_dim, d_model]."""
        return self.projections[name].rows(self.group(name, head))

    def shares(self, mixed: Tensor) -> Tensor:
        """What each head adds to the write: [head, row, time, d] from all of [row, time, column].

        What stands between `mix` and the write is frozen at the sum of all heads.
        """
        weight = rearrange(self._mix().weight, "d (head own) -> head own d", head=self.heads)
        apart = rearrange(mixed, "row time (head own) -> head row time own", head=self.heads)
        return self._gained(mixed, self.scale * torch.einsum("hrto,hod->hrtd", apart, weight))

    def rest(self, mixed: Tensor) -> Tensor:
        """What the write is beside the shares of the heads: that of a bias, [row, time, d]."""
        bias = self._mix().bias
        if bias is None:
            return mixed.new_zeros(*mixed.shape[:-1], self._mix().out_features)
        return self._gained(mixed, self.scale * bias.expand(*mixed.shape[:-1], -1))

    def _gained(self, mixed: Tensor, part: Tensor) -> Tensor:
        if self.gain is None:
            return part
        made = self.scale * functional.linear(mixed, self._mix().weight, self._mix().bias)
        return self.gain(made) * part

    def _mix(self) -> nn.Linear:
        if self.mix is None:
            raise UsageError(f"a head of {self.at} was asked for", "an MLP has no heads")
        return self.mix


@dataclass(frozen=True, eq=False)
class Stack:
    """One residual stream, from the embedding to the final norm.

    name: the `stack` of its addresses.
    starts: for each layer the module whose input is the stream that enters the layer.
    end: the module whose input is the stream that leaves the last layer: the final norm, or the
    output map where there is none.
    axes: the axes of the stream; "batch variate time d" where series are read together.
    frozen: for a stack whose end other stacks read: takes the final stream [row, time, d] and gives
    the map from a part of it to what they read, with the norm's scale frozen at that stream.
    """

    name: str
    starts: tuple[nn.Module, ...]
    end: nn.Module
    axes: str = "batch time d"
    frozen: Callable[[Tensor], Callable[[Tensor], Tensor]] | None = None

    @property
    def rows(self) -> str:
        """The axes of everything that is recorded: a row is a series where the stream tells."""
        return "(batch variate) time d" if "variate" in self.axes else "batch time d"


@dataclass(frozen=True, eq=False)
class HeadWeights:
    """One head's projections in fp32: q, k, v [head_dim, d_model], o [d_model, head_dim].

    They are what the network multiplies with: the scales of its maps are in them. Heads that share
    keys and values have equal k and v.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    o: Tensor


class Anatomy:
    """All components of one network by address, in the order in which they run.

    components: every attention and MLP.
    stacks: the residual streams; the last one is the one that the output reads.
    output: the module whose output is the prediction, before it is scaled back.
    """

    def __init__(
        self, components: Sequence[Component], stacks: Sequence[Stack], output: nn.Module
    ) -> None:
        self._components: Mapping[Address, Component] = {one.at: one for one in components}
        self.stacks: Mapping[str, Stack] = {stack.name: stack for stack in stacks}
        self.output = output

    def __getitem__(self, at: Address) -> Component:
        """The component that a part or head belongs to; UsageError if there is none."""
        found = self._components.get(at.whole)
        if found is None or (at.head is not None and at.head >= found.heads):
            raise UsageError(
                f"this network has no {at}",
                allowed=nearest(str(at), prefixes((*self.parts, *self.heads))),
            )
        return found

    @property
    def parts(self) -> tuple[Address, ...]:
        """Every attention and MLP."""
        return tuple(self._components)

    @property
    def attentions(self) -> tuple[Address, ...]:
        """Every attention."""
        return tuple(at for at, component in self._components.items() if component.heads)

    @property
    def heads(self) -> tuple[Address, ...]:
        """Every head of every attention."""
        return tuple(
            Address(at.stack, at.layer, at.part, head)
            for at, component in self._components.items()
            for head in range(component.heads)
        )

    @property
    def layers(self) -> Mapping[str, tuple[Address, ...]]:
        """The parts of every layer, by the layer's name (`decoder.3`)."""
        layers: dict[str, tuple[Address, ...]] = {}
        for at in self._components:
            layers[at.layer_name] = (*layers.get(at.layer_name, ()), at)
        return layers

    @property
    def reads(self) -> Stack:
        """The stack whose final stream becomes the prediction."""
        return list(self.stacks.values())[-1]

    def head_weights(self, at: Address) -> HeadWeights:
        """The projections of one head; UsageError if there is no such head."""
        component = self[at]
        if component.mix is None or at.head is None:
            raise UsageError(
                f"the head weights of {at}", "it is no head", "such as decoder.3.cross.5"
            )
        output = component.scale * component.mix.weight[:, component.columns(at.head)]
        inputs = (
            component.projections[name].scale * component.rows(name, at.head) for name in "qkv"
        )
        return HeadWeights(*(one.detach().to(torch.float32) for one in (*inputs, output)))

    def select(self, pattern: str) -> tuple[Address, ...]:
        """Parts and heads that a pattern matches (see address.matching)."""
        return matching(pattern, (*self.parts, *self.heads))
