"""Tensors of a stack as rows of tokens, whatever way the network lays them out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from einops import parse_shape, rearrange
from torch import Tensor, nn

from tsfm_probe.anatomy import Stack


class Layout:
    """Brings tensors of one stack to [row, time, d] and back.

    Where a network merges axes, as in "(batch time) variate d", their lengths are those of the
    stream that entered the stack last.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._lengths: dict[str, int] = {}

    @contextmanager
    def measured(self) -> Iterator["Layout"]:
        """Watch the stream that enters the stack, where its lengths are needed."""
        if "variate" not in self.stack.axes:
            yield self
            return
        hook = self.stack.starts[0].register_forward_pre_hook(self._measure)
        try:
            yield self
        finally:
            hook.remove()

    def _measure(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        lengths = parse_shape(inputs[0], self.stack.axes)
        self._lengths = {axis: lengths[axis] for axis in ("batch", "variate")}

    def rows(self, value: Tensor, axes: str) -> Tensor:
        """A tensor with these axes as [row, time, d]."""
        return rearrange(value, f"{axes} -> {self.stack.rows}", **self._lengths)

    def native(self, rows: Tensor, axes: str) -> Tensor:
        """A tensor [row, time, d] with these axes again."""
        return rearrange(rows, f"{self.stack.rows} -> {axes}", **self._lengths)
