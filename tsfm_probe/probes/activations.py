"""What a network holds while it forecasts: streams, heads, attention, and what each token is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.models.base import Model
from tsfm_probe.models.spans import FED
from tsfm_probe.surgery.attention import attention
from tsfm_probe.surgery.record import Record, recorded

WHAT = ("stream", "heads", "attention")
TOKENS = ("stack", "token", "kind", "start", "end")
END = "end"


@dataclass(frozen=True)
class Wanted:
    """Which activations are taken.

    what: of WHAT. only: a pattern of addresses (see address.matching), "" for all; it chooses heads
    and, for streams, the layers of what it matches. horizon: steps that are forecast; of a forecast
    in several passes, the first is taken. Raises UsageError for what is not allowed.
    """

    what: tuple[str, ...]
    only: str = ""
    horizon: int = 24

    def __post_init__(self) -> None:
        if not self.what:
            raise UsageError("no activations were asked for", allowed=", ".join(WHAT))
        for one in self.what:
            if one not in WHAT:
                raise UsageError(f"{one!r} was asked for", allowed=nearest(one, WHAT))

    def heads(self, anatomy: Anatomy) -> tuple[Address, ...]:
        """The heads that are taken; UsageError if the pattern matches nothing."""
        asked = anatomy.select(self.only) if self.only else anatomy.heads
        return tuple(at for at in asked if at.head is not None)

    def streams(self, anatomy: Anatomy) -> dict[str, list[int]]:
        """For each stack the streams that are taken, by the number of the layer they enter.

        The number of layers stands for the stream that leaves the last one, which is taken with it.
        """
        asked = anatomy.select(self.only) if self.only else anatomy.parts
        found: dict[str, list[int]] = {}
        for stack, layer in sorted({(at.stack, at.layer) for at in asked}):
            last = len(anatomy.stacks[stack].starts) - 1
            found.setdefault(stack, []).extend([layer, layer + 1] if layer == last else [layer])
        return found


def activations(model: Model, contexts: Sequence[np.ndarray], wanted: Wanted) -> dict[str, Tensor]:
    """The activations of the first pass of a forecast, in fp32 on the CPU.

    contexts: of one length; a row of every tensor is one of them.
    "stream/decoder.3": the stream that enters the layer, [row, token, d]; "stream/decoder.end" that
    which leaves the last one. "heads/decoder.3.cross.5": what the head mixed, in front of the
    output projection, [row, token, head_dim]. "attention/decoder.3.cross.5": [row, query, key].
    Where a decoder runs token by token, the tokens of all its runs. Heads that attend to other
    series have no map: every series is read alone.
    """
    anatomy = model.anatomy
    heads = wanted.heads(anatomy) if "heads" in wanted.what else ()
    streams = wanted.streams(anatomy) if "stream" in wanted.what else {}

    def run() -> None:
        first_pass(model, contexts, wanted.horizon)

    found: dict[str, Tensor] = {}
    if heads or streams:
        with recorded(anatomy, heads, tuple(streams)) as record:
            run()
        lengths = tokens(model, len(contexts[0]), wanted.horizon).groupby("stack").size()
        found |= _named(record, streams, anatomy, lengths.to_dict())
    if "attention" in wanted.what:
        over_time = [at for at in wanted.heads(anatomy) if anatomy[at].along == "time"]
        maps = attention(anatomy, over_time, run)
        found |= {f"attention/{at}": _joined(runs) for at, runs in maps.items()}
    return {name: one.detach().float().cpu().contiguous() for name, one in found.items()}


def first_pass(model: Model, contexts: Sequence[np.ndarray], horizon: int) -> None:
    """Run the first pass of a traced forecast: that of which Model.spans tells."""
    spans = model.spans(model.anatomy.reads.name, len(contexts[0]), horizon)
    runs = 1 + sum(span.kind == FED for span in spans)
    for _ in islice(model.trace(contexts, horizon), runs):
        pass


def _named(
    record: Record, streams: Mapping[str, Sequence[int]], anatomy: Anatomy, lengths: dict[str, int]
) -> dict[str, Tensor]:
    """What was recorded, by name, the tokens of all runs joined.

    lengths: tokens of each stack. A family may read the end of its stack twice.
    """
    found = {
        f"stream/{stack}.{END if layer == len(anatomy.stacks[stack].starts) else layer}": runs
        for stack, layers in streams.items()
        for layer, runs in ((one, record.streams[stack, one]) for one in layers)
    }
    found |= {f"heads/{at}": runs for at, runs in record.parts.items()}
    return {
        name: torch.cat(runs, dim=1)[:, : lengths[name.split("/")[1].split(".")[0]]]
        for name, runs in found.items()
    }


def _joined(runs: Sequence[Tensor]) -> Tensor:
    """The maps [row, query, key] of runs that see more and more keys as one, 0 where none is."""
    keys = max(one.shape[-1] for one in runs)
    return torch.cat([functional.pad(one, (0, keys - one.shape[-1])) for one in runs], dim=1)


def tokens(model: Model, length: int, horizon: int) -> pd.DataFrame:
    """What every token stands for, for contexts of `length` values: columns TOKENS."""
    rows = [
        (stack, place, span.kind, span.start, span.end)
        for stack in model.anatomy.stacks
        for place, span in enumerate(model.spans(stack, length, horizon))
    ]
    return pd.DataFrame(rows, columns=pd.Index(TOKENS))
