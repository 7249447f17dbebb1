"""The laws hold on every family, and each kills the mutant that is made for it."""

import dataclasses
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from tests import test_cut
from tests.families import NETWORKS, contexts
from tsfm_probe.anatomy import Anatomy, Component
from tsfm_probe.laws import LAWS, Finding, check, edits, forecasts, gradients, sums
from tsfm_probe.laws.subject import Subject
from tsfm_probe.models.base import ACROSS, Model
from tsfm_probe.surgery import edit, record
from tsfm_probe.surgery.layout import Layout

Tiny = Callable[[str], Model]
HORIZON = 9


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
def test_every_law_holds(family: str, tiny: Tiny) -> None:
    findings = list(check(tiny(family), contexts(), HORIZON))
    assert [one.number for one in findings] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert [one for one in findings if one.fails] == []
    untried = [one.number for one in findings if not one.tried]
    assert untried == ([] if has_upstream(tiny(family)) else [13])


def has_upstream(model: Model) -> bool:
    """Whether the family's upstream library is a dependency: the other networks are our own."""
    return type(model).deviation_from_upstream is not Model.deviation_from_upstream


def deviation(law: Callable[[Subject], Finding], model: Model) -> Finding:
    return law(Subject.of(model, contexts(), HORIZON))


def rebuilt(model: Model, change: Callable[[Component], Component]) -> None:
    """Replace the components of a model's anatomy by changed ones."""
    old = model.anatomy
    parts = [change(old[at]) for at in old.parts]
    model.anatomy = Anatomy(parts, list(old.stacks.values()), old.output)


@pytest.mark.parametrize("family", NETWORKS)
def test_law_1_kills_a_watcher_that_writes(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writes(*_: Any) -> Callable[..., None]:
        return lambda module, inputs, output: output.mul_(1.01)

    monkeypatch.setattr(record, "_output_to", writes)
    assert not deviation(edits.no_edit_no_change, tiny(family)).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_2_kills_an_edit_that_does_not_arrive(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edit._Replace, "_replaced", lambda self, value, axes: value)
    assert not deviation(edits.every_edit_reaches, tiny(family)).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_3_kills_a_hook_that_stays_after_an_error(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def leaking(anatomy: Anatomy, asked: Any) -> Any:
        layout = Layout(anatomy.reads)
        handles = [edit._Replace(anatomy[one.at], layout, (one,)).place() for one in asked]
        yield
        for handle in handles:  # not reached after an error
            handle.remove()

    monkeypatch.setattr(edits, "edited", leaking)
    assert not deviation(edits.no_hook_outlives, tiny(family)).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_4_kills_a_head_that_is_left_out(family: str, tiny: Tiny) -> None:
    model = tiny(family)

    def narrow(component: Component) -> Component:
        one, size = dataclasses.replace(component), component.head_dim - 1
        object.__setattr__(one, "columns", lambda head: slice(head * size, head * size + size))
        return one

    changed = [narrow(model.anatomy[at]) for at in model.anatomy.parts]
    model.anatomy = Anatomy(changed, list(model.anatomy.stacks.values()), model.anatomy.output)
    assert not deviation(edits.all_heads_are_the_attention, model).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_5_kills_a_forgotten_part(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    old = model.anatomy
    kept = [old[at] for at in old.parts if at.part != "mlp" or at.layer != 1]
    model.anatomy = Anatomy(kept, list(old.stacks.values()), old.output)
    assert not deviation(edits.all_parts_are_the_layer, model).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_6_kills_a_write_read_at_the_wrong_place(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    first, second = [at for at in model.anatomy.parts if at.part == "mlp"][:2]
    mlp = model.anatomy[first].write

    def misplaced(one: Component) -> Component:
        return dataclasses.replace(one, write=mlp) if one.at == second else one

    rebuilt(model, misplaced)
    assert not deviation(sums.writes_sum_to_the_stream, model).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_7_kills_shares_from_strided_columns(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strided(self: Component, mixed: torch.Tensor) -> torch.Tensor:
        assert self.mix is not None
        weights = (self.mix.weight[:, head :: self.heads] for head in range(self.heads))
        heads = (mixed[..., self.columns(head)] for head in range(self.heads))
        return torch.stack([one @ weight.T for one, weight in zip(heads, weights, strict=True)])

    monkeypatch.setattr(Component, "shares", strided)
    assert not deviation(sums.shares_sum_to_the_write, tiny(family)).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_8_kills_a_readout_of_other_channels(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    whole = model.readout

    def turned(stream: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        read = whole(stream.roll(1, dims=-1))
        return lambda part: read(part.roll(1, dims=-1))

    model.readout = turned
    assert not deviation(sums.effects_sum_to_the_prediction, model).holds


def test_law_8_needs_the_norm_frozen_for_effects_to_sum(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    norm, scale = model.anatomy.reads.end, model.net.config.d_model**-0.5
    model.readout = lambda stream: lambda part: model.net.lm_head(norm(part) * scale)
    found = deviation(sums.effects_sum_to_the_prediction, model)
    assert found.deviation > 0.1


@pytest.mark.parametrize("family", NETWORKS)
def test_law_9_kills_rows_in_the_other_order(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    other = {"head row": "row head", "row head": "head row"}

    def turned(one: Component) -> Component:
        projections = {
            name: dataclasses.replace(projection, order=other[projection.order])
            for name, projection in one.projections.items()
        }
        return dataclasses.replace(one, projections=projections)

    rebuilt(model, turned)
    assert not deviation(sums.weights_belong_to_their_head, model).holds


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("name", ["q", "k"])
def test_law_9_kills_a_turned_projection_between_series(family: str, name: str, tiny: Tiny) -> None:
    model = tiny(family)
    if not model.joint:
        pytest.skip("it reads each series on its own")
    other = {"head row": "row head", "row head": "head row"}

    def turned(one: Component) -> Component:
        if one.at.part not in ACROSS:
            return one
        own = one.projections[name]
        changed = {name: dataclasses.replace(own, order=other[own.order])}
        return dataclasses.replace(one, projections=dict(one.projections) | changed)

    rebuilt(model, turned)
    assert not deviation(sums.weights_belong_to_their_head, model).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_11_kills_randomness_that_depends_on_the_batch(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    whole = type(model).decode

    def batch_dependent(self: Model, state: Any, *args: Any) -> Any:
        found = whole(self, state, *args)
        return type(found)(found.values * (1 + 1e-3 * len(found.values)), found.levels)

    monkeypatch.setattr(type(model), "decode", batch_dependent)
    assert not deviation(forecasts.same_seed_same_forecast, model).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_12_kills_a_weight_that_is_not_saved(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    whole = type(model).save

    def forgetful(self: Model, folder: Any) -> None:
        weight = self.anatomy[self.anatomy.parts[0]].projections["v"].linear.weight
        with torch.no_grad():
            weight[0, 0] += 1.0
            whole(self, folder)
            weight[0, 0] -= 1.0

    monkeypatch.setattr(type(model), "save", forgetful)
    assert not deviation(forecasts.saving_keeps_the_forecast, model).holds


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
def test_law_13_kills_a_context_that_is_cut_short(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    if not has_upstream(model):
        pytest.skip("the network is our own: tests/parity compares it")
    whole = type(model).encode
    monkeypatch.setattr(
        type(model), "encode", lambda self, given, _=None: whole(self, [one[-12:] for one in given])
    )
    assert not deviation(forecasts.equals_upstream, model).holds


@pytest.mark.parametrize("family", NETWORKS)
def test_law_14_kills_a_backward_pass_of_its_own(
    family: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As unit scaling has it: the forward pass is right and the backward pass is scaled."""

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
            return 1.2 * grads[0]

    model = tiny(family)
    output = model.anatomy.output
    whole = output.forward
    monkeypatch.setattr(gradients, "STEPS", gradients.STEPS[:1])
    output.forward = lambda *given: Scaled.apply(whole(*given))
    assert not deviation(gradients.gradients_are_true, model).holds


def test_every_law_has_a_mutant() -> None:
    """Each law is named by a test here, or in test_cut, that kills something."""
    tests = (*globals(), *vars(test_cut))
    killed = {int(name.split("_")[2]) for name in tests if "_kills_" in name}
    assert killed == set(range(1, 15))
    assert len(LAWS) == len(killed)


@pytest.mark.parametrize("family", NETWORKS)
def test_undefined_weights_make_every_sum_fail(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    with torch.no_grad():
        model.anatomy[model.anatomy.parts[0]].projections["v"].linear.weight[0, 0] = torch.nan
    for law in (sums.writes_sum_to_the_stream, sums.shares_sum_to_the_write):
        assert not deviation(law, model).holds
