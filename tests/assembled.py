"""The scores of heads by their definitions, from matrices that are assembled in full."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import HeadWeights
from tsfm_probe.models.base import Model
from tsfm_probe.scores.weights import COMPARED


@torch.no_grad()
def whole(model: Model, at: Address, folded: bool) -> HeadWeights:
    """One head's weights in double precision, with the gains multiplied in where asked."""
    found = model.anatomy.head_weights(at)
    q, k, v, o = (one.double() for one in (found.q, found.k, found.v, found.o))
    if not folded:
        return HeadWeights(q, k, v, o)
    component = model.anatomy[at]

    def fold(name: str, rows: Tensor) -> Tensor:
        projection = component.projections[name]
        rows = rows if projection.gain is None else rows @ torch.diag(projection.gain.double())
        return rows if projection.factor is None else torch.diag(projection.factor.double()) @ rows

    if component.gain is not None:
        o = component.gain(torch.ones(1, len(o))).double().reshape(-1, 1) * o
    return HeadWeights(fold("q", q), fold("k", k), fold("v", v), o)


def singular(matrix: Tensor) -> np.ndarray:
    return np.linalg.svd(matrix.detach().numpy(), compute_uv=False)


def ranks(values: np.ndarray) -> tuple[float, float, float]:
    """Stable rank, effective rank and participation ratio by their definitions."""
    squares, shares = values**2, values / values.sum()
    shares = shares[shares > 0]
    return (
        squares.sum() / squares.max(),
        np.exp(-(shares * np.log(shares)).sum()),
        squares.sum() ** 2 / (squares**2).sum(),
    )


def copied(matrix: Tensor) -> float:
    values = np.linalg.eigvals(matrix.detach().numpy())
    return float(values.sum().real / np.abs(values).sum())


@torch.no_grad()
def brute(model: Model, at: Address, folded: bool) -> dict[str, float]:
    """All scores of one head but composition, from d x d matrices."""
    weights, component = whole(model, at, folded), model.anatomy[at]
    form = weights.q.T @ weights.k
    found = dict(zip(COMPARED, ranks(singular(form)), strict=False))
    for name in "qkvo":
        found[f"stable-rank-{name}"] = ranks(singular(getattr(weights, name)))[0]
    moved = weights.o @ weights.v
    if not component.keys_from:
        found["skew-fraction"] = float(((form - form.T) / 2).pow(2).sum() / form.pow(2).sum())
        found["ov-copying"] = copied(moved)
    if model.vocabulary is not None:
        embedding = model.vocabulary.embedding.double()
        unembedding = model.vocabulary.unembedding.double()
        if folded:
            unembedding = unembedding * model.vocabulary.gain.double()
        found["ov-copying"] = copied(unembedding @ moved @ embedding.T)
    return found


def composed(model: Model, at: Address, folded: bool) -> dict[str, float]:
    """How strongly a head reads an earlier one, over all pairs of d x d matrices."""
    order = [one for one in model.anatomy.parts if model.anatomy[one].heads]
    own, from_keys = whole(model, at, folded), model.anatomy[at].keys_from
    reads = {"q": own.k.T @ own.q, "k": own.q.T @ own.k, "v": own.o @ own.v}
    found = {}
    for name, reading in reads.items():
        other = bool(from_keys) and name != "q"
        sizes = []
        for part in order:
            earlier = part.stack == from_keys if other else (
                part.stack == at.stack and order.index(part) < order.index(at.whole)
            )  # fmt: skip
            for head in range(model.anatomy[part].heads if earlier else 0):
                writer = whole(model, replace(part, head=head), folded)
                writing = writer.o @ writer.v
                sizes.append((reading @ writing).norm() / reading.norm() / writing.norm())
        if sizes:
            found[f"composition-{name}"] = float(max(sizes)) - reading.shape[1] ** -0.5
    return found
