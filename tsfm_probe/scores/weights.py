"""Every score of a head that needs its weights alone, and the order in which they rank heads."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Component
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.models.base import Model
from tsfm_probe.scores.circuits import composition, copying, skew_fraction, through
from tsfm_probe.scores.heads import VARIANTS, Heads
from tsfm_probe.scores.matrices import stable_ranks
from tsfm_probe.scores.spectrum import MEASURES, energy, spectra

SINGLE = {
    "stable-rank-q": "query",
    "stable-rank-k": "key",
    "stable-rank-v": "value",
    "stable-rank-o": "output",
}
COMPOSED = {f"composition-{name}": name for name in "qkv"}
COMPARED = (*MEASURES, "skew-fraction")
METHODS = (*COMPARED, *SINGLE, "ov-copying", *COMPOSED)
LAGS = (0.0, 1.0, 4.0, 16.0)
COLUMNS = (
    "address", "stack", "layer", "part", "head", "method", "variant", "lag", "basis", "value",
)  # fmt: skip


def scored(
    model: Model,
    methods: Sequence[str] = ("stable-rank",),
    variant: str = "plain",
    lags: Sequence[float] = LAGS,
) -> pd.DataFrame:
    """One row per head and method (and lag): columns COLUMNS.

    methods: of METHODS. variant: of VARIANTS (see heads.py); "rotary" takes COMPARED alone and
    leaves out attentions without places. lags: in tokens, for "rotary".
    lag: NaN for the other variants. basis: of "ov-copying": "vocabulary", or "head" where the
    eigenvalues are those of the head's own W_O W_V.
    Left out are heads for which a score means nothing: in cross-attention the skew fraction, and
    copying without a vocabulary, because two streams share no basis; composition where no head
    writes ahead of it.
    UsageError for an unknown method, variant or lag.
    """
    check(methods, variant, lags)
    _check_turned(model, variant)
    attentions = _attentions(model)
    between = _between(model, variant) if "ov-copying" in methods else None
    composed = composition(attentions, variant) if set(methods) & set(COMPOSED) else {}
    rows: list[tuple[object, ...]] = []
    for component, lag in _settings(attentions, variant, lags):
        found = _single_heads(component, Heads(component, variant, lag), methods, between)
        found |= {
            method: composed[component.at, name]
            for method, name in COMPOSED.items()
            if (component.at, name) in composed
        }
        told = lag if variant == "rotary" else np.nan
        for method in methods:
            if method in found:
                basis = (
                    "" if method != "ov-copying" else "head" if between is None else "vocabulary"
                )
                rows += _rows(component.at, found[method], (method, variant, told, basis))
    table = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
    place = [methods.index(method) for method in table["method"]]
    return table.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)


def check(methods: Sequence[str], variant: str, lags: Sequence[float]) -> None:
    """UsageError for an unknown method, variant or lag, or for what does not go together."""
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"no score {method!r}", allowed=nearest(method, METHODS))
    if not methods:
        raise UsageError("no score was asked for", allowed=f"allowed are {', '.join(METHODS)}")
    if variant not in VARIANTS:
        raise UsageError(f"no variant {variant!r}", allowed=nearest(variant, VARIANTS))
    if variant != "rotary":
        return
    beside = [method for method in methods if method not in COMPARED]
    if beside:
        raise UsageError(
            f"the rotary variant of {beside[0]} was asked for",
            "places turn queries and keys alone",
            f"allowed are {', '.join(COMPARED)}",
        )
    if not lags or not all(np.isfinite(lags)):
        raise UsageError(f"lags {list(lags)}", allowed="allowed are one or more numbers of tokens")


def _check_turned(model: Model, variant: str) -> None:
    if variant == "rotary" and all(one.rotary is None for one in _attentions(model)):
        raise UsageError(
            "the rotary variant was asked for",
            f"{model.name} does not turn queries and keys by their places",
            "allowed are plain, folded",
        )


def head_order(model: Model, method: str = "stable-rank", variant: str = "plain") -> list[Address]:
    """All heads of the network, the lowest score first; equal ones as they stand in it.

    UsageError if the method does not score every head.
    """
    if variant == "rotary":
        raise UsageError(
            "an order by the rotary variant was asked for",
            "it has a score for every lag",
            "allowed are plain, folded",
        )
    table = scored(model, (method,), variant)
    missing = set(map(str, model.anatomy.heads)) - set(table["address"])
    if missing:
        raise UsageError(
            f"an order of all heads by {method} was asked for",
            f"it does not score {min(missing)} and {len(missing) - 1} more",
            f"such as {', '.join(MEASURES)}",
        )
    by = table.sort_values("value", kind="stable")
    return [Address.parse(text) for text in by["address"]]


def spectrum(model: Model, variant: str = "plain", lag: float = LAGS[0]) -> pd.DataFrame:
    """The singular values of W_Q^T W_K of every head, the largest first.

    Columns address, index (from 1), value, energy (share of the squares up to this index).
    """
    check(("stable-rank",), variant, (lag,))
    _check_turned(model, variant)
    frames = []
    for component, one in _settings(_attentions(model), variant, (lag,)):
        heads = Heads(component, variant, one)
        values = spectra(heads.query, heads.key)
        count = values.shape[1]
        names = [str(replace(component.at, head=head)) for head in range(component.heads)]
        frames.append(
            pd.DataFrame(
                {
                    "address": np.repeat(names, count),
                    "index": np.tile(np.arange(1, count + 1), len(names)),
                    "value": values.flatten().cpu().numpy(),
                    "energy": energy(values).flatten().cpu().numpy(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _attentions(model: Model) -> list[Component]:
    parts = (model.anatomy[at] for at in model.anatomy.parts)
    return [component for component in parts if component.heads]


def _settings(
    attentions: Sequence[Component], variant: str, lags: Sequence[float]
) -> Iterator[tuple[Component, float]]:
    """Every attention that has this variant, with every lag that matters."""
    for component in attentions:
        if variant != "rotary":
            yield component, 0.0
        elif component.rotary is not None:
            yield from ((component, lag) for lag in lags)


def _between(model: Model, variant: str) -> Tensor | None:
    vocabulary = model.vocabulary
    return None if vocabulary is None else through(vocabulary, folded=variant != "plain")


def _single_heads(
    component: Component, heads: Heads, methods: Sequence[str], between: Tensor | None
) -> dict[str, Tensor]:
    """The scores [head] of one attention by the methods that look at one head at a time."""
    found: dict[str, Tensor] = {}
    if set(methods) & set(MEASURES):
        values = spectra(heads.query, heads.key)
        found |= {method: measure(values) for method, measure in MEASURES.items()}
    for method in methods:
        if method in SINGLE:
            found[method] = stable_ranks(getattr(heads, SINGLE[method]))
    one_stream = not component.keys_from
    if "skew-fraction" in methods and one_stream:
        found["skew-fraction"] = skew_fraction(heads.query, heads.key)
    if "ov-copying" in methods and (one_stream or between is not None):
        found["ov-copying"] = copying(heads.value, heads.output, between)
    return found


def _rows(at: Address, values: Tensor, facts: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    for head, value in enumerate(values.tolist()):
        one = replace(at, head=head)
        yield (str(one), at.stack, at.layer, at.part, head, *facts, value)
