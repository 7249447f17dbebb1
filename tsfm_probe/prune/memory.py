"""How much memory a forecast needs beside the weights."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tsfm_probe.models.base import Model


class LiveBytes(TorchDispatchMode):
    """Follows the tensors that are made while it is entered, each memory once.

    now: bytes of those that are alive. peak: the most that were alive at one time. What was there
    before (weights, inputs) does not count, nor what an operation needs and frees on its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: dict[int, weakref.finalize[..., Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for one in tree_leaves((args, kwargs)):
            self._see(one, made=False)
        result = func(*args, **kwargs)
        for one in tree_leaves(result):
            self._see(one, made=True)
        return result

    def _see(self, one: Any, made: bool) -> None:
        if not isinstance(one, Tensor):
            return
        storage = one.untyped_storage()
        # A finalizer goes with its storage, so that the number can be taken by the next one.
        key = id(storage)
        known = self._known.get(key)
        if known is not None and known.alive:
            return
        size = storage.nbytes() if made else 0
        self._known[key] = weakref.finalize(storage, self._freed, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _freed(self, size: int) -> None:
        self.now -= size


def peak_bytes(model: Model, contexts: Sequence[np.ndarray], horizon: int, samples: int = 0) -> int:
    """The most bytes that tensors need at one time in a forecast, beside what is there before it.

    On CUDA that is what its allocator gave out; elsewhere the live bytes of tensors (see
    LiveBytes).
    """
    device = model.device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        model.forecast(contexts, horizon, samples=samples)
        return torch.cuda.max_memory_allocated(device) - before
    with LiveBytes() as live:
        model.forecast(contexts, horizon, samples=samples)
    return live.peak
