"""The declared gains, factors and rotations are those that a network computes scores with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tests.families import NETWORKS, write_checkpoint
from tsfm_probe.address import Address
from tsfm_probe.anatomy import Component
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.scores.heads import Heads
from tsfm_probe.surgery.record import Record, recorded

LENGTH, SERIES = 48, 3
CASES: dict[str, tuple[str, dict[str, Any]]] = {family: (family, {}) for family in NETWORKS} | {
    "toto-2 with norms of q and k": ("toto-2", {"qk_norm": True, "qk_norm_include_weight": True}),
    "toto-2 without xPos": ("toto-2", {"use_xpos": False}),
    "timesfm-3 with rotary variates": ("timesfm-3", {"use_rope_var": True}),
}
NORMED = ("timesfm", "moirai", "toto-2 with norms")
FROM_THE_START = ("timesfm-2.5", "timesfm-3", "toto-1")  # a score tells more than the distance


class Scores(TorchFunctionMode):
    """Keeps the products of queries and keys of every attention, [..., head, query, key]."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []
        self.product = torch.empty(0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":
            query, key = args[:2]
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
            self.found.append(query @ key.mT)
        if name == "softmax":
            self.found.append(self.product)
        made = func(*args, **(kwargs or {}))
        if name in ("matmul", "__matmul__", "einsum"):
            self.product = made
        return made


def watched(model: Model) -> tuple[Record, dict[Address, Tensor]]:
    """One pass: all streams and writes, and the products [row, head, query, key] by attention."""
    anatomy = model.anatomy
    time = np.arange(LENGTH)
    series = [10 + np.sin(time / (2 + row)) + 0.1 * time for row in range(SERIES)]
    attentions = [at for at in anatomy.parts if anatomy[at].heads]
    stacks = tuple(anatomy.stacks)
    with torch.no_grad(), recorded(anatomy, anatomy.parts, stacks) as record, Scores() as scores:
        if model.family in ("timesfm-3", "toto-1", "toto-2"):  # alone, none attends to others
            model.forecast(series, 1, groups=[0] * SERIES)
        else:
            model.predict(series)
    found = scores.found[: len(attentions)]  # a mixture's own softmax comes after them
    return record, dict(zip(attentions, found, strict=True))


def entering(model: Model, record: Record, at: Address) -> Tensor:
    """The stream [row, time, d] that an attention's norm reads, as a sum of what was written."""
    stream = record.streams[at.stack, at.layer][0]
    for part in model.anatomy.layers[at.layer_name]:
        if part == at:
            break
        stream = stream + record.parts[part][0]
    return stream


def tokens(stream: Tensor, part: str) -> Tensor:
    """The same as [row, token, d], a row being those that can attend to each other."""
    normed = stream / stream.pow(2).mean(-1, keepdim=True).sqrt()
    across = part in ("variate", "group")
    return (rearrange(normed, "row time d -> time row d") if across else normed).double()


def flat(scores: Tensor, family: str, part: str) -> Tensor:
    """Scores as [row, head, query, key]."""
    if family == "toto-1" and part == "variate":
        return rearrange(scores, "1 head time query key -> time head query key").double()
    return scores.flatten(0, -4).double()


def length(component: Component, name: str, head: int, given: Tensor) -> Tensor:
    """The root mean square of a head's queries or keys behind the map: [row, token]."""
    gain = component.projections[name].gain
    rows = component.rows(name, head).detach() * (1 if gain is None else gain.detach())
    return (given @ rows.double().T).pow(2).mean(-1).sqrt()


@pytest.mark.parametrize("case", CASES)
def test_the_folded_and_the_rotary_form_reproduce_the_scores_of_a_forward_pass(
    case: str, tmp_path: Path
) -> None:
    family, fields = CASES[case]
    model = load(str(write_checkpoint(family, tmp_path / "tiny", **fields)), device="cpu")
    _without_biases(model)
    record, products = watched(model)
    for at, raw in products.items():
        component = model.anatomy[at]
        own = tokens(entering(model, record, at), at.part)
        other = own
        if component.keys_from:
            last = len(model.anatomy.stacks[component.keys_from].starts)
            other = tokens(record.streams[component.keys_from, last][0], at.part)
        found = flat(raw, family, at.part)
        exact = _expected(component, own, other)
        if case.startswith(NORMED):
            for head in range(component.heads):
                exact[:, head] /= length(component, "q", head, own)[:, :, None]
                exact[:, head] /= length(component, "k", head, other)[:, None, :]
        if case.startswith(FROM_THE_START) and component.rotary is not None:
            found, exact = found[..., :1], exact[..., :1]
        constant = (found * exact).sum() / exact.pow(2).sum()
        assert constant > 0
        torch.testing.assert_close(
            constant * exact, found, rtol=0, atol=2e-3 * float(found.abs().max())
        )


def _expected(component: Component, own: Tensor, other: Tensor) -> Tensor:
    """Scores [row, head, query, key], each pair of tokens with the form of its lag."""
    query, key = torch.arange(own.shape[1])[:, None], torch.arange(other.shape[1])
    forms = torch.stack(
        [_form(component, own, other, lag) for lag in range(1 - len(key), len(query))]
    )
    each = forms[query - key + len(key) - 1, :, :, query, key]
    return rearrange(each, "query key row head -> row head query key")


def _form(component: Component, own: Tensor, other: Tensor, lag: float) -> Tensor:
    """Scores [row, head, query, key] as if every key were `lag` tokens earlier."""
    variant = "folded" if component.rotary is None else "rotary"
    heads = Heads(component, variant, lag)
    query = torch.einsum("rtd,hed->rhte", own, heads.query)
    key = torch.einsum("rtd,hed->rhte", other, heads.key)
    return query @ key.mT


def _without_biases(model: Model) -> None:
    with torch.no_grad():
        for at in model.anatomy.parts:
            for projection in model.anatomy[at].projections.values():
                if projection.linear.bias is not None:
                    projection.linear.bias.zero_()


@pytest.mark.parametrize("family", ["timesfm-2.5", "toto-1", "toto-2", "moirai-2", "chronos-2"])
def test_no_lag_is_the_folded_form(family: str, tiny: Callable[[str], Model]) -> None:
    model = tiny(family)
    for at in model.anatomy.parts:
        component = model.anatomy[at]
        if component.rotary is not None:
            still, folded = Heads(component, "rotary", 0.0), Heads(component, "folded")
            torch.testing.assert_close(
                still.query.mT @ still.key, folded.query.mT @ folded.key, rtol=1e-6, atol=1e-6
            )
