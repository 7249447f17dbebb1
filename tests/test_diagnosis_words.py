"""The sentences of a diagnosis say what its tables hold, and no more."""

import math

import pandas as pd
import pytest

from tsfm_probe.diagnosis.inputs import BIAS, FREE, PARROTING
from tsfm_probe.diagnosis.repair_words import repaired
from tsfm_probe.diagnosis.validation_words import validation
from tsfm_probe.diagnosis.words import sentences

Ends = tuple[float, float, float]
NONE = (0.0, -0.1, 0.1)


def indices(model: Ends, naive: Ends, twin: Ends | None, bias: Ends = NONE) -> pd.DataFrame:
    """Parroting on the motif set, and the bias on those without a period."""
    who = {"model": model, "seasonal naive": naive, "random twin": twin, "truth": (1.0, 1.0, 1.0)}
    rows = [(one, "motif", PARROTING, *ends) for one, ends in who.items() if ends is not None]
    for name in FREE:
        rows += [("model", name, PARROTING, *NONE), ("truth", name, PARROTING, *NONE)]
        rows.append(("model", name, BIAS, *(bias if name == "walk" else NONE)))
        rows.append(("random twin", name, BIAS, 0.05, 0.0, 0.1))
    columns = ["who", "set", "measure", "value", "low", "high"]
    return pd.DataFrame(rows, columns=pd.Index(columns)).assign(count=8)


def against(beyond: Ends) -> pd.DataFrame:
    """By how much the model exceeds twin and seasonal naive on all sets."""
    rows = [
        (other, name, measure, *beyond)
        for other in ("random twin", "seasonal naive")
        for name in ("motif", *FREE)
        for measure in (PARROTING, BIAS)
    ]
    columns = ["other", "set", "measure", "value", "low", "high"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def behaviour(
    found: pd.DataFrame, outcome: str = "made", low: float = -0.1, beyond: Ends = (0.2, 0.1, 0.3)
) -> list[str]:
    columns = ["who", "set", "period", "value", "low", "high"]
    rows = [("model", "walk", 12, 0.3, low, 0.4), ("truth", "walk", 7, 0.9, 0.8, 1.0)]
    seasons = pd.DataFrame(rows, columns=pd.Index(columns))
    twin = pd.DataFrame({"outcome": [outcome]})
    frames = {"indices": found, "against": against(beyond), "seasons": seasons, "twin": twin}
    return sentences(frames, "d")


@pytest.mark.parametrize(
    ("model", "beyond", "verdict"),
    [
        ((0.8, 0.3, 0.9), (0.5, 0.1, 0.9), "It parrots where "),
        ((0.8, 0.7, 0.9), (0.5, -0.1, 0.9), "From so many contexts it cannot be told "),
        ((0.8, -0.1, 1.0), (0.5, 0.1, 0.9), "From so many contexts it cannot be told "),
        ((0.2, 0.1, 0.9), (-0.1, -0.3, 0.1), "It does not parrot where "),
        ((-0.1, -0.2, 0.0), (0.5, 0.1, 0.9), "It does not parrot where "),
    ],
)
def test_it_parrots_if_it_is_surely_more_like_a_parrot_than_those_that_do_not(
    model: Ends, beyond: Ends, verdict: str
) -> None:
    found = indices(model, (0.3, 0.2, 0.4), (0.1, 0.0, 0.2))
    first = behaviour(found, beyond=beyond)[0]
    assert first.startswith(verdict)
    assert f"{model[0]:.2f} ({model[1]:.2f} to {model[2]:.2f})" in first
    assert "0.10 (0.00 to 0.20) for its random twin" in first or "0.30 (0.20 to 0.40)" in first
    assert first.count("for seasonal naive") == 1


def test_without_a_twin_the_reason_is_told() -> None:
    said = behaviour(indices((0.8, 0.7, 0.9), NONE, None), "the weights are secret")
    assert "random twin" not in said[0]
    assert said[-1] == "There is no random twin beside it: the weights are secret."
    assert not any("no random twin" in one for one in behaviour(indices(NONE, NONE, NONE)))


def test_seasons_are_seen_where_the_bias_is_surely_above_that_of_the_twin() -> None:
    said = behaviour(indices(NONE, NONE, NONE, (0.3, 0.2, 0.4)))
    (one,) = [line for line in said if line.startswith("It sees seasons where none are, on walk:")]
    assert "+0.30 (+0.20 to +0.40) on walk (its random twin +0.05 (+0.00 to +0.10))" in one
    less = behaviour(indices(NONE, NONE, NONE, (0.3, 0.2, 0.4)), beyond=(0.2, -0.1, 0.5))
    assert any(line.startswith("It is not shown to see seasons") for line in less)


def test_a_season_that_stands_out_is_told_with_a_warning_if_it_is_sure() -> None:
    found = indices(NONE, NONE, NONE)
    assert not any("stands out" in line for line in behaviour(found))
    (one,) = [line for line in behaviour(found, low=0.2) if "stands out" in line]
    assert one.startswith("Of 1 seasons, 12 steps stands out most, on walk: +0.30")
    assert "to be judged anew" in one


def causes(*rows: tuple[str, float, float], measure: str = PARROTING) -> pd.DataFrame:
    """Heads with their change and q, and one row of noise."""
    frame = pd.DataFrame(rows, columns=pd.Index(["address", "change", "q"])).assign(kind="head")
    noise = pd.DataFrame({"address": ["noise-1"], "change": [0.02], "q": [math.nan]})
    whole = pd.concat([frame, noise.assign(kind="noise")], ignore_index=True)
    return whole.assign(measure=measure, low=whole["change"] - 0.1, high=whole["change"] + 0.1)


def test_heads_are_named_by_their_drop_if_it_is_sure() -> None:
    found = causes(("a.0.self.0", -0.2, 0.01), ("a.0.self.1", -0.5, 0.01), ("a.0.self.2", 0.9, 0.0))
    first, second = sentences({"causal": found}, "d")
    assert first == (
        "Behind parroting: Heads without which it surely drops (3 heads, false discovery rate "
        "5\u00a0%): a.0.self.1 (-0.50 (-0.60 to -0.40)), a.0.self.0 (-0.20 (-0.30 to -0.10)). "
        "Another seed alone changes it by up to 0.02."
    )
    assert second == "No head can be tried for the seasonality bias: no context has the index."


def test_no_head_and_one_head_are_told() -> None:
    none = causes(("a.0.self.0", -0.2, 0.3), ("a.0.self.1", 0.5, 0.0))
    assert sentences({"causal": none}, "d")[0].startswith(
        "No single head is surely behind parroting (2 heads, false discovery rate 5\u00a0%): the "
        "largest drop without one is that of a.0.self.0, -0.20 (-0.30 to -0.10)."
    )
    one = causes(("a.0.self.0", -0.2, 0.01), measure=BIAS)
    assert sentences({"causal": one}, "d")[1].startswith(
        "Behind the seasonality bias: The head without which it surely drops (1 heads"
    )


def validated(verdict: str, true: int, auc: Ends) -> pd.DataFrame:
    flags = {"stable rank (plain, in its attention)": verdict, "combined": "holds"}
    rows = [
        {"flag": flag, "measure": one, "verdict": own}
        for one in (PARROTING, BIAS)
        for flag, own in (flags | {"random order": ""}).items()
    ]
    numbers = dict(zip(("auc", "auc_low", "auc_high"), auc, strict=True))
    return pd.DataFrame(rows).assign(heads=24, true=true, at_true=0.5, **numbers)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("holds", "holds here"),
        ("reversed", "is reversed here"),
        ("not shown", "is not shown to hold here"),
    ],
)
def test_the_claim_is_judged_with_its_numbers(verdict: str, words: str) -> None:
    first, second = validation(validated(verdict, 6, (0.7, 0.6, 0.8)))
    assert first == (
        "That a low stable rank marks the heads behind parroting (arXiv 2602.01605) "
        f"{words}, with an AUC of 0.70 (0.60 to 0.80) where 0.5 is chance; of the 6 first heads "
        "that it names 50% are true, of a random order 25%. The flags that hold: combined (AUC "
        "0.70 (0.60 to 0.80))."
    )
    assert "behind seasonality bias" in second


@pytest.mark.parametrize(
    ("true", "words"),
    [(0, "none of 24 heads surely is"), (1, "only 1 of 24 heads surely is"),
     (23, "all but 1 of 24 heads surely are")],
)  # fmt: skip
def test_where_too_few_heads_cause_it_the_claim_cannot_be_told(true: int, words: str) -> None:
    first, _ = validation(validated("cannot be told", true, (math.nan, math.nan, math.nan)))
    assert "cannot be told here: " + words in first


def cuts(*rows: tuple[str, int, float, float, float]) -> pd.DataFrame:
    """Order, k, scale, parroting, MASE; intervals are 0.1 and 0.05 to either side."""
    columns = ["order", "k", "scale", "parroting", "MASE"]
    found = pd.DataFrame(rows, columns=pd.Index(columns)).assign(bias=0.0)
    for name, half in {"parroting": 0.1, "bias": 0.1, "MASE": 0.05}.items():
        found[f"{name}_low"], found[f"{name}_high"] = found[name] - half, found[name] + half
    return found


def test_repair_is_told_by_the_lowest_without_shown_harm_beside_random_heads() -> None:
    found = cuts(
        ("untouched", 0, 1, 0.8, 1), ("mine", 1, 0, 0.5, 1.02), ("mine", 2, 0, 0.1, 1.5),
        ("mine", 1, 0.5, 0.4, 0.97), ("random-1", 1, 0.5, 0.7, 1), ("random-2", 1, 0.5, 0.8, 1),
    )  # fmt: skip
    first, second = repaired(found, "visits")
    assert first == (
        "Repair: scaling to 0.5 the first head by “mine” lowers parroting from 0.80 to 0.40 (0.30 "
        "to 0.50), of as many random heads to 0.75, without shown harm to accuracy on visits: MASE "
        "-3.0\u00a0% (-8.0 to +2.0)."
    )
    assert second == (
        "Repair: the seasonality bias is not surely there to be lowered (0.00 untouched)."
    )
    kept = found.assign(parroting_low=0.01, parroting_high=0.9)
    assert repaired(kept, "v")[0] == (
        "Repair: no cut or scaling that was tried surely lowers parroting (0.80)."
    )
    harmful, _ = repaired(found.loc[found["order"].isin(["untouched"]) | (found["k"] == 2)], "v")
    assert "cutting the first 2 heads by “mine”" in harmful
    assert "not without harm to accuracy on v: MASE +50.0" in harmful


def test_the_order_of_copying_is_told_or_that_there_is_none() -> None:
    columns = ["matched", "value", "low", "high", "beyond", "beyond_low"]
    rows = [
        (0, 0.0, -0.1, 0.1, 0.0, 0.0),
        (1, 0.0, -0.1, 0.1, 0.0, -0.1),
        (2, 0.9, 0.8, 1, 0.9, 0.8),
    ]
    found = pd.DataFrame(rows, columns=pd.Index(columns))
    assert sentences({"order": found}, "d") == [
        "Order of copying: 2 matching values are enough; what followed them is copied with a "
        "parroting index of 0.90 (0.80 to 1.00)."
    ]
    assert sentences({"order": found.iloc[:2]}, "d") == [
        "Order of copying: after up to 1 matching values it does not surely copy what followed "
        "them."
    ]
