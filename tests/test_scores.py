"""Scores from weights alone equal those of matrices that are assembled in full."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.assembled import brute, composed, ranks, singular, whole
from tests.families import NETWORKS
from tsfm_probe.address import Address
from tsfm_probe.anatomy import Component
from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.scores.matrices import matrices
from tsfm_probe.scores.weights import COLUMNS, COMPARED, METHODS, head_order, scored, spectrum

Tiny = Callable[[str], Model]
TOLERANCE = {"rtol": 1e-6, "atol": 2e-8}
COMPOSITION = {"rtol": 0.0, "atol": 1e-6}  # computed in single precision


@pytest.mark.parametrize("folded", [False, True], ids=["plain", "folded"])
@pytest.mark.parametrize("family", NETWORKS)
def test_every_score_equals_that_of_the_assembled_matrices(
    family: str, folded: bool, tiny: Tiny
) -> None:
    model, variant = tiny(family), "folded" if folded else "plain"
    table = scored(model, METHODS, variant)
    assert tuple(table.columns) == COLUMNS
    assert set(table["variant"]) == {variant}
    assert table["lag"].isna().all()
    heads = model.anatomy.heads
    last = [one for one in heads if one.whole == heads[-1].whole]
    chosen = heads if len(singular(whole(model, heads[0], False).o)) < 32 else last
    for at in chosen:
        found = table[table["address"] == str(at)].set_index("method")["value"]
        expected = brute(model, at, folded)
        for method, value in expected.items():
            np.testing.assert_allclose(found.pop(method), value, **TOLERANCE, err_msg=method)
        joint = composed(model, at, folded)
        for method, value in joint.items():
            np.testing.assert_allclose(found.pop(method), value, **COMPOSITION, err_msg=method)
        assert found.empty


@pytest.mark.parametrize("family", [one for one in NETWORKS if one.startswith(("times", "toto"))])
@torch.no_grad()
def test_the_rotary_score_is_that_of_the_assembled_matrix_at_every_lag(
    family: str, tiny: Tiny
) -> None:
    model, lags = tiny(family), (0.0, 1.0, 7.0)
    table = scored(model, COMPARED, "rotary", lags)
    turned = [at for at in model.anatomy.heads if model.anatomy[at].rotary is not None]
    assert set(table["address"]) == set(map(str, turned))
    for at in turned:
        component, plain = model.anatomy[at], whole(model, at, False)
        assert component.rotary is not None
        q, k = (
            rows * (1 if component.projections[name].gain is None
                    else component.projections[name].gain.double())
            for name, rows in (("q", plain.q), ("k", plain.k))
        )  # fmt: skip
        for lag in lags:
            form = q.T @ component.rotary(lag).double() @ k
            rows = table[(table["address"] == str(at)) & (table["lag"] == lag)]
            found = rows.set_index("method")["value"]
            skew = float(((form - form.T) / 2).pow(2).sum() / form.pow(2).sum())
            expected = (*ranks(singular(form)), skew)
            np.testing.assert_allclose(found[list(COMPARED)], expected, **TOLERANCE)


def test_a_turn_changes_what_a_head_compares_and_a_gain_its_rank(tiny: Tiny) -> None:
    table = scored(tiny("chronos-2"), ("stable-rank",), "rotary", (0.0, 8.0))
    by = table.pivot(index="address", columns="lag", values="value")
    assert (by[0.0] - by[8.0]).abs().min() > 1e-3
    plain, folded = (
        scored(tiny("timesfm-2.5"), ("stable-rank",), variant)["value"]
        for variant in ("plain", "folded")
    )
    assert (plain - folded).abs().min() > 1e-3


@pytest.mark.parametrize("family", NETWORKS)
def test_every_single_matrix_has_its_stable_rank(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    table = matrices(model)
    assert list(dict.fromkeys(table["address"])) == list(map(str, model.anatomy.parts))
    for part in model.anatomy.parts:
        names = set(table[table["address"] == str(part)]["matrix"])
        assert names in ({"q", "k", "v", "o"}, {"in", "out"}, {"gate", "value", "out"})
    component = model.anatomy[model.anatomy.parts[0]]
    by = table[table["address"] == str(component.at)].set_index("matrix")["stable_rank"]
    assert component.mix is not None
    np.testing.assert_allclose(by["o"], ranks(singular(component.mix.weight))[0], rtol=1e-6)
    rows = torch.cat([component.rows("k", head) for head in _owners(component)])
    np.testing.assert_allclose(by["k"], ranks(singular(rows))[0], rtol=1e-6)
    mlp = next(at for at in model.anatomy.parts if not model.anatomy[at].heads)
    matrix = model.anatomy[mlp].matrices["out"]
    by = table[table["address"] == str(mlp)].set_index("matrix")["stable_rank"]
    np.testing.assert_allclose(by["out"], ranks(singular(matrix))[0], rtol=1e-6)


def _owners(component: Component) -> range:
    """One head for each set of keys."""
    return range(0, component.heads, component.heads // component.projections["k"].groups)


def test_the_mlp_matrices_are_all_the_weights_of_the_mlp(tiny: Tiny) -> None:
    for family in NETWORKS:
        model = tiny(family)
        table = matrices(model)
        attention = table[table["matrix"].isin(list("qkvo"))]
        mlp = table.drop(attention.index)
        counted = {
            name: int((part["rows"] * part["columns"]).sum())
            for name, part in (("attention", attention), ("mlp", mlp))
        }
        told = {"attention": 0, "mlp": 0}
        for name, weight in model.net.named_parameters():
            if re.search(r"\b(layers|block)\.\d", name) and weight.ndim == 2 and "bias" not in name:
                where = any(one in name.lower() for one in ("ffn", "mlp", "dense", "ff0", "ff1"))
                told["mlp" if where else "attention"] += weight.numel()
        assert counted == told, family


def test_the_spectrum_holds_the_singular_values_and_their_energy(tiny: Tiny) -> None:
    model = tiny("toto-1")
    table = spectrum(model)
    for at in model.anatomy.heads:
        own, weights = table[table["address"] == str(at)], whole(model, at, False)
        values = singular(weights.q.T @ weights.k)[: len(own)]
        np.testing.assert_allclose(own["value"], values, rtol=1e-6)
        np.testing.assert_allclose(
            own["energy"], np.cumsum(values**2) / (values**2).sum(), rtol=1e-6
        )
    assert list(table["index"].unique()) == list(range(1, 9))


def test_scores_do_not_change_the_network_and_need_no_pass(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("toto-2")
    before = {name: weight.clone() for name, weight in model.net.named_parameters()}

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a forward pass was made")

    monkeypatch.setattr(torch.nn.Linear, "forward", refuse)
    scored(model, METHODS, "folded")
    scored(model, COMPARED, "rotary")
    matrices(model)
    assert all(torch.equal(before[name], one) for name, one in model.net.named_parameters())


@pytest.mark.parametrize(
    ("family", "methods", "variant", "lags", "words"),
    [
        ("chronos-t5", ("stable-rnk",), "plain", (0,), "did you mean stable-rank"),
        ("chronos-t5", (), "plain", (0,), "no score was asked for"),
        ("chronos-t5", ("stable-rank",), "fold", (0,), "did you mean folded"),
        ("chronos-t5", ("stable-rank",), "rotary", (0,), "does not turn"),
        ("toto-2", ("ov-copying",), "rotary", (0,), "places turn queries and keys alone"),
        ("toto-2", ("stable-rank",), "rotary", (), "lags"),
        ("toto-2", ("stable-rank",), "rotary", (float("nan"),), "lags"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    family: str,
    methods: tuple[str, ...],
    variant: str,
    lags: tuple[float, ...],
    words: str,
    tiny: Tiny,
) -> None:
    with pytest.raises(UsageError, match=words):
        scored(tiny(family), methods, variant, lags)


def test_an_order_needs_a_score_of_every_head(tiny: Tiny) -> None:
    with pytest.raises(UsageError, match=r"does not score decoder\.0\.cross\.0"):
        head_order(tiny("chronos-bolt"), "skew-fraction")
    with pytest.raises(UsageError, match="rotary"):
        head_order(tiny("chronos-2"), variant="rotary")


def test_a_weight_that_is_no_number_is_refused(tiny: Tiny) -> None:
    model = tiny("chronos-bolt")
    with torch.no_grad():
        model.anatomy[Address.parse("decoder.1.cross")].rows("k", 0)[0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"decoder\.1\.cross"):
        scored(model)
