"""Scores of the two circuits of a head: what it compares (QK) and what it moves (OV).

After Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits". Everything is
computed from head_dim x head_dim matrices, except that composition holds one d x d matrix per head.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Component
from tsfm_probe.models.base import Vocabulary
from tsfm_probe.scores.heads import Heads


def skew_fraction(query: Tensor, key: Tensor) -> Tensor:
    """The share of the antisymmetric part in the squared norm of M = W_Q^T W_K: [head], 0 to 1.

    query, key: [head, head_dim, d], read from the same stream. From |M|^2 = <G_Q, G_K> and
    tr(M M) = tr(C C) with C = W_K W_Q^T. 0 where M is zero.
    """
    crossed = key @ query.mT
    square = ((query @ query.mT) * (key @ key.mT)).sum((-2, -1))
    mirrored = (crossed * crossed.mT).sum((-2, -1))
    return torch.where(square > 0, (square - mirrored) / (2 * square), 0.0).clamp(0.0, 1.0)


def copying(value: Tensor, output: Tensor, between: Tensor | None) -> Tensor:
    """Re(sum of eigenvalues) over the sum of their sizes: [head], from -1 to 1.

    value: [head, head_dim, d]. output: [head, d, head_dim].
    between: [d, d], what takes a write to the stream to what values are read from, W_E W_U of a
    vocabulary; the eigenvalues are then those of W_U W_O W_V W_E. None: those of W_O W_V.
    0 where all eigenvalues are zero.
    """
    read = value if between is None else value @ between
    found = torch.linalg.eigvals(read @ output)
    sizes = found.abs().sum(-1)
    return torch.where(sizes > 0, found.real.sum(-1) / sizes, 0.0)


def through(vocabulary: Vocabulary, folded: bool) -> Tensor:
    """W_E W_U of a vocabulary, [d, d], with the gain of the final norm if it is to be folded."""
    unembedding = vocabulary.unembedding.detach().double()
    if folded:
        unembedding = unembedding * vocabulary.gain.detach().double()
    return vocabulary.embedding.detach().double().T @ unembedding


def composition(components: Sequence[Component], variant: str) -> dict[tuple[Address, str], Tensor]:
    """How strongly each head reads what an earlier head writes, by attention and "q", "k" or "v".

    That is the largest |A B|_F / (|A|_F |B|_F) over all earlier heads of the stream that is read,
    with B = W_O W_V of the earlier head, and A = W_K^T W_Q for queries, W_Q^T W_K for keys,
    W_O W_V for values; less 1 / sqrt(d), the root mean square of what random matrices of the same
    shapes give (exactly, if every rotation of them is as likely). Attentions that nothing precedes
    are left out. Single precision: to about 1e-6.

    components: the attentions in the order in which they run. |A B|^2 of two heads is the inner
    product of A^T A and B B^T.
    """
    found: dict[tuple[Address, str], Tensor] = {}
    written: dict[str, list[Tensor]] = defaultdict(list)
    for component in components:
        heads = Heads(component, variant)
        own = component.at.stack
        for name, matrix in _readings(heads).items():
            stack = own if name == "q" else component.keys_from or own
            if written[stack]:
                strongest = (_packed(matrix) @ torch.cat(written[stack]).T).amax(-1)
                square = strongest.clamp_min(0.0).double()
                found[component.at, name] = square.sqrt() - matrix.shape[-1] ** -0.5
        values = heads.value @ heads.value.mT
        written[own].append(_packed(heads.output @ values @ heads.output.mT))
    return found


def _readings(heads: Heads) -> dict[str, Tensor]:
    """A^T A [head, d, d] of what reads queries, keys and values."""
    sides = {
        "q": (heads.query, heads.key @ heads.key.mT),
        "k": (heads.key, heads.query @ heads.query.mT),
        "v": (heads.value, heads.output.mT @ heads.output),
    }
    return {name: rows.mT @ gram @ rows for name, (rows, gram) in sides.items()}


def _packed(matrices: Tensor) -> Tensor:
    """Symmetric matrices of trace 1 as vectors [head, entry] with the same inner products."""
    size = matrices.shape[-1]
    row, column = torch.triu_indices(size, size, device=matrices.device)
    weight = torch.where(row == column, 1.0, 2.0**0.5)
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    entries = matrices[:, row, column] / torch.where(trace > 0, trace, 1.0)
    return (entries * weight).float()
