"""Rotary positions (Su et al. 2021, arXiv 2104.09864) as the matrix between a query and a key.

The matrix R [head_dim, head_dim] is that of a key `lag` tokens before the query: with q and k as
they were before they were turned, q^T R k is the product of what they are turned into.
"""

import torch
from torch import Tensor


def halves(rates: Tensor, lag: float) -> Tensor:
    """Where the columns i and i + head_dim / 2 are turned together.

    rates: [pair], the angle from one place to the next.
    """
    first = torch.arange(len(rates), device=rates.device)
    return _turned(rates, lag, first, first + len(rates), 2 * len(rates))


def neighbours(rates: Tensor, lag: float, size: int) -> Tensor:
    """Where neighbouring columns are turned together; those of `size` beyond all pairs are kept."""
    first = 2 * torch.arange(len(rates), device=rates.device)
    return _turned(rates, lag, first, first + 1, size)


def _turned(rates: Tensor, lag: float, first: Tensor, second: Tensor, size: int) -> Tensor:
    angle = lag * rates.double()
    matrix = torch.eye(size, dtype=angle.dtype, device=angle.device)
    matrix[first, first] = matrix[second, second] = angle.cos()
    matrix[first, second] = angle.sin()
    matrix[second, first] = -angle.sin()
    return matrix
