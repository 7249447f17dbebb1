"""Effects are what their definition says, and sum to the prediction, whoever wrote them."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.families import NETWORKS, contexts
from tests.planted import with_dead
from tsfm_probe.address import Address
from tsfm_probe.attribution.effects import DIRECT, SUMMED, THROUGH, Effects, effect_on
from tsfm_probe.attribution.target import Target
from tsfm_probe.attribution.through import Through, crosses
from tsfm_probe.attribution.total import Totals
from tsfm_probe.attribution.walk import Cases, Glimpse, Walk
from tsfm_probe.attribution.writes import HEAD, Write, writes
from tsfm_probe.errors import UsageError
from tsfm_probe.laws.subject import relative
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.edit import Edit, edited

Tiny = Callable[[str], Model]
HORIZON = 14  # longer than two native lengths of the tiny Chronos-T5
LONG = {"chronos-bolt": 21}
SEQ2SEQ = ("chronos-t5", "chronos-bolt")


def cases(horizon: int = HORIZON) -> Cases:
    """Of two lengths, with gaps; nothing is known of the first, half of the second."""
    given = contexts()
    last = np.array([one[-1] for one in given])[:, None]
    truth = last + np.random.default_rng(1).normal(size=(len(given), horizon)).cumsum(axis=1)
    truth[0], truth[1, ::2] = np.nan, np.nan
    return Cases(given, truth, np.ones(len(given)))


def everything(model: Model, horizon: int = HORIZON) -> Walk:
    anatomy = model.anatomy
    return Walk(
        model,
        cases(horizon),
        anatomy.attentions,
        anatomy.parts,
        tuple(one for one in anatomy.stacks if one != anatomy.reads.name),
    )


def effects(model: Model, *targets: Target) -> list[pd.DataFrame]:
    made = [Effects(model, one, HORIZON) for one in targets]
    for glimpse in everything(model).glimpses():
        for one in made:
            one.add(glimpse)
    return [one.table() for one in made]


def plain(model: Model, targets: Sequence[str]) -> np.ndarray:
    """What is aimed at [case, target, step], from forecasts of one case at a time."""
    found = []
    for context, truth in zip(cases().contexts, cases().truth, strict=True):
        passes = list(model.trace([context], HORIZON))
        for target in targets:
            numbers = [one.aim(target, truth[None])(one.prediction)[0] for one in passes]
            found.append(torch.cat(numbers).detach().numpy())
    return np.reshape(found, (-1, len(targets), HORIZON))


def targets_of(model: Model) -> tuple[str, ...]:
    return model.reading(contexts()).targets


def own(model: Model, glimpse: Glimpse) -> list[Write]:
    return list(writes(model.anatomy, model.anatomy.reads.name, glimpse.record, glimpse.tokens))


def total(values: list[Tensor]) -> Tensor:
    return reduce(add, values)


@pytest.mark.parametrize("family", NETWORKS)
def test_what_was_written_sums_to_the_final_stream(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    for glimpse in everything(model, LONG.get(family, HORIZON)).glimpses():
        values = [one.value for one in own(model, glimpse)]
        assert relative(total(values), glimpse.streams[-1]) < 1e-5


@pytest.mark.parametrize("family", NETWORKS)
def test_an_effect_is_what_the_readout_lacks_without_the_write(family: str, tiny: Tiny) -> None:
    model, target = tiny(family), Target("truth")
    for glimpse in everything(model).glimpses():
        stream, aimed = glimpse.streams[-1], target.aimed(glimpse)
        read, effect = model.readout(stream), effect_on(model, glimpse, aimed)
        with torch.no_grad():
            assert relative(read(stream), glimpse.made.prediction[:, -glimpse.tokens :]) < 1e-5
            whole = aimed(read(stream))
            for one in own(model, glimpse):
                expected = whole - aimed(read(stream - one.value))
                found = effect(one.value)
                assert torch.equal(found.isnan(), expected.isnan())
                off = (found - expected).nan_to_num().abs().max()
                assert off <= 1e-5 * float(whole.nan_to_num().abs().max())


@pytest.mark.parametrize("family", NETWORKS)
def test_effects_and_the_remainder_are_the_prediction(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    every = [one for one in targets_of(model) if one != "level"]
    expected = plain(model, every)
    for place, table in enumerate(effects(model, *map(Target, every))):
        assert set(table["path"]) == {DIRECT}
        parts = table[table["kind"].isin([*SUMMED, "(remainder)"])].groupby("step")
        whole, wanted = table[table["kind"] == "prediction"], expected[:, place]
        size = np.nanmean(np.abs(wanted), axis=0)
        assert (np.abs(parts["effect"].sum() - np.nanmean(wanted, axis=0)) < 1e-4 * size).all()
        np.testing.assert_allclose(whole["size"], size, rtol=1e-4)
        assert list(whole["count"]) == list((~np.isnan(wanted)).sum(axis=0))


def test_nothing_remains_where_the_readout_is_linear(tiny: Tiny) -> None:
    for table in effects(tiny("chronos-t5"), *map(Target, ("bin", "median", "0.9", "truth"))):
        sizes = table.set_index(["kind", "step"])["size"]
        assert len(sizes["(remainder)"]) == HORIZON
        assert (sizes["(remainder)"] / sizes["prediction"]).max() < 1e-4


def test_the_norm_has_to_be_frozen_for_nothing_to_remain(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    norm, scale = model.anatomy.reads.end, model.net.config.d_model**-0.5
    model.linear_readout = False  # type: ignore[misc]
    model.readout = lambda stream: lambda part: model.net.lm_head(norm(part) * scale)
    (table,) = effects(model, Target("bin"))
    sizes = table.set_index(["kind", "step"])["size"]
    assert (sizes["(remainder)"] / sizes["prediction"]).min() > 0.1


def test_the_heads_of_a_layer_sum_to_their_attention(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    attentions = [at for at in model.anatomy.attentions if at.stack == "decoder"]
    for glimpse in everything(model).glimpses():
        effect = effect_on(model, glimpse, Target("bin").aimed(glimpse))
        found = {one.address: effect(one.value) for one in own(model, glimpse)}
        for at in attentions:
            heads = [found[f"{at}.{head}"] for head in range(4)]
            assert relative(total(heads), effect(glimpse.record.parts[at][-1])) < 1e-5


@pytest.mark.parametrize("family", NETWORKS)
def test_a_target_of_one_step_keeps_that_step_alone(family: str, tiny: Tiny) -> None:
    model, columns = tiny(family), ["path", "kind", "address", "effect", "size", "count"]
    every, only = effects(model, Target("truth"), Target("truth", 8))
    assert set(only["step"]) == {8}
    kept = every[every["step"] == 8]
    pd.testing.assert_frame_equal(kept[columns].reset_index(drop=True), only[columns])


@pytest.mark.parametrize("step", [-1, HORIZON])
def test_a_step_beyond_the_horizon_is_refused(step: int, tiny: Tiny) -> None:
    with pytest.raises(UsageError, match=f"step {step}.*0 to {HORIZON - 1}"):
        effects(tiny("chronos-bolt"), Target("auto", step))


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_shares_of_the_encoder_sum_to_cross_attention(family: str, tiny: Tiny) -> None:
    """In every pass, also after the encoder has run again on a longer or equally long context."""
    model, horizon = tiny(family), LONG.get(family, HORIZON)
    walk, lengths = everything(model, horizon), set[int]()
    for places, given in walk.batches():
        shares = Through.of(model, given)
        assert shares is not None
        for glimpse in walk.along(places, given):
            found = list(shares.writes(glimpse))
            assert len({one.address for one in found}) == len(found) == 1 + 2 * (4 + 1)
            expected = [glimpse.record.parts[at][-1] for at in crosses(model.anatomy)]
            assert relative(total([one.value for one in found]), total(expected)) < 1e-5
            lengths.add(glimpse.record.streams["encoder", 0][-1].shape[1])
    assert len(lengths) > 2 or family == "chronos-bolt"


@pytest.mark.parametrize("family", NETWORKS)
def test_only_cross_attention_lets_another_stack_through(family: str, tiny: Tiny) -> None:
    assert (Through.of(tiny(family), cases(2)) is not None) == (family in SEQ2SEQ)


def test_effects_through_cross_attention_sum_to_those_of_its_heads(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    walk, made = everything(model), Effects(model, Target("median"), HORIZON)
    for places, given in walk.batches():
        shares = Through.of(model, given)
        for glimpse in walk.along(places, given):
            made.add(glimpse, shares)
    table = made.table()
    heads = table[(table["kind"] == HEAD) & table["address"].str.contains("cross")]
    through = table[table["path"] == THROUGH]
    assert set(through["address"].str.split(".").str[0]) == {"encoder"}
    sums = [one.groupby("step")["effect"].sum() for one in (heads, through)]
    np.testing.assert_allclose(*sums, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", NETWORKS)
def test_totals_are_those_of_forecasts_without_the_head(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    heads = [model.anatomy.heads[place] for place in (1, -2)]
    target = targets_of(model)[0]
    walk, asked = everything(model), cases()
    found = Totals(walk, Target(target), heads, False).run().set_index("address")
    means = effects(model, Target(target))[0].groupby("address")["effect"].mean()
    for head in heads:
        whole, other = [], []
        for context, truth in zip(asked.contexts, asked.truth, strict=True):
            before = list(model.trace([context], HORIZON))
            path = np.concatenate([one.median() for one in before], axis=1)
            aims = [one.aim(target, truth[None]) for one in before]
            with edited(model.anatomy, [Edit(head)]):
                after = list(model.trace([context], HORIZON, path))
            whole += [aim(one.prediction) for aim, one in zip(aims, before, strict=True)]
            other += [aim(one.prediction) for aim, one in zip(aims, after, strict=True)]
        lost = (torch.cat(whole, dim=1) - torch.cat(other, dim=1)).detach()
        row, size = found.loc[str(head)], float(lost.abs().mean())
        np.testing.assert_allclose(row["total"], float(lost.mean()), atol=1e-4 * size)
        np.testing.assert_allclose(row["total_size"], size, rtol=1e-4)
        if head.stack == model.anatomy.reads.name:
            np.testing.assert_allclose(row["direct"], means[str(head)], rtol=1e-4, atol=1e-6)
        else:
            assert np.isnan(row["direct"])


@pytest.mark.parametrize("family", NETWORKS)
def test_a_head_that_writes_nothing_has_no_effect(family: str, tiny: Tiny) -> None:
    model = tiny(family)
    dead = [one for one in model.anatomy.heads if one.head == 1]
    alive = [Address(one.stack, one.layer, one.part, 2) for one in dead]
    with_dead(model, dead)
    through = bool(crosses(model.anatomy))
    table = Totals(everything(model, 5), Target(), [*dead, *alive], through).run()
    sizes = table.set_index("address")[["direct_size", "total_size"]]
    assert (sizes.loc[list(map(str, dead))] <= 1e-6).all(axis=None)
    seen = [at for at in alive if len(model.anatomy[at].axes.split()) == 3 and at.part != "group"]
    assert (sizes.loc[list(map(str, seen))] > 1e-3).all(axis=None)
