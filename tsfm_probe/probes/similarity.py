"""How alike the streams before and after each layer are, summed over batches of windows."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional


class Similarity:
    """The streams of one stack, compared across each layer.

    Tokens of all windows count alike. What is kept does not grow with their number: two matrices
    [d, d] in fp64 for each layer, about a third of what its weights take in fp32.
    """

    def __init__(self, layers: int) -> None:
        self._angles = [_Angles() for _ in range(layers)]
        self._itself = [_Products() for _ in range(layers + 1)]
        self._across = [_Products() for _ in range(layers)]
        self._origins: list[Tensor] = []

    def add(self, streams: Mapping[int, Tensor]) -> None:
        """Add a batch: by layer the stream [row, time, d] that enters it.

        The number of layers stands for the stream that leaves the last one.
        """
        tokens = [streams[layer].flatten(0, 1).double() for layer in range(len(self._itself))]
        self._origins = self._origins or [one[0] for one in tokens]
        # Kernels do not depend on the origin; one among the tokens keeps the numbers small.
        moved = [one - origin for one, origin in zip(tokens, self._origins, strict=True)]
        for products, one in zip(self._itself, moved, strict=True):
            products.add(one, one)
        for layer, (angles, products) in enumerate(zip(self._angles, self._across, strict=True)):
            angles.add(tokens[layer], tokens[layer + 1])
            products.add(moved[layer], moved[layer + 1])

    def block_influence(self) -> list[float]:
        """1 - the mean cosine between the stream before and after each layer.

        Men et al. 2024, ShortGPT, arXiv 2403.03853.
        """
        return [1 - one.cosine / one.count for one in self._angles]

    def angular_distance(self) -> list[float]:
        """The mean of arccos(cosine) / pi between the stream before and after each layer.

        Gromov et al. 2024, arXiv 2403.17887; they take the last token alone, here all count.
        """
        return [one.angle / one.count for one in self._angles]

    def cka(self) -> list[float]:
        """Debiased linear CKA between the stream before and after each layer.

        Kornblith et al. 2019, arXiv 1905.00414, with the unbiased estimator of HSIC by Song et al.
        2012; every token is an example. NaN with fewer than four, or where a stream is constant.
        """
        itself = [one.dependence() for one in self._itself]
        found = []
        for one, across, other in zip(itself, self._across, itself[1:], strict=False):
            known = one > 0 and other > 0
            found.append(across.dependence() / math.sqrt(one * other) if known else math.nan)
        return found


class _Angles:
    """Sums of cosines and angles between tokens."""

    def __init__(self) -> None:
        self.count, self.cosine, self.angle = 0, 0.0, 0.0

    def add(self, one: Tensor, other: Tensor) -> None:
        """Add tokens [token, d]."""
        cosine = functional.cosine_similarity(one, other, dim=-1).clamp(-1, 1)
        self.count += len(one)
        self.cosine += float(cosine.sum())
        self.angle += float(cosine.arccos().sum()) / math.pi


class _Products:
    """Sums over tokens x and y from which the dependence of y on x follows.

    The estimator is a function of the Gram matrices [token, token] without their diagonals; written
    out, it needs sums over tokens alone.
    """

    def __init__(self) -> None:
        self.count = 0
        self.products = self.x = self.y = self.xy = self.yx = self.squares = torch.zeros(())

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add tokens [token, d] in fp64."""
        of_x, of_y = x.pow(2).sum(-1), y.pow(2).sum(-1)
        self.count += len(x)
        self.products = x.T @ y + self.products
        self.x, self.y = x.sum(0) + self.x, y.sum(0) + self.y
        self.xy, self.yx = of_y @ x + self.xy, of_x @ y + self.yx
        self.squares = torch.stack([of_x.sum(), of_y.sum(), of_x @ of_y]) + self.squares

    def dependence(self) -> float:
        """The unbiased estimate of HSIC with linear kernels; NaN with fewer than four tokens."""
        n = self.count
        if n < 4:
            return math.nan
        of_x, of_y, both = self.squares
        trace = self.products.pow(2).sum() - both
        totals = (self.x @ self.x - of_x) * (self.y @ self.y - of_y)
        rows = self.x @ self.products @ self.y - self.x @ self.xy - self.y @ self.yx + both
        whole = trace + totals / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)
        return float(whole) / (n * (n - 3))
