"""Streams are compared as the plain formulas say, whatever the batches."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from tsfm_probe.probes.similarity import Similarity


def streams(seed: int, tokens: int = 24, size: int = 8) -> dict[int, torch.Tensor]:
    """A stream of a few windows before, between and after two layers: [row, time, d] each."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(tokens // 4, 4, size)) + 3
    second = first @ rng.normal(size=(size, size)) + 2 * rng.normal(size=first.shape)
    third = second + 0.3 * rng.normal(size=first.shape)
    return dict(enumerate(map(torch.from_numpy, (first, second, third))))


def similarity(given: dict[int, torch.Tensor], batch: int = 2) -> Similarity:
    found = Similarity(len(given) - 1)
    for start in range(0, len(given[0]), batch):
        found.add({layer: one[start : start + batch] for layer, one in given.items()})
    return found


def naive_cka(one: np.ndarray, other: np.ndarray) -> float:
    """Debiased linear CKA from Gram matrices, as Song et al. 2012 write the estimator."""

    def dependence(left: np.ndarray, right: np.ndarray) -> float:
        n, ones = len(left), np.ones(len(left))
        both = left @ right
        total = (ones @ left @ ones) * (ones @ right @ ones) / ((n - 1) * (n - 2))
        return (np.trace(both) + total - 2 / (n - 2) * (ones @ both @ ones)) / (n * (n - 3))

    grams = [x @ x.T for x in (one, other)]
    for gram in grams:
        np.fill_diagonal(gram, 0)
    left, right = grams
    return dependence(left, right) / math.sqrt(dependence(left, left) * dependence(right, right))


def test_streams_are_compared_as_the_plain_formulas_say() -> None:
    given = streams(0)
    found = similarity(given)
    flat = [one.reshape(-1, one.shape[-1]).numpy() for one in given.values()]
    for layer, (one, other) in enumerate(pairwise(flat)):
        sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosine = (one * other).sum(axis=1) / sizes
        assert found.block_influence()[layer] == pytest.approx(1 - cosine.mean())
        expected = np.arccos(cosine).mean() / math.pi
        assert found.angular_distance()[layer] == pytest.approx(expected)
        assert found.cka()[layer] == pytest.approx(naive_cka(one, other))


def test_the_same_stream_is_alike_and_an_independent_one_is_not() -> None:
    one = streams(0)[0]
    assert similarity({0: one, 1: one}).cka() == [pytest.approx(1, abs=1e-12)]
    turned = one @ torch.linalg.qr(streams(1)[0][:2].reshape(8, 8))[0]
    assert similarity({0: one, 1: 5 * turned - 2}).cka() == [pytest.approx(1, abs=1e-9)]
    seeds = range(40)
    apart = [similarity({0: streams(one)[0], 1: streams(100 + one)[0]}).cka()[0] for one in seeds]
    assert abs(np.mean(apart)) < 3 * np.std(apart) / math.sqrt(len(apart))
    assert np.abs(apart).max() < 0.5


def test_a_constant_stream_or_three_tokens_have_no_cka() -> None:
    one = streams(0)[0]
    assert np.isnan(similarity({0: torch.ones_like(one), 1: one}).cka()).all()
    assert np.isnan(similarity({0: one[:1, :3], 1: one[:1, :3]}).cka()).all()
