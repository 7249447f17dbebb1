"""Uniform random numbers that belong to a series, and tokens drawn with them."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor


def uniforms(contexts: Sequence[np.ndarray], seed: int, samples: int, steps: int) -> Tensor:
    """Uniform numbers [series, sample, step] in fp64 on (0, 1).

    Each depends on (seed, the series' own context, sample, step) alone: not on its neighbours,
    nor on how many samples or steps are asked for. Counter-based (Philox; Salmon et al. 2011).
    """
    drawn = np.empty((len(contexts), samples, steps))
    for row, context in zip(drawn, contexts, strict=True):
        key = _key(context, seed)
        for sample in range(samples):
            bits = np.random.Philox(key=key, counter=[0, 0, 0, sample])
            row[sample] = np.random.Generator(bits).random(steps)
    return torch.from_numpy(drawn)


def known(context: np.ndarray) -> np.ndarray:
    """A context [time] without the missing values that it begins with; all missing: one of them."""
    begun = np.flatnonzero(~np.isnan(context))
    return context[begun[0] if len(begun) else -1 :]


def _key(context: np.ndarray, seed: int) -> int:
    values = known(np.asarray(context, dtype=np.float32))
    values = np.where(np.isnan(values), np.float32(np.nan), values + np.float32(0))
    digest = blake2b(values.tobytes(), digest_size=16, salt=seed.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


def inverse_cdf(
    logits: Tensor, uniform: Tensor, temperature: float, top_k: int, top_p: float
) -> Tensor:
    """Tokens drawn by inverting the distribution function over token ids: [batch].

    logits: [batch, token]; uniform: [batch] on (0, 1). The distribution is the one that sampling
    with this temperature, top-k and nucleus (top-p; Holtzman et al. 2020) has.
    """
    ids, chance = _kept(logits, temperature, top_k, top_p)
    risen = chance.cumsum(dim=-1)
    place = torch.searchsorted(risen, (uniform.to(risen) * risen[:, -1])[:, None], right=True)
    return ids.gather(-1, place.clamp_max(ids.shape[-1] - 1))[:, 0]


def _kept(logits: Tensor, temperature: float, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """The ids that may be drawn, in rising order, and the chance of each: [batch, kept]."""
    size = logits.shape[-1]
    if top_p >= 1.0 and (top_k or size) >= size:  # all: no need to sort them
        ids = torch.arange(size, device=logits.device).expand(logits.shape)
        return ids, (logits.double() / temperature).softmax(dim=-1)
    kept, ids = torch.topk(logits, min(top_k or size, size), dim=-1)
    chance = (kept.double() / temperature).softmax(dim=-1)
    if top_p < 1.0:
        chance = chance.masked_fill(chance.cumsum(-1) - chance >= top_p, 0.0)
        chance = chance / chance.sum(-1, keepdim=True)
    ids, order = ids.sort(dim=-1)
    return ids, chance.gather(-1, order)
