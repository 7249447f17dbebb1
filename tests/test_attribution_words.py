"""The sentences that tell what attribution found."""

import math

import pandas as pd
import pytest

from tsfm_probe.attribution.answer import LAYERS, PARTS, Answer, parts
from tsfm_probe.attribution.effects import COLUMNS, DIRECT, REMAINDER, THROUGH, WHOLE
from tsfm_probe.attribution.words import sentences

AGREED = {
    "heads": 12.0, "spearman": 0.5, "low": 0.25, "high": 0.75,
    "signed_spearman": -0.1, "signed_low": math.nan, "signed_high": math.nan,
}  # fmt: skip


def effects(remainder: float) -> pd.DataFrame:
    """A head that writes 3 in size (-1 on the mean), an MLP 6, over two steps of unequal count."""
    rows = [
        (DIRECT, "head", "decoder.0.cross.1", 0, -1.0, 3.0, 10),
        (DIRECT, "head", "decoder.0.cross.1", 1, -1.0, 3.0, 30),
        (DIRECT, "mlp", "decoder.0.mlp", 0, 9.0, 9.0, 10),
        (DIRECT, "mlp", "decoder.0.mlp", 1, 5.0, 5.0, 30),
        (DIRECT, "layer", "decoder.0", 0, 8.0, 8.0, 10),
        (DIRECT, REMAINDER, REMAINDER, 0, 0.0, remainder, 10),
        (DIRECT, WHOLE, WHOLE, 0, 8.0, 8.0, 10),
        (THROUGH, "embedding", "encoder.embedding", 0, 2.0, 2.0, 10),
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def answer(
    remainder: float = 0.0, crystallised: str = "", critical: str = "", agreement: object = None
) -> Answer:
    errors = [("embedding", 9.0), ("0", 2.0), ("1", 1.0)]
    layers = pd.DataFrame(
        [(layer, "error", value) for layer, value in errors], columns=pd.Index(LAYERS)
    )
    found = AGREED if agreement else {}
    return Answer(parts(effects(remainder)), layers, crystallised, critical, found)


def test_parts_are_means_weighed_by_cases_and_shares_sum_to_one() -> None:
    found = parts(effects(1.0))
    assert tuple(found.columns) == PARTS
    direct = found.loc[found["path"] == DIRECT].set_index("address")
    assert list(direct.index) == ["decoder.0.mlp", "decoder.0.cross.1", REMAINDER]
    assert direct["size"].tolist() == [6.0, 3.0, 1.0]
    assert direct["effect"].tolist() == [6.0, -1.0, 0.0]
    assert direct["share"].tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert found.loc[found["path"] == THROUGH]["share"].tolist() == [1.0]


def test_the_largest_parts_and_kinds_are_named_with_their_shares() -> None:
    said = sentences({"effects": effects(1.0)}, answer(1.0), "0.9", encoder=True)
    assert said[0] == (
        "Most is written towards the 0.9 quantile by decoder.0.mlp (60.0\u00a0%), "
        "decoder.0.cross.1 (30.0\u00a0%); together: MLPs 60.0\u00a0%, all heads 30.0\u00a0% "
        "(shares of the sizes of all effects, summed over windows and steps)."
    )
    assert said[1].startswith("Through cross-attention most comes from encoder.embedding (100.0")
    assert "the remainder, which belongs to no single part, is 10.0\u00a0%" in said[2]


def test_a_remainder_of_rounding_is_none() -> None:
    for size, none in ((7e-4, True), (9e-4, False)):
        said = sentences({"effects": effects(size)}, answer(size), "bin", encoder=True)
        assert ("0 within rounding" in said[2]) == none


@pytest.mark.parametrize(
    ("layer", "start"),
    [
        ("embedding", "Crystallisation: the embedding alone already forecasts within 5\u00a0%"),
        ("0", "Crystallisation: from layer 0 on (layers are 0 to 1)"),
        ("1", "Crystallisation: only the forecast of the last layer, 1, stays within 5\u00a0%"),
    ],
)
def test_the_layer_of_crystallisation_is_told(layer: str, start: str) -> None:
    (one,) = [
        line
        for line in sentences({"effects": effects(0)}, answer(crystallised=layer), "bin", False)
        if line.startswith("Crystallisation")
    ]
    assert one.startswith(start)
    assert "final error (1)" in one


def test_a_critical_layer_is_told_or_that_there_is_none() -> None:
    frames = {"effects": effects(0), "overthinking": pd.DataFrame()}
    assert any("layer 1 is the critical one" in one for one in said_of(frames, critical="1"))
    assert any("no critical layer is seen" in one for one in said_of(frames))
    assert not any("Overthinking" in one for one in said_of({"effects": effects(0)}))


def said_of(frames: dict[str, pd.DataFrame], critical: str = "") -> list[str]:
    return sentences(frames, answer(critical=critical), "bin", encoder=False)


def test_heads_are_most_alike_by_their_share_of_all_heads() -> None:
    ranks = pd.DataFrame(
        [("a.0.self", 4, 2.0), ("a.1.self", 8, 3.0), ("a.2.self", 4, 3.5)],
        columns=pd.Index(["attention", "heads", "rank"]),
    )
    (one,) = [line for line in said_of({"effects": effects(0), "ranks": ranks}) if "alike" in line]
    assert one == (
        "The heads of a.1.self are most alike (entropic rank 3.00 of 8), those of a.2.self least "
        "(3.50 of 4)."
    )


def test_agreement_is_told_with_its_interval_where_there_is_one() -> None:
    frames = {"effects": effects(0), "totals": pd.DataFrame(index=range(20))}
    (one,) = [
        line
        for line in sentences(frames, answer(agreement=True), "bin", True)
        if "rank correlation" in line
    ]
    assert one.startswith(
        "Direct and total effects of 12 of 20 heads: rank correlation 0.50 (0.25 to 0.75) of their "
        "sizes, -0.10 of the effects themselves."
    )


def test_what_is_indirect_is_never_left_unsaid() -> None:
    with_share = effects(0)
    without = with_share.loc[with_share["path"] == DIRECT]
    bare = Answer(parts(without), answer().layers, "", "", {})
    assert (
        "--what encoder tells its share" in sentences({"effects": without}, bare, "bin", True)[-1]
    )
    assert "the encoder" not in sentences({"effects": without}, bare, "bin", False)[-1]
    told = sentences({"effects": with_share}, answer(), "bin", True)[-1]
    assert "what it does to the maps is indirect too" in told
    for encoder in (True, False):
        last = sentences({"effects": without}, bare, "bin", encoder)[-1]
        assert "What it writes to other tokens reaches the forecast through later" in last
