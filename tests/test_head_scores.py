"""Scores of heads are those of maps whose answer is known, and find the heads that were planted."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from tests import planted_behaviour as made
from tests.families import NETWORKS
from tests.planted import with_dead
from tests.planted_behaviour import LAST, PARROT, SEASONAL
from tests.words import SHARP
from tsfm_probe.address import Address
from tsfm_probe.data.stimuli import Stimulus
from tsfm_probe.diagnosis.attending import earlier, matching, periodicity, retrieval
from tsfm_probe.diagnosis.copying import copying
from tsfm_probe.diagnosis.heads import head_scores
from tsfm_probe.diagnosis.profile import lags, profile
from tsfm_probe.diagnosis.prompts import PROMPTS, WALKS, Cut, prompts
from tsfm_probe.diagnosis.sight import Sight, across, joined, passes, sights, timely
from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import Bins, Quantiles
from tsfm_probe.models.spans import END, FED, MASKED, START, Span, masked, patches
from tsfm_probe.surgery.edit import Edit, edited

Tiny = Callable[[str], Model]
CONTEXT, PERIOD, SIZE = 96, 32, 8
VALUES = patches(CONTEXT, SIZE, CONTEXT)
"""Twelve tokens, of which every fourth is the same."""
STARTED = (Span(START, CONTEXT, CONTEXT), Span(FED, CONTEXT, CONTEXT + SIZE))


def prompt(period: int | None = PERIOD, motif: tuple[int, int] | None = None) -> Stimulus:
    values = np.resize(np.random.default_rng(0).normal(size=period or CONTEXT), CONTEXT + 24)
    return Stimulus("repeats", 0, values[:CONTEXT], values[CONTEXT:], period, motif)


def sight(
    chosen: Tensor, queries: tuple[Span, ...] = VALUES, keys: tuple[Span, ...] = VALUES
) -> Sight:
    """One head in one row that attends to what is not zero [query, key] alike."""
    shares = (chosen / chosen.sum(-1, keepdim=True)).nan_to_num()
    return Sight(shares[None, None].float(), queries, keys, queries == keys, CONTEXT, True)


def causal(back: int) -> Tensor:
    """To the token so many places back: [query, key]; the first ones to themselves."""
    places = torch.arange(len(VALUES))
    return torch.eye(len(VALUES))[torch.where(places >= back, places - back, places)]


def prefix(one: Sight, period: int = PERIOD) -> dict[str, float]:
    return {name: float(value) for name, value in matching(one, [prompt(period)]).items()}


def test_attention_to_the_target_alone_is_one_less_chance() -> None:
    # What token q predicts is token q + 1: a period of four earlier, that is q - 3.
    found = prefix(sight(causal(3)))
    seen = np.arange(3, 12)
    expected = (1 / 1) - np.mean([((q + 1) // 4) / (q + 1) for q in seen])
    # From the second repeat on there are two targets, of which it attends to one.
    assert found["prefix matching"] == pytest.approx(expected)
    both = torch.zeros(12, 12)
    for query in seen:
        both[query, np.arange(query - 3, -1, -4)] = 1
    both[:3] = causal(0)[:3]
    assert prefix(sight(both))["prefix matching"] == pytest.approx(expected)


@pytest.mark.parametrize(("back", "score"), [(4, "contiguity before"), (2, "contiguity after")])
def test_contiguity_is_attention_beside_the_target(back: int, score: str) -> None:
    found = prefix(sight(causal(back)))
    others = {name: value for name, value in found.items() if name != score}
    assert found[score] > 0.7
    assert max(others.values()) < 0


def test_attention_to_all_alike_is_chance_whatever_is_asked() -> None:
    late = patches(CONTEXT, SIZE, CONTEXT // 2)  # the first half is not read
    for chosen, queries, keys in (
        (torch.ones(12, 12), VALUES, VALUES),
        (torch.ones(6, 6).tril(), late, late),
        (torch.ones(12, 12).tril(), VALUES, VALUES),
        (torch.ones(2, 13), STARTED, (*VALUES, Span(END, CONTEXT, CONTEXT))),
    ):
        one = sight(chosen, queries, keys)
        told = {**profile(one), **matching(one, [prompt()])}
        told |= {"periodicity": periodicity(one, [prompt()])}
        for name in ("prefix matching", "contiguity before", "contiguity after", "periodicity"):
            assert float(told[name]) == pytest.approx(0, abs=1e-6), name
        assert float(told["recency"]) == pytest.approx(0, abs=1e-6)
        assert float(told["primacy"]) == pytest.approx(0, abs=1e-6)
        assert float(told["relative entropy"]) == pytest.approx(1)
        whole = replace(one, final=False)  # of all queries that hold values
        if whole.own:
            assert float(profile(whole)["relative entropy"]) == pytest.approx(1)
        visible = chosen[one.read].sum(-1).log().mean()
        assert float(told["entropy"]) == pytest.approx(float(visible))


def test_the_previous_token_and_the_end_are_no_target() -> None:
    assert prefix(sight(causal(1)))["prefix matching"] == pytest.approx(
        -np.mean([((q + 1) // 4) / (q + 1) for q in range(3, 12)])
    )
    end = torch.zeros(2, 13)
    end[:, -1] = 1
    found = prefix(sight(end, STARTED, (*VALUES, Span(END, CONTEXT, CONTEXT))))
    assert set(found.values()) == {0.0}


def test_a_head_of_another_period_is_not_periodic() -> None:
    right, wrong = (
        float(periodicity(sight(causal(3)), [prompt(period)])) for period in (PERIOD, 40)
    )
    assert right > 0.7
    assert wrong < 0


def test_a_target_has_the_share_of_a_key_that_it_covers() -> None:
    """With a period of two and a half tokens every other stretch is half of two tokens."""
    keys, query = VALUES, (Span(START, CONTEXT, CONTEXT),)
    found = earlier(sight(torch.ones(1, 12), query, keys), [prompt(20)])[0, 0]
    # Stretches: 76 to 84, 56 to 64, 36 to 44, 16 to 24, and the end of one from -4 to 4.
    expected = {9: 0.5, 10: 0.5, 7: 1.0, 4: 0.5, 5: 0.5, 2: 1.0, 0: 0.5}
    assert {k: float(v) for k, v in enumerate(found) if v} == expected


def test_recency_primacy_and_lags_are_told_of_the_queries_that_are_read() -> None:
    last = torch.zeros(2, 12)
    last[:, -1] = 1
    told = profile(sight(last, STARTED, VALUES))
    # The last tenth of 96 values is the last token and a fifth of the one before it.
    assert float(told["recency"]) == pytest.approx(0.9)
    assert float(told["primacy"]) == pytest.approx(-0.1)
    assert float(told["entropy"]) == 0.0
    late = patches(CONTEXT, SIZE, CONTEXT // 2)
    told = profile(sight(torch.eye(6)[[-1, -1]], STARTED, late))
    # A tenth of the half that is read is 0.6 of a token.
    assert float(told["recency"]) == pytest.approx(0.5)
    # The token that is fed predicts the one after itself.
    ahead = lags(sight(last, STARTED, VALUES))
    assert {lag: float(one) for lag, one in ahead.items() if one} == {1: 1.0, 2: 0.5}
    back = lags(sight(causal(2)))
    assert {lag: float(one) for lag, one in back.items()} == {
        lag: float(lag == 3) for lag in range(1, 13)
    }


def test_a_masked_token_predicts_itself_unless_the_network_is_causal() -> None:
    tokens = (*VALUES[-2:], *masked(CONTEXT, SIZE, 2))
    both, earlier_alone = (
        sight(torch.ones(4, 4), tokens, tokens),
        sight(torch.ones(4, 4).tril(), tokens, tokens),
    )
    assert both.predicted.tolist() == [88, 96, 96, 104]
    assert earlier_alone.predicted.tolist() == [88, 96, 104, 112]
    assert both.seen.sum(-1).tolist() == [2] * 4
    assert [one.kind for one in tokens].count(MASKED) == 2


def test_a_decoder_that_runs_token_by_token_has_one_map() -> None:
    runs = [torch.full((1, 1, keys), 1 / keys) for keys in (1, 2, 3, 1)]
    found = joined(runs, 3, 3)
    assert found.shape == (1, 3, 3)
    assert (found[0].count_nonzero(dim=-1)).tolist() == [1, 2, 3]


def test_retrieval_is_attending_to_what_is_said_in_the_needle() -> None:
    one = prompt(None, motif=(16, 48))
    keys = [2, 3, 10]
    said = np.concatenate([one.context[SIZE * key : SIZE * (key + 1)] for key in keys])[None]
    queries = tuple(Span(MASKED, CONTEXT + SIZE * k, CONTEXT + SIZE * (k + 1)) for k in range(3))

    def score(*attended: int, forecast: np.ndarray = said) -> float:
        found = sight(torch.eye(12)[list(attended)], queries, VALUES)
        reading = Quantiles((0.5,), lambda raw: raw, lambda raw: raw, 24)
        return float(retrieval(found, [one], forecast, reading))

    assert score(2, 3, 10) == pytest.approx(2 / 3)  # the last one lies in no needle
    assert score(3, 2, 10) == 0.0
    assert score(2, 2, 2) == pytest.approx(1 / 3)
    near = said + 0.09 * one.context.std()
    assert score(2, 3, 10, forecast=near) == pytest.approx(2 / 3)
    assert score(2, 3, 10, forecast=said + 0.11 * one.context.std()) == 0.0


def test_retrieval_of_bins_is_of_the_very_bin() -> None:
    context = np.linspace(0, 0.95, 20) + 0.02  # two values in each bin of a tenth
    one = Stimulus("needles", 0, context, context[:2], motif=(0, 20))
    keys, queries = patches(20, 1, 20), (Span(START, 20, 20),)
    bins = Bins(torch.linspace(0.05, 0.95, 10)[None], ())

    def score(key: int) -> float:
        shares = torch.eye(20)[[key]][None, None]
        found = Sight(shares, queries, keys, False, 20, True)
        return float(retrieval(found, [one], np.array([[0.45]]), bins))

    assert [key for key in range(20) if score(key)] == [8, 9]


@pytest.mark.parametrize("family", NETWORKS)
def test_every_head_along_time_of_every_family_has_finite_scores(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    told: list[tuple[int, int, str]] = []
    found = head_scores(model, count=2, context=48, progress=lambda *said: told.append(said))
    assert np.isfinite(found[["value", "low", "high"]].to_numpy()).all()
    heads = {str(one) for one in model.anatomy.heads if one.whole in timely(model.anatomy)}
    assert set(found["address"]) == heads
    assert (told[0][1], told[-1][0]) == (8, 8)
    scores = found.pivot(index="address", columns="score", values="value")
    assert scores["entropy"].min() >= 0
    assert scores["relative entropy"].max() <= 1 + 1e-5
    assert {"prefix matching", "retrieval", "copying", "periodicity", "recency", "lag 1"} <= set(
        scores
    )
    final = [one for one in heads if one.startswith(model.anatomy.reads.name)]
    assert set(scores["copying"].dropna().index) == set(final)


@pytest.mark.parametrize("family", NETWORKS)
def test_maps_of_every_family_fit_its_tokens_and_attending_to_all_alike_is_chance(
    family: str, tiny: Tiny
) -> None:
    model = tiny(family)
    cut = Cut.of(model, 48)
    batch = prompts("repeats", 2, cut, 0)
    found = sights(model, [one.context for one in batch], np.stack([one.truth for one in batch]))
    assert set(found) == set(timely(model.anatomy))
    assert set(found) | set(across(model.anatomy)) == set(model.anatomy.attentions)
    for at, one in found.items():
        assert one.shares.shape == (4, 2, len(one.queries), len(one.keys))
        assert torch.allclose(one.shares.sum(-1), torch.ones(()), atol=1e-4)
        assert one.read.any()
        assert one.causal == (at.stack == "decoder" and at.part != "cross")
        alike = one.visible / one.visible.sum(-1, keepdim=True)
        plain = Sight(
            alike.expand_as(one.shares), one.queries, one.keys, one.own, one.length, one.final
        )
        values = [
            *matching(plain, batch).values(),
            *(profile(plain)[k] for k in ("recency", "primacy")),
        ]
        for value in values:
            assert value.nan_to_num().abs().max() < 1e-5
        if one.final:
            assert int(one.predicted[one.read].min()) == one.length


@pytest.mark.parametrize("size", [1, 16])
def test_prompts_repeat_whole_tokens_and_no_value_twice_in_a_period(size: int) -> None:
    cut = Cut(size, 48, -(-24 // size))
    for name in PROMPTS:
        for one in prompts(name, 20, cut, 3):
            whole = np.concatenate([one.context, one.truth])
            assert len(one.context) == 48 * size
            assert len(one.truth) == cut.ahead * size
            if one.period is not None:
                assert one.period % size == 0
            if name == "repeats":
                assert one.period is not None
                assert np.array_equal(whole[one.period :], whole[: -one.period])
                assert len(set(whole[: one.period])) == one.period
                assert 2 <= len(one.context) / one.period <= 8
            if name == "needles":
                assert one.motif is not None
                assert one.copied is not None
                lag = len(one.context) - one.copied
                cue = one.copied - one.motif[0]
                again = whole[-cue - len(one.truth) :]
                assert np.array_equal(again, whole[one.motif[0] : one.motif[1]])
                assert lag % size == 0
                assert len(set(one.context[:-cue])) == len(one.context) - cue
    assert len(prompts(WALKS, 3, cut, 0)) == 3
    few, many = prompts("needles", 1, cut, 5), prompts("needles", 3, cut, 5)
    assert np.array_equal(few[0].context, many[0].context)


def ranked(found: pd.DataFrame, score: str) -> list[str]:
    own = found[found["score"] == score]
    return [at for _, at in sorted(zip(own["value"], own["address"], strict=True), reverse=True)]


def value(found: pd.DataFrame, at: Address, score: str) -> float:
    (one,) = found[(found["address"] == str(at)) & (found["score"] == score)]["value"]
    return float(one)


def test_the_induction_head_of_a_parrot_is_first_and_the_one_that_it_needs_is_not() -> None:
    found = head_scores(made.parrot(0).model, count=3, context=40)
    for score in ("prefix matching", "copying", "retrieval", "periodicity"):
        assert ranked(found, score)[0] == str(PARROT.induction), score
    assert value(found, PARROT.induction, "prefix matching") > 0.8
    assert value(found, PARROT.induction, "retrieval") == 1.0
    assert value(found, PARROT.induction, "copying") > 0.5 * SHARP
    assert value(found, PARROT.previous, "prefix matching") < 0.05
    assert value(found, PARROT.previous, "lag 2") > 0.99
    assert value(found, PARROT.last, "copying") < 0.1
    rest = [value(found, Address.parse(at), "copying") for at in ranked(found, "copying")[1:]]
    assert max(rest) < 0.01 * value(found, PARROT.induction, "copying")


def test_a_head_that_looks_half_a_period_back_has_that_lag_and_none_copies() -> None:
    found = head_scores(made.seasonal(0).model, count=2, context=96)
    assert value(found, SEASONAL.head, f"lag {SEASONAL.period // 2}") > 0.99
    # What repeats is 12 tokens or more: six back is no target.
    assert found[found["score"] == "prefix matching"]["value"].max() < 0.2
    assert found[found["score"] == "retrieval"]["value"].max() < 0.2


def test_a_head_that_says_the_last_value_copies_but_matches_nothing() -> None:
    found = head_scores(made.last(0).model, count=2, context=40)
    assert ranked(found, "copying")[0] == str(LAST.head)
    assert value(found, LAST.head, "prefix matching") < 0.1
    assert value(found, LAST.head, "retrieval") < 0.2


def test_copying_is_told_beyond_what_every_logit_gets(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    before = head_scores(model, count=2, context=48)
    with torch.no_grad():
        unembedding = model.net.lm_head.weight + torch.randn(24, generator=torch.manual_seed(0))
    model.net.lm_head.weight = torch.nn.Parameter(unembedding)
    after = head_scores(model, count=2, context=48)
    assert before["value"].abs().max() > 0.1
    pd.testing.assert_frame_equal(before, after, rtol=1e-3, atol=1e-4)


def test_copying_of_patches_is_the_likeness_of_the_effect_and_the_copy(tiny: Tiny) -> None:
    """A head that is alone in the last layer has no other effect than the direct one."""
    head, mlp = Address("decoder", 1, "time", 2), Address("decoder", 1, "mlp")
    others = [replace(head, head=one) for one in (0, 1, 3)]
    model = with_dead(tiny("timesfm-2.5"), others)
    write: Any = model.anatomy[mlp].write
    with torch.no_grad():
        write.weight.zero_()
    batch = prompts("repeats", 3, Cut.of(model, 48), 0)
    contexts, truth = [one.context for one in batch], np.stack([one.truth for one in batch])
    found = copying(model, contexts, truth, sights(model, contexts, truth))[head.whole]
    (whole,) = passes(model, contexts, truth)
    with edited(model.anatomy, [Edit(head)]):
        (without,) = passes(model, contexts, truth)
    aimed = whole.aim("median", truth)
    effect = (aimed(whole.prediction) - aimed(without.prediction)).detach().numpy()
    pairs = zip(effect, truth[:, : effect.shape[1]], strict=True)
    likeness = [np.corrcoef(*pair)[0, 1] for pair in pairs]
    np.testing.assert_allclose(found[2], likeness, atol=1e-3)
    assert found[[0, 1, 3]].isnan().all()


def test_scores_are_given_by_their_seed(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("timesfm-2.5")
    one = head_scores(model, seed=1, count=3, context=48)
    monkeypatch.setattr("tsfm_probe.diagnosis.heads.ROWS", 2)
    again = head_scores(model, seed=1, count=3, context=48)
    pd.testing.assert_frame_equal(one, again, rtol=1e-4, atol=1e-6)
    other = head_scores(model, seed=2, count=3, context=48)
    assert not math.isclose(one["value"].sum(), other["value"].sum(), rel_tol=1e-6)


def test_contexts_that_are_too_short_are_refused(tiny: Tiny) -> None:
    with pytest.raises(UsageError, match="5 tokens of 8"):
        head_scores(tiny("toto-1"), context=40)
