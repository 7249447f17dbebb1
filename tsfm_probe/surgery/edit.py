"""Replacing what parts of a network write, for as long as a `with` block is open."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component
from tsfm_probe.errors import UsageError
from tsfm_probe.surgery.layout import Layout

Tape = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Edit:
    """What one part or head writes instead of its own value.

    at: a head (its slice of the input of the output projection is replaced) or a part
    (its write is replaced).
    by: None writes its own value times `scale`, by default zero; a tensor that broadcasts to
    [row, time, d] (d is head_dim for a head) is written each time the part runs; a tape holds one
    such tensor for each time that the part runs within the `with` block, in order.
    """

    at: Address
    by: Tensor | Tape | None = None
    scale: float = 0.0


@contextmanager
def edited(anatomy: Anatomy, edits: Sequence[Edit]) -> Iterator[None]:
    """Apply the edits to every forward pass in the block; none outlives it, whatever happens.

    Raises UsageError if an address does not exist or is edited twice (a head together with its
    own part counts).
    """
    _refuse_overlap(edits)
    with ExitStack() as hooks:
        ordered = sorted(edits, key=lambda edit: edit.at)
        for whole, group in groupby(ordered, key=lambda edit: edit.at.whole):
            component = anatomy[whole]
            layout = hooks.enter_context(Layout(anatomy.stacks[whole.stack]).measured())
            hook = _Replace(component, layout, tuple(group))
            for edit in hook.edits:
                anatomy[edit.at]  # an unknown head is refused before anything is hooked
            hooks.callback(hook.place().remove)
        yield


def _refuse_overlap(edits: Sequence[Edit]) -> None:
    seen: set[Address] = set()
    for at in (edit.at for edit in edits):
        if at in seen or (at.head is not None and at.whole in {one.at for one in edits}):
            raise UsageError(f"{at} is edited twice", allowed="one edit for a part or head")
        seen.add(at)


class _Replace:
    """The hook of one component: all edits of its heads, or the one of the whole part."""

    def __init__(self, component: Component, layout: Layout, edits: tuple[Edit, ...]) -> None:
        self.component = component
        self.layout = layout
        self.edits = edits
        self.runs = 0

    def place(self) -> Any:
        """Register the hook; its handle removes it."""
        if self.edits[0].at.head is None:
            return self.component.write.register_forward_hook(self._on_write)
        mix = self.component.mix
        if mix is None:
            raise UsageError(f"{self.edits[0].at} was to be edited", "an MLP has no heads")
        return mix.register_forward_pre_hook(self._on_mix)

    def _on_write(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return self._replaced(output, self.component.write_axes or self.component.axes)

    def _on_mix(self, module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (self._replaced(inputs[0], self.component.axes),)

    def _replaced(self, value: Tensor, axes: str) -> Tensor:
        fresh = self.layout.rows(value.clone(), axes)
        for edit in self.edits:
            head = edit.at.head
            columns = slice(None) if head is None else self.component.columns(head)
            fresh[..., columns] = self._new(edit, fresh[..., columns])
        self.runs += 1
        return self.layout.native(fresh, axes)

    def _new(self, edit: Edit, own: Tensor) -> Tensor | float:
        if edit.by is None:
            return edit.scale * own if edit.scale else 0.0
        if isinstance(edit.by, Tensor):
            return edit.by
        if self.runs >= len(edit.by):
            raise UsageError(
                f"{edit.at} ran {self.runs + 1} times",
                f"its tape holds {len(edit.by)} values",
                "a tape must be recorded with the same horizon",
            )
        return edit.by[self.runs]
