"""The stable rank of every weight matrix of attentions and MLPs by itself."""

import pandas as pd
import torch
from torch import Tensor

from tsfm_probe.anatomy import Component
from tsfm_probe.models.base import Model

COLUMNS = ("address", "stack", "layer", "part", "matrix", "rows", "columns", "stable_rank")


def matrices(model: Model) -> pd.DataFrame:
    """One row per matrix, columns COLUMNS: q, k, v and o of all heads, in, gate, value and out.

    Plain: without gains. Heads that share keys and values count their rows once.
    """
    rows = [
        (str(at), at.stack, at.layer, at.part, name, *one.shape, float(stable_ranks(one)))
        for at in model.anatomy.parts
        for name, one in _of(model.anatomy[at]).items()
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def stable_ranks(matrices: Tensor) -> Tensor:
    """Squared norm over the largest squared singular value of [..., row, column]; 0 for zeros."""
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    largest = torch.linalg.eigvalsh(wide @ wide.mT)[..., -1]
    return torch.where(largest > 0, wide.pow(2).sum((-2, -1)) / largest, 0.0)


def _of(component: Component) -> dict[str, Tensor]:
    if component.mix is None:
        return {name: one.detach().double() for name, one in component.matrices.items()}
    found = {
        name: torch.cat([projection.rows(group) for group in range(projection.groups)])
        for name, projection in component.projections.items()
    }
    found["o"] = component.mix.weight
    return {name: one.detach().double() for name, one in found.items()}
