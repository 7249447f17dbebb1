"""What the encoder of an encoder-decoder network writes to the decoder through cross-attention.

With the attention maps and the scale of the encoder's final norm frozen, every cross-attention is a
linear map of the encoder's final stream, so that each of its writes has a share in what the
cross-attention writes. These shares sum to it: they tell where it came from, they do not add to it.
What an encoder part does to the maps themselves, and to later encoder parts, is indirect.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.attribution.walk import Cases, Glimpse
from tsfm_probe.attribution.writes import Write, writes
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.attention import attention

Maps = Mapping[Address, Sequence[Tensor]]


def crosses(anatomy: Anatomy) -> tuple[Address, ...]:
    """The attentions that read the end of another stack."""
    return tuple(at for at in anatomy.attentions if anatomy[at].keys_from)


class Through:
    """The shares of one batch of cases.

    maps: by head of a cross-attention, its map [row, query, key] in each pass.
    """

    def __init__(self, anatomy: Anatomy, maps: Maps) -> None:
        self.anatomy = anatomy
        self.maps = maps
        self._of: Tensor | None = None
        self._made: list[tuple[Write, int]] = []

    @classmethod
    def of(cls, model: Model, cases: Cases) -> "Through | None":
        """The maps of one batch along its own path; None where no attention reads another stack."""
        anatomy, at = model.anatomy, crosses(model.anatomy)
        if not at:
            return None
        maps = attention(anatomy, at, lambda: list(model.trace(cases.contexts, cases.horizon)))
        return cls(anatomy, maps)

    def writes(self, glimpse: Glimpse) -> Iterator[Write]:
        """What each write of the encoder adds to the decoder's stream in a pass: [row, token, d].

        The encoder may run once for several passes; shares of all of them are made at once.
        """
        (stack,) = {self.anatomy[at].keys_from for at in crosses(self.anatomy)}
        final = glimpse.record.streams[stack, len(self.anatomy.stacks[stack].starts)][-1]
        if self._of is not final:
            self._of = final
            self._made = [
                (replace(one, value=self._shared(one.value, final, stack, glimpse)), glimpse.number)
                for one in writes(self.anatomy, stack, glimpse.record)
            ]
        tokens = glimpse.tokens
        for one, first in self._made:
            start = (glimpse.number - first) * tokens
            yield replace(one, value=one.value[:, start : start + tokens])

    def _shared(self, write: Tensor, final: Tensor, stack: str, glimpse: Glimpse) -> Tensor:
        """The share of one write, [row, (pass token), d], in this pass and those after it."""
        frozen = self.anatomy.stacks[stack].frozen
        given = frozen(final)(write) if frozen else write
        found = []
        for at in crosses(self.anatomy):
            component = self.anatomy[at]
            mixed = []
            for head in range(component.heads):
                maps = self.maps[Address(at.stack, at.layer, at.part, head)][glimpse.number :]
                fit = torch.cat([one for one in maps if one.shape[-1] == given.shape[1]], dim=1)
                mixed.append((fit @ given) @ component.rows("v", head).T)
            whole = rearrange(torch.stack(mixed), "head row token own -> row token (head own)")
            found.append(component.shares(whole).sum(0))
        return torch.stack(found).sum(0)
