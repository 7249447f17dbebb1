"""Singular values of what a head compares, W_Q^T W_K, without ever forming that matrix.

W_Q^T W_K is d_model x d_model but of rank head_dim. With the Gram matrices G = W W^T, which are
head_dim x head_dim, and G_K = L L^T, its squared singular values are the eigenvalues of L^T G_Q L.
That costs the rounding of squares, relative to the largest; heads whose smallest value is so small
that it would be lost get a thin QR decomposition of both sides instead.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

NARROWEST = 1e-9  # the smallest square over the largest that Gram matrices are trusted with


def spectra(query: Tensor, key: Tensor) -> Tensor:
    """Singular values [head, head_dim] of every query^T key, the largest first.

    query, key: [head, head_dim, d], double precision; the two widths may differ.
    """
    root, failed = torch.linalg.cholesky_ex(key @ key.mT)
    root = torch.where(failed[:, None, None] > 0, 0.0, root)
    squares = torch.linalg.eigvalsh(root.mT @ (query @ query.mT) @ root).flip(-1)
    values = squares.clamp_min(0.0).sqrt()
    lost = squares[:, -1] <= NARROWEST * squares[:, 0]
    if lost.any():
        values[lost] = _by_orthogonal_bases(query[lost], key[lost])
    return values


def _by_orthogonal_bases(query: Tensor, key: Tensor) -> Tensor:
    left, right = (torch.linalg.qr(one.mT, mode="r").R for one in (query, key))
    values = torch.linalg.svdvals(left @ right.mT)
    return functional.pad(values, (0, query.shape[1] - values.shape[1]))


def stable_rank(values: Tensor) -> Tensor:
    """Sum of squares over the largest square (Bao et al. 2026, arXiv 2602.01605).

    values: [..., value] singular values, the largest first; 0 where all are zero.
    """
    squares = values.pow(2)
    return _over(squares.sum(-1), squares[..., 0])


def effective_rank(values: Tensor) -> Tensor:
    """Exponential of the entropy of the values' shares of their sum (Roy and Vetterli 2007).

    values: [..., value] singular values; 0 where all are zero.
    """
    total = values.sum(-1, keepdim=True)
    shares = _over(values, total)
    entropy = torch.special.entr(shares).sum(-1)
    return torch.where(total[..., 0] > 0, entropy.exp(), 0.0)


def participation_ratio(values: Tensor) -> Tensor:
    """Squared sum of squares over the sum of fourth powers: 1 to the number of values.

    values: [..., value] singular values; 0 where all are zero.
    """
    squares = values.pow(2)
    squares = _over(squares, squares.amax(-1, keepdim=True))  # fourth powers do not underflow
    return _over(squares.sum(-1).pow(2), squares.pow(2).sum(-1))


def energy(values: Tensor) -> Tensor:
    """The share of the sum of squares that the first one, two, ... values hold: [..., value]."""
    squares = values.pow(2).cumsum(-1)
    return _over(squares, squares[..., -1:])


def _over(part: Tensor, whole: Tensor) -> Tensor:
    """A quotient that is zero where it would be 0 / 0."""
    return torch.where(whole > 0, part / whole, 0.0)


MEASURES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "stable-rank": stable_rank,
    "effective-rank": effective_rank,
    "participation-ratio": participation_ratio,
}
