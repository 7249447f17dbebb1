"""How alike the outputs of the heads of an attention are."""

from collections.abc import Sequence
from math import nan

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.attribution.walk import Glimpse

RANKS = ("attention", "heads", "rank")
COSINES = ("attention", "head", "other", "cosine")


class Likeness:
    """Entropic rank and cosines of head outputs, means over cases and tokens.

    Of the stack that is read only the tokens count whose prediction is read; of others, all.
    """

    def __init__(self, anatomy: Anatomy, attentions: Sequence[Address]) -> None:
        self.anatomy = anatomy
        self._ranks = dict.fromkeys(attentions, 0.0)
        self._cosines = {at: np.zeros((anatomy[at].heads,) * 2) for at in attentions}
        self._pairs = {at: np.zeros((anatomy[at].heads,) * 2) for at in attentions}
        self._counts = dict.fromkeys(attentions, 0)
        self._seen: dict[Address, Tensor] = {}

    @torch.no_grad()
    def add(self, glimpse: Glimpse) -> None:
        """Add one pass; what ran once for several passes is added once."""
        for at in self._ranks:
            mixed = glimpse.record.mixed[at][-1]
            if self._seen.get(at) is mixed:
                continue
            self._seen[at] = mixed
            read = at.stack == self.anatomy.reads.name
            gram = cosines(self.anatomy[at].shares(mixed[:, -glimpse.tokens :] if read else mixed))
            self._ranks[at] += float(entropic_rank(gram).sum())
            self._cosines[at] += gram.sum(0).numpy()
            wrote = (gram.diagonal(dim1=1, dim2=2) > 0.5).double()
            self._pairs[at] += (wrote.T @ wrote).numpy()
            self._counts[at] += len(gram)

    def ranks(self) -> pd.DataFrame:
        """Columns RANKS: the entropic rank, from 1 (all alike) to the number of heads.

        Heads that write nothing do not count.
        """
        rows = [
            (str(at), self.anatomy[at].heads, total / self._counts[at])
            for at, total in self._ranks.items()
            if self._counts[at]
        ]
        return pd.DataFrame(rows, columns=pd.Index(RANKS))

    def table(self) -> pd.DataFrame:
        """Columns COSINES: the mean cosine of every two heads of an attention.

        Over the tokens at which both write; NaN where there are none.
        """
        rows = [
            (
                str(at),
                head,
                other,
                value / pairs if (pairs := self._pairs[at][head, other]) else nan,
            )
            for at, total in self._cosines.items()
            for (head, other), value in np.ndenumerate(total)
        ]
        return pd.DataFrame(rows, columns=pd.Index(COSINES))


def cosines(shares: Tensor) -> Tensor:
    """Cosines between what heads write, [token, head, head], from [head, row, token, d].

    Zero, also with itself, where a head writes nothing; tokens at which none writes are left out.
    """
    vectors = shares.flatten(1, 2).transpose(0, 1).double().cpu()
    norms = vectors.norm(dim=-1, keepdim=True)
    unit = (vectors / norms).nan_to_num(0.0)[(norms[..., 0] > 0).any(dim=-1)]
    return unit @ unit.transpose(1, 2)


def entropic_rank(gram: Tensor) -> Tensor:
    """exp of the entropy of the shares of the eigenvalues of [token, head, head] cosines: [token].

    Roy and Vetterli 2007, the effective rank, of the matrix of unit outputs.
    """
    values = torch.linalg.eigvalsh(gram).clamp_min(0)
    chances = values / values.sum(dim=-1, keepdim=True)
    return (-torch.xlogy(chances, chances).sum(-1)).exp()
