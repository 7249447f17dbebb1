"""Flags from weights are judged by what they are worth, and repair says what it costs."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tests.families import NETWORKS
from tsfm_probe.address import Address
from tsfm_probe.data.stimuli import Size
from tsfm_probe.data.synthetic import generated
from tsfm_probe.data.windows import windows
from tsfm_probe.diagnosis import flags as made
from tsfm_probe.diagnosis.causal import HEAD
from tsfm_probe.diagnosis.flags import COMBINED, FLAGS, PLAIN, WITHIN, flagged, flags
from tsfm_probe.diagnosis.inputs import BIAS, PARROTING, Inputs, points
from tsfm_probe.diagnosis.repair import COLUMNS, front, random_orders, repair
from tsfm_probe.diagnosis.validation import HOLDS, RANDOM, REVERSED, area, precision, validated
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import UNTOUCHED, Job, Setting, ablate
from tsfm_probe.scores.weights import head_order, scored
from tsfm_probe.surgery.edit import Edit, edited
from tsfm_probe.surgery.plan import Trial
from tsfm_probe.verdict import answer

Tiny = Callable[[str], Model]
HEADS = [f"decoder.{layer}.self.{head}" for layer in range(6) for head in range(4)]


def effects(change: np.ndarray, q: np.ndarray) -> pd.DataFrame:
    """As `causal` would give them; of the bias, no head is sure."""
    frames = [
        pd.DataFrame({"kind": HEAD, "address": HEADS, "measure": one, "change": change, "q": own})
        for one, own in ((PARROTING, q), (BIAS, np.ones(len(HEADS))))
    ]
    other = pd.DataFrame({"kind": ["noise"], "address": ["noise-1"], "measure": [PARROTING]})
    return pd.concat([*frames, other.assign(change=-9.0, q=math.nan)], ignore_index=True)


def suspected(**ranks: np.ndarray) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"address": HEADS, "flag": flag, "value": 0.0, "rank": rank})
        for flag, rank in ranks.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_a_flag_that_is_the_truth_holds_and_one_that_is_its_opposite_is_reversed() -> None:
    change = np.linspace(-0.5, 0.5, 24)
    q = np.where(np.arange(24) < 5, 0.01, 0.5)
    q[-1] = 0.01  # without this head the index is surely higher: it is no cause
    given = suspected(truth=-change, opposite=change, nothing=np.full(24, 0.5))
    found = validated(given, effects(change, q)).set_index(["measure", "flag"])
    truth, opposite = found.loc[PARROTING, "truth"], found.loc[PARROTING, "opposite"]
    assert (truth["heads"], truth["true"]) == (24, 5)
    assert (truth["at_true"], truth["at_five"], truth["worst_five"]) == (1, 1, 1)
    assert (truth["auc"], truth["auc_low"], truth["spearman"], truth["verdict"]) == (1, 1, 1, HOLDS)
    assert (opposite["at_true"], opposite["auc"], opposite["verdict"]) == (0, 0, REVERSED)
    assert opposite["spearman"] == -1
    nothing = found.loc[PARROTING, "nothing"]
    assert (nothing["auc"], nothing["verdict"]) == (0.5, "not shown")
    assert nothing["at_five"] == pytest.approx(5 / 24)
    chance = found.loc[PARROTING, RANDOM]
    assert (chance["at_true"], chance["auc"], chance["spearman"]) == (5 / 24, 0.5, 0)
    assert 0.15 < chance["auc_low"] < 0.3
    assert 0.7 < chance["auc_high"] < 0.85
    assert set(found.loc[BIAS, "verdict"]) == {"cannot be told", ""}
    assert found.loc[BIAS, "auc"].isna().all()
    assert found.loc[(BIAS, "truth"), "spearman"] == 1


def test_random_flags_have_half_the_area_and_hold_as_seldom_as_they_should() -> None:
    rng, true = np.random.default_rng(0), np.arange(24) < 3
    found = np.array([area(rng.random(24), true, seed) for seed in range(400)])
    assert found[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert (found[:, 1] > 0.5).mean() < 0.05
    assert (found[:, 2] < 0.5).mean() < 0.05


def test_the_area_by_hand() -> None:
    suspicion, true = np.array([3.0, 2, 2, 1]), np.array([True, False, True, False])
    assert area(suspicion, true)[0] == (1 + 1 + 0.5 + 1) / 4
    value, low, _ = area(suspicion, np.array([True, False, False, False]))
    assert value == 1
    assert math.isnan(low)
    assert all(math.isnan(one) for one in area(suspicion, np.zeros(4, dtype=bool)))


def test_precision_by_hand_with_equals_on_the_border() -> None:
    suspicion, true = np.array([5.0, 4, 4, 4, 1]), np.array([True, True, False, False, True])
    found = [precision(suspicion, true, first) for first in (1, 2, 3, 4, 5)]
    assert found == pytest.approx([1, (1 + 1 / 3) / 2, (1 + 2 / 3) / 3, 2 / 4, 3 / 5])
    assert math.isnan(precision(suspicion, true, 0))


@pytest.mark.parametrize("family", NETWORKS)
def test_flags_are_the_scores_and_low_ranks_are_suspected(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    table = flags(model)
    assert tuple(table.columns) == made.COLUMNS
    assert table["rank"].between(0, 1).all()
    assert flagged(table, PLAIN) == head_order(model)
    assert set(flagged(table, COMBINED)) == set(model.anatomy.heads)
    rotary = any(model.anatomy[at].rotary is not None for at in model.anatomy.attentions)
    assert set(table["flag"]) == {one for one in FLAGS if rotary or one != made.ROTARY}
    within = table[table["flag"] == WITHIN]
    firsts = {Address.parse(one).whole for one in within.loc[within["rank"] == 1, "address"]}
    assert firsts == set(model.anatomy.attentions)
    copying = scored(model, ("ov-copying",)).sort_values("value", kind="stable")
    assert str(flagged(table, made.COPYING)[0]) == copying["address"].iloc[-1]
    ranks = table.pivot(index="address", columns="flag", values="rank")
    beside = [one for one in made.TOGETHER if one in ranks]
    values = table[table["flag"] == COMBINED].set_index("address")["value"]
    np.testing.assert_allclose(values, ranks[beside].mean(axis=1).loc[values.index])


def test_the_front_by_hand() -> None:
    error = np.array([1.0, 1.0, 0.9, 1.1, 1.2, 0.9, np.nan, 1.05])
    index = np.array([0.5, 0.6, 0.7, 0.1, -0.2, 0.7, 0.0, 0.3])
    expected = [True, False, True, True, True, True, False, True]
    assert front(error, index).tolist() == expected
    # Below zero is no parroting, and no less than none.
    assert front(np.array([1.0, 1.1]), np.array([0.0, -0.5])).tolist() == [True, False]


def test_random_orders_are_other_orders_of_the_same_heads(tiny: Tiny) -> None:
    heads = tiny("chronos-bolt").anatomy.heads
    found = random_orders(heads, 3, seed=5)
    assert list(found) == ["random-1", "random-2", "random-3"]
    assert all(sorted(one) == sorted(heads) for one in found.values())
    assert len({tuple(one) for one in found.values()} | {heads}) == 4
    assert found == random_orders(heads, 3, seed=5)


def test_repair_says_what_an_ablation_says_and_what_its_indices_are(tiny: Tiny) -> None:
    model, series = tiny("chronos-bolt"), generated(1, 90, seed=1)[:4]
    job = Job.of(model, series, Setting(horizon=5, windows=2))
    cut, _ = windows(series, 8, context=48, count=2)
    inputs = Inputs.own(cut)
    order = [Address.parse("decoder.1.cross.2"), *model.anatomy.heads[:6]]
    told: list[tuple[int, int, str]] = []
    found = repair(job, inputs, {"mine": order}, progress=lambda *one: told.append(one))
    assert tuple(found.columns) == COLUMNS
    assert found["order"].tolist() == ["untouched"] + ["mine"] * 4
    assert found["k"].tolist() == [0, 1, 2, 1, 2]
    assert found["scale"].tolist() == [1, 0, 0, 0.5, 0.5]
    assert found["heads"][2] == "decoder.1.cross.2 encoder.0.self.0"
    assert found["MASE"][0] == found["WQL_high"][0] == 1
    assert told[-1] == (5, 5, "mine:2 x 0.5")
    judged = answer(ablate(model, series, horizon=5, windows=2, only="decoder.1.cross.2"))
    row = judged[(judged["metric"] == "WQL") & (judged["kind"] == "head")].iloc[0]
    assert found.loc[1, ["WQL", "WQL_low", "WQL_high"]].tolist() == [
        pytest.approx(row[name], rel=1e-5) for name in ("ratio", "low", "high")
    ]
    sweep = inputs.judging_heads().sweep(model, scale=0.5)
    said = points(sweep, Trial("half", "head", (order[0],)))
    pairs = zip(inputs.references, said, strict=True)
    own = np.mean([references.likeness(one).index for references, one in pairs])
    assert found["parroting"][3] == pytest.approx(own)
    assert found["front"].any()


@pytest.mark.parametrize("family", ["chronos-t5", "chronos-bolt"])
def test_a_scale_turns_a_head_down(family: str, tiny: Tiny) -> None:
    model, inputs = tiny(family), Inputs.built_in(Size(40, 4), 3, ("walk",))
    heads, contexts = model.anatomy.heads, [one.seen for one in inputs.windows]
    base = inputs.sweep(model, samples=3).forecasts(UNTOUCHED)
    for at in (heads, heads[:1], heads[-1:]):
        trial = Trial("some", "head", at)
        half, whole = (
            inputs.sweep(model, samples=3, scale=one).forecasts(trial) for one in (0.5, 1.0)
        )
        with edited(model.anatomy, [Edit(one, scale=0.5) for one in at]):
            expected = model.forecast(contexts, 4, 0, 3).values
        np.testing.assert_allclose(half, expected, rtol=1e-5)
        np.testing.assert_array_equal(whole, base)
        assert len(at) == 1 or (half != base).any()
