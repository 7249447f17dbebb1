"""What the passes over a job's windows say of each head, part and layer, summed up."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.probes.importance import Passage
from tsfm_probe.probes.similarity import Similarity

Guess = tuple[str, str, str, float]
"""An address (of a layer: its name), its level, the name of the predictor, the value."""


class Tally:
    """Means over windows and tokens of all guesses from data; see probes.predictors."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._sums: dict[tuple[str, str, str], float] = {}
        self._counts: dict[tuple[str, str, str], int] = {}
        self._alike = {
            name: Similarity(len(stack.starts)) for name, stack in anatomy.stacks.items()
        }

    def add(self, passage: Passage) -> None:
        """Add a batch whose passage holds all heads, parts and streams."""
        for name, changes in (
            ("gradient", passage.gates()),
            ("attribution patching", passage.patches()),
        ):
            for address, level, members in _units(self.anatomy):
                found = [changes[at] for at in members if at in changes]
                whole = torch.stack(found).sum(0) if found else torch.full((1,), math.nan)
                self._add(address, level, name, whole.abs())
        for address, level, ratio in self._write_norms(passage):
            self._add(address, level, "write norm", ratio)
        for name, similarity in self._alike.items():
            own = {layer: x for (stack, layer), x in passage.streams.items() if stack == name}
            similarity.add(own)

    def guesses(self) -> list[Guess]:
        """All of them, one predictor after the other."""
        found = [(*key, total / max(1, self._counts[key])) for key, total in self._sums.items()]
        for stack, similarity in self._alike.items():
            for name, values in (
                ("block influence", similarity.block_influence()),
                ("angular distance", similarity.angular_distance()),
                ("CKA distance", [1 - value for value in similarity.cka()]),
            ):
                found += [(f"{stack}.{at}", "layer", name, one) for at, one in enumerate(values)]
        return found

    def _add(self, address: str, level: str, name: str, values: Tensor) -> None:
        key = address, level, name
        self._sums[key] = self._sums.get(key, 0.0) + float(values.sum())
        self._counts[key] = self._counts.get(key, 0) + values.numel()

    def _write_norms(self, passage: Passage) -> Iterator[tuple[str, str, Tensor]]:
        """The norm of every write over that of the stream, of all tokens whose stream is not 0."""
        for at in self.anatomy.parts:
            stream = passage.streams[at.stack, at.layer]
            yield str(at), "part", _ratios(passage.written[at], stream)
            for head, share in _shares(self.anatomy, at, passage.written):
                yield str(head), "head", _ratios(share, stream)
        for name, parts in self.anatomy.layers.items():
            stack, layer = parts[0].stack, parts[0].layer
            before, after = passage.streams[stack, layer], passage.streams[stack, layer + 1]
            yield name, "layer", _ratios(after - before, before)


def _units(anatomy: Anatomy) -> Iterator[tuple[str, str, Sequence[Address]]]:
    """Everything that can be ablated: its address, its level and what it consists of."""
    for head in anatomy.heads:
        yield str(head), "head", (head,)
    for part in anatomy.parts:
        yield str(part), "part", (part,)
    for name, parts in anatomy.layers.items():
        yield name, "layer", parts


def _shares(
    anatomy: Anatomy, at: Address, written: Mapping[Address, Tensor]
) -> Iterator[tuple[Address, Tensor]]:
    """What each head of a part adds to the stream: [row, time, d]."""
    heads = [one for one in anatomy.heads if one.whole == at]
    if heads:
        mixed = torch.cat([written[one] for one in heads], dim=-1)
        yield from zip(heads, anatomy[at].shares(mixed).detach(), strict=True)


def _ratios(write: Tensor, stream: Tensor) -> Tensor:
    """The norm of a write over that of the stream, [token], of tokens whose stream is not 0."""
    norm = stream.float().norm(dim=-1)
    return (write.float().norm(dim=-1) / norm)[norm > 0]
