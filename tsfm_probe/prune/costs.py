"""What an original and a smaller network cost: weights, arithmetic, time and memory."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from tsfm_probe.data.synthetic import walk
from tsfm_probe.models.base import Model
from tsfm_probe.prune.latency import LEAST, Latency, Progress, latency
from tsfm_probe.prune.memory import peak_bytes

COLUMNS = ["quantity", "batch", "original", "pruned", "ratio", "low", "high", "unit"]


@dataclass(frozen=True)
class Cost:
    """What one network costs, apart from time.

    parameters: weights, shared ones counted once. block_parameters: those of them in layers.
    bytes: of the weights in a file, in the dtype that they have. multiply_adds: of the forecast of
    one series, in weight matrices.
    """

    parameters: int
    block_parameters: int
    bytes: int
    multiply_adds: float

    @classmethod
    def of(
        cls,
        model: Model,
        context: int,
        horizon: int,
        samples: int = 0,
        dtype: torch.dtype | None = None,
    ) -> "Cost":
        """The cost of a forecast of `horizon` steps after `context` values.

        dtype: that of numbers in the file, None for the one that they have.
        """
        inside = {id(one): one for block in blocks(model) for one in block.parameters()}
        return cls(
            model.parameters,
            sum(one.numel() for one in inside.values()),
            weight_bytes(model, dtype),
            model.multiply_adds(context, horizon, samples),
        )


@dataclass(frozen=True)
class Row:
    """One row of what `costs` gives."""

    quantity: str
    batch: int
    original: float
    pruned: float
    unit: str
    low: float = np.nan
    high: float = np.nan

    @property
    def ratio(self) -> float:
        """What is left."""
        return self.pruned / self.original


def blocks(model: Model) -> list[nn.Module]:
    """The layers of a network, each with everything in it.

    That is the member of the outermost list of modules that holds the start of the layer.
    """
    names = {id(module): name for name, module in model.net.named_modules()}
    starts = [names[id(one)] for stack in model.anatomy.stacks.values() for one in stack.starts]
    return [_listed(model.net, name) for name in starts]


def _listed(net: nn.Module, name: str) -> nn.Module:
    words = name.split(".")
    for place in range(1, len(words)):
        if isinstance(net.get_submodule(".".join(words[:place])), nn.ModuleList):
            return net.get_submodule(".".join(words[: place + 1]))
    raise ValueError(f"{name} is in no list of modules")


def weight_bytes(model: Model, dtype: torch.dtype | None = None) -> int:
    """Bytes of the tensors that are saved, those that share their memory counted once.

    dtype: that of numbers in the file, None for the one that they have.
    """
    saved = {one.data_ptr(): one for one in model.net.state_dict().values() if one.numel()}
    return sum(
        one.numel() * (dtype if dtype and one.is_floating_point() else one.dtype).itemsize
        for one in saved.values()
    )


def costs(
    original: Model,
    smaller: Model,
    context: int,
    horizon: int,
    samples: int = 0,
    batches: Sequence[int] = (1, 32),
    repeats: int = LEAST,
    seed: int = 0,
    progress: Progress | None = None,
    dtype: torch.dtype | None = None,
) -> pd.DataFrame:
    """What both cost, one quantity a row, of forecasts of `horizon` steps after `context` values.

    Columns: quantity, batch (series of a forecast; 0 where that does not matter), original, pruned,
    ratio (pruned over original), low and high (95 % interval of the ratio, NaN where nothing was
    measured), unit. The latency has its lower and upper quartile in rows of their own. Peak memory
    is that of the forecast alone, beside the weights. `attrs["threads"]` of the frame says with how
    many threads torch computed. dtype: that of weights in the file, None for the one they have.
    """
    models = (original, smaller)
    first, second = (Cost.of(one, context, horizon, samples, dtype) for one in models)
    rows = list(_sizes(first, second))
    rng = np.random.default_rng(seed)
    longest = min(context, original.context_length)
    for batch in batches:
        contexts = [walk(rng, longest) for _ in range(batch)]
        found = latency(models, contexts, horizon, samples, repeats, seed, progress)
        rows += _times(found, seed)
        most = [peak_bytes(one, contexts, horizon, samples) for one in models]
        rows.append(Row("peak memory", batch, most[0], most[1], "byte"))
    frame = pd.DataFrame([asdict(row) | {"ratio": row.ratio} for row in rows])
    frame = frame.reindex(columns=COLUMNS)
    frame.attrs["threads"] = torch.get_num_threads()
    return frame


def _sizes(original: Cost, pruned: Cost) -> Iterator[Row]:
    for name, quantity, unit in (
        ("parameters", "parameters", "weight"),
        ("block_parameters", "parameters in layers", "weight"),
        ("bytes", "weights in the file", "byte"),
        ("multiply_adds", "multiply-adds of a forecast", "multiply-add"),
    ):
        yield Row(quantity, 0, getattr(original, name), getattr(pruned, name), unit)


def _times(found: Latency, seed: int) -> Iterator[Row]:
    for quantity, level in (("latency", 0.5), ("latency, 25 %", 0.25), ("latency, 75 %", 0.75)):
        times = [float(np.quantile(one, level)) for one in (found.original, found.pruned)]
        low, high = found.interval(seed) if level == 0.5 else (np.nan, np.nan)
        yield Row(quantity, found.batch, times[0], times[1], "s", low, high)
