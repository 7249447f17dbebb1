"""Watching what parts of a network write, for as long as a `with` block is open."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy, Component
from tsfm_probe.errors import UsageError
from tsfm_probe.surgery.layout import Layout


@dataclass(frozen=True, eq=False)
class Record:
    """What was recorded, one tensor for each time that a module ran, in order.

    A row is a member of the batch, or one of its series where several are read together.

    parts: by address, [row, time, d] of a part's write or [row, time, head_dim] of a head's
    slice of the input of the output projection.
    streams: by (stack, layer), the stream [row, time, d] that enters the layer; the number of
    layers stands for the stream that leaves the last one.
    mixed: by address of an attention, what enters its output projection: [row, time, column].
    output: the prediction before it is scaled back, [row, time, ...].
    """

    parts: dict[Address, list[Tensor]] = field(default_factory=dict)
    streams: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict)
    mixed: dict[Address, list[Tensor]] = field(default_factory=dict)
    output: list[Tensor] = field(default_factory=list)

    def forget(self) -> None:
        """Keep what each module did last alone, so that a long run needs no more memory."""
        for kept in (*self.parts.values(), *self.streams.values(), *self.mixed.values()):
            del kept[:-1]
        del self.output[:-1]


@contextmanager
def recorded(
    anatomy: Anatomy,
    addresses: Sequence[Address] = (),
    streams: Sequence[str] = (),
    output: bool = False,
    mixed: Sequence[Address] = (),
    onto: Record | None = None,
) -> Iterator[Record]:
    """Record the given parts and heads, residual streams and the prediction of each forward pass.

    mixed: attentions all of whose heads are recorded as one tensor, before the output projection.
    onto: a record that is gone on with.

    Only what is asked for is kept; tensors are copies, detached unless gradients are on.
    Raises UsageError if an address or a stack does not exist.
    """
    record = onto or Record()
    with ExitStack() as hooks:
        layouts = {
            name: hooks.enter_context(Layout(stack).measured())
            for name, stack in anatomy.stacks.items()
        }
        for at in addresses:
            keep = record.parts.setdefault(at, [])
            hooks.callback(_watch_part(anatomy[at], at, keep, layouts[at.stack]).remove)
        for at in mixed:
            keep = record.mixed.setdefault(at, [])
            hook = _input_to(keep, layouts[at.stack], anatomy[at].axes)
            hooks.callback(_mix(anatomy, at).register_forward_pre_hook(hook).remove)
        for name in streams:
            for handle in _watch_stream(anatomy, name, record, layouts):
                hooks.callback(handle.remove)
        if output:
            stack = anatomy.reads
            hook = _output_to(record.output, layouts[stack.name], stack.axes)
            hooks.callback(anatomy.output.register_forward_hook(hook).remove)
        yield record


def _watch_stream(
    anatomy: Anatomy, name: str, record: Record, layouts: Mapping[str, Layout]
) -> Iterator[Any]:
    if name not in anatomy.stacks:
        raise UsageError(f"no stack {name!r}", allowed=", ".join(anatomy.stacks))
    stack = anatomy.stacks[name]
    for layer, module in enumerate((*stack.starts, stack.end)):
        keep = record.streams.setdefault((name, layer), [])
        yield module.register_forward_pre_hook(_input_to(keep, layouts[name], stack.axes))


def _mix(anatomy: Anatomy, at: Address) -> nn.Module:
    mix = anatomy[at].mix
    if mix is None:
        raise UsageError(f"the heads of {at} were to be recorded", "an MLP has no heads")
    return mix


def _watch_part(component: Component, at: Address, keep: list[Tensor], layout: Layout) -> Any:
    axes = component.axes
    if at.head is None:
        hook = _output_to(keep, layout, component.write_axes or axes)
        return component.write.register_forward_hook(hook)
    assert component.mix is not None  # an address with a head was found in the anatomy
    columns = component.columns(at.head)
    return component.mix.register_forward_pre_hook(_input_to(keep, layout, axes, columns))


def _input_to(
    keep: list[Tensor], layout: Layout, axes: str, columns: slice = slice(None)
) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        keep.append(layout.rows(inputs[0], axes)[..., columns].clone())

    return hook


def _output_to(
    keep: list[Tensor], layout: Layout, axes: str
) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        keep.append(layout.rows(output, axes).clone())

    return hook
