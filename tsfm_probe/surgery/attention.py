"""The attention of every head, read off a network without knowing how it attends.

What enters the output projection of a head is A V: its attention A [query, key] times the values V
[key, head_dim] that its value projection made. With unit vectors in place of the values it is
columns of A, as many as a head has dimensions, whatever masks, biases, rotations, shared keys and
caches went into A. What the values themselves gave is put back behind it, so that everything that
follows runs as if nothing had been done.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component
from tsfm_probe.errors import UsageError

Run = Callable[[], object]
AXIS = re.compile(r"\(.*?\)|\w+")  # one axis of a tensor, merged of several or not
SLACK = 0.05  # of a sum of shares in half precision


def attention(
    anatomy: Anatomy, addresses: Sequence[Address], run: Run
) -> dict[Address, list[Tensor]]:
    """How much each query of the given heads attends to each key: [row, query, key].

    There is one tensor for each time that the attention ran, in order. Queries and keys stand along
    `Component.along`, and a row is one place along all its other axes: a series where keys are
    tokens. With a cache the keys are all tokens so far.

    addresses: heads, or attentions for all their heads. run: runs the network, always in the same
    way; it is called once, and then about once for every head_dim keys, without gradients.
    Raises UsageError if an address does not exist or has no heads, if it does not run or its values
    are not made in `run`, and if `run` does not repeat itself.
    """
    heads: dict[Address, list[Address]] = {}
    for head in dict.fromkeys(one for at in addresses for one in _heads(anatomy, at)):
        heads.setdefault(head.whole, []).append(head)
    with torch.no_grad():
        tapes = _taped(anatomy, heads, run)
        starts = _starts(tapes, run)
        spans = {at: tape.spans(starts[at]) for at, tape in tapes.items()}
        # Labels begin again after as many keys as any query sees, so that none sees one twice.
        longest = {at: max(stop - start for start, stop in spans[at]) for at in spans}
        labels = {at: torch.arange(sum(tapes[at].made)) % longest[at] for at in tapes}
        shares = _shares(tapes, labels, run)
    maps: dict[Address, list[Tensor]] = {head: [] for own in heads.values() for head in own}
    for at, runs in shares.items():
        _refuse_changed_values(at, runs)
        for (start, stop), share in zip(spans[at], runs, strict=True):
            for head, one in zip(heads[at], share[..., labels[at][start:stop]], strict=True):
                maps[head].append(one)
    return maps


def _heads(anatomy: Anatomy, at: Address) -> list[Address]:
    if not anatomy[at].heads:
        raise UsageError(f"the attention of {at}", "an MLP has none", "an attention or its heads")
    return [head for head in anatomy.heads if at in (head, head.whole)]


def _refuse_changed_values(at: Address, shares: Sequence[Tensor]) -> None:
    most = max(float(one.float().sum(-1).max()) for one in shares)
    if most > 1 + SLACK:
        raise UsageError(
            f"the attention of {at}",
            f"a query attends to its keys {most:.3g} times",
            "an attention that changes no value before it mixes them",
        )


@dataclass(frozen=True, eq=False)
class _Tape:
    """What one attention did when nothing was changed.

    heads: those that are asked for. mixed: what entered `mix`, run by run. made: how many keys the
    value projection made, run by run of its own. before: how many of its runs there had been before
    each run of `mix`.
    """

    component: Component
    heads: list[int]
    mixed: list[Tensor] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)

    def spans(self, starts: Sequence[int]) -> list[tuple[int, int]]:
        """The first key that each run of `mix` sees and the one after the last, among all keys.

        starts: the first run of the value projection whose values it sees.
        """
        ends = [0, *accumulate(self.made)]
        return [(ends[one], ends[two]) for one, two in zip(starts, self.before, strict=True)]

    def keep_values(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        """The hook behind the value projection."""
        self.made.append(output.shape[_axis(self.component)])

    def keep_mixed(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """The hook in front of `mix`."""
        self.mixed.append(inputs[0].clone())
        self.before.append(len(self.made))


def _taped(
    anatomy: Anatomy, heads: Mapping[Address, Sequence[Address]], run: Run
) -> dict[Address, _Tape]:
    tapes = {at: _Tape(anatomy[at], [one.head or 0 for one in own]) for at, own in heads.items()}
    with ExitStack() as hooks:
        for tape in tapes.values():
            hooks.enter_context(_hooked(tape.component, tape.keep_values, tape.keep_mixed))
        run()
    for at, tape in tapes.items():
        if not tape.before or not min(tape.before):
            found = "its values were made before the run" if tape.before else "it did not run"
            raise UsageError(f"the attention of {at}", found, "a run that begins with the contexts")
    return tapes


def _starts(tapes: Mapping[Address, _Tape], run: Run) -> dict[Address, list[int]]:
    """The first run of the value projection that each run of `mix` sees values of, with any head.

    A later run that sees values of an earlier one shows that they were still there in between.
    """
    several = {
        at: replace(tape, heads=list(range(tape.component.heads)))
        for at, tape in tapes.items()
        if len(tape.made) > 1
    }
    labels = {
        at: torch.arange(len(tape.made)).repeat_interleave(torch.tensor(tape.made))
        for at, tape in several.items()
    }
    starts = {at: [0] * len(tape.before) for at, tape in tapes.items()}
    for at, shares in _shares(several, labels, run).items():
        first = []
        for share, before in zip(shares, tapes[at].before, strict=True):
            seen = share.flatten(0, -2).gt(0).any(0).nonzero()
            first.append(int(seen[0]) if len(seen) else before - 1)
        starts[at] = list(accumulate(reversed(first), min))[::-1]
    return starts


def _shares(
    tapes: Mapping[Address, _Tape], labels: Mapping[Address, Tensor], run: Run
) -> dict[Address, list[Tensor]]:
    """The attention that each query pays to all keys of each label: [head, row, query, label].

    labels: [key], of all keys that the value projection makes. One tensor for each run of `mix`.
    """
    counts = {at: int(one.max()) + 1 for at, one in labels.items()}
    found: dict[Address, list[list[Tensor]]] = {at: [] for at in tapes}
    width = {at: tape.component.head_dim for at, tape in tapes.items()}
    for window in range(max((-(-counts[at] // width[at]) for at in tapes), default=0)):
        with ExitStack() as hooks:
            lenses: dict[Address, _Lens] = {}
            for at, tape in tapes.items():
                if window * width[at] < counts[at]:
                    lens = lenses[at] = _Lens(tape, labels[at] - window * width[at])
                    hooks.enter_context(_hooked(tape.component, lens.give, lens.take))
            run()
        for at, lens in lenses.items():
            lens.finish()
            found[at].append(lens.taken)
    return {
        at: [torch.cat(parts, dim=-1)[..., : counts[at]] for parts in zip(*found[at], strict=True)]
        for at in tapes
    }


@contextmanager
def _hooked(component: Component, on_values: Any, on_mix: Any) -> Iterator[None]:
    """Hooks behind the value projection and in front of `mix` while the block is open.

    That of `mix` comes before all others there: they see what would be there without it.
    """
    assert component.mix is not None  # it has heads
    values = component.projections["v"].linear
    with ExitStack() as hooks:
        hooks.callback(values.register_forward_hook(on_values).remove)
        hooks.callback(component.mix.register_forward_pre_hook(on_mix, prepend=True).remove)
        yield


class _Lens:
    """The hooks of one attention that give unit vectors for values and take what becomes of them.

    labels: [key], which dimension's unit vector each key gets; zero where there is no such one.
    """

    def __init__(self, tape: _Tape, labels: Tensor) -> None:
        self.tape = tape
        self.labels = labels.split(tape.made)
        self.given = 0
        self.taken: list[Tensor] = []

    def give(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        """The hook behind the value projection."""
        component, keys = self.tape.component, output.shape[_axis(self.tape.component)]
        if [keys] != self.tape.made[self.given : self.given + 1]:
            raise self._changed()
        labels = self.labels[self.given]
        self.given += 1
        unit = labels[:, None] == torch.arange(component.head_dim)
        values, fresh = component.projections["v"], output.clone()
        rows = repeat(unit, f"key row -> key ({values.order})", head=values.groups)
        fresh.movedim(_axis(component), -2)[..., values.span] = rows.to(fresh)
        return fresh

    def take(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The hook in front of `mix`, which passes on what the tape holds."""
        component, place = self.tape.component, len(self.taken)
        if place >= len(self.tape.mixed) or self.tape.mixed[place].shape != inputs[0].shape:
            raise self._changed()
        columns = inputs[0].movedim(_axis(component), -2).flatten(0, -3)
        pattern = "row query (head label) -> head row query label"
        apart = rearrange(columns, pattern, head=component.heads)
        self.taken.append(apart[self.tape.heads])  # a copy
        return (self.tape.mixed[place], *inputs[1:])

    def finish(self) -> None:
        """Refuse a run that ended before the first one did."""
        if len(self.taken) != len(self.tape.mixed):
            raise self._changed()

    def _changed(self) -> UsageError:
        return UsageError(
            f"the attention of {self.tape.component.at}",
            "it did not run as it did the first time",
            "a run that always does the same",
        )


def _axis(component: Component) -> int:
    """Where the axis of the keys is, from the end: the same in `mix` as behind the projection."""
    axes = AXIS.findall(component.axes)
    return axes.index(component.along) - len(axes)
