"""What attribution found, in plain sentences."""

import math
from collections.abc import Mapping

import pandas as pd

from tsfm_probe.attribution.answer import Answer
from tsfm_probe.attribution.effects import DIRECT, REMAINDER, THROUGH, WHOLE
from tsfm_probe.attribution.lens import CLOSE
from tsfm_probe.attribution.probe import Frames
from tsfm_probe.attribution.writes import BIAS, EMBEDDING, HEAD, MLP

MOST = 3
"""Parts that are named."""
ROUNDING = 1e-4
"""A remainder below this share of the prediction is none."""
KINDS = {HEAD: "all heads", MLP: "MLPs", EMBEDDING: "the embedding", BIAS: "biases"}
AIMS = {
    "bin": "the most likely bin",
    "median": "the median",
    "truth": "the truth",
    "centre": "the centre of the mixture",
}
TO_OTHERS = (
    "An effect is direct where a part writes to a token whose prediction is read. What it writes "
    "to other tokens reaches the forecast through later attention: it is indirect, and not in "
    "these shares"
)


def aim_words(target: str) -> str:
    """What a target is called in a sentence."""
    return AIMS.get(target, f"the {target} quantile")


def sentences(frames: Frames, answer: Answer, target: str, encoder: bool) -> list[str]:
    """The answer, a sentence or two per line; of what was not asked for nothing is said.

    target: its name in this family. encoder: whether the network has one beside the stack that is
    read.
    """
    said = []
    if not answer.parts.empty:
        said += _written(answer.parts, aim_words(target))
        said.append(_remainder(frames["effects"], answer.parts))
    if answer.crystallised:
        said.append(_crystallised(answer))
    if "overthinking" in frames:
        said.append(_critical(answer.critical))
    if "ranks" in frames and not frames["ranks"].empty:
        said.append(_alike(frames["ranks"]))
    if answer.agreement:
        said.append(_agreement(answer.agreement, len(frames["totals"])))
    if not answer.parts.empty:
        through = bool((answer.parts["path"] == THROUGH).any())
        said.append(_indirect(encoder, through))
    return said


def _written(parts: pd.DataFrame, aim: str) -> list[str]:
    own = parts.loc[(parts["path"] == DIRECT) & (parts["kind"] != REMAINDER)]
    kinds = own.groupby("kind")["share"].sum().sort_values(ascending=False, kind="stable")
    by_kind = ", ".join(f"{KINDS[str(kind)]} {_share(part)}" for kind, part in kinds.items())
    said = [
        f"Most is written towards {aim} by {_named(own)}; together: {by_kind} "
        "(shares of the sizes of all effects, summed over windows and steps)."
    ]
    through = parts.loc[parts["path"] == THROUGH]
    if not through.empty:
        said.append(f"Through cross-attention most comes from {_named(through)} of the encoder.")
    return said


def _named(parts: pd.DataFrame) -> str:
    first = parts.head(MOST)
    return ", ".join(
        f"{address} ({_share(share)})"
        for address, share in zip(first["address"], first["share"], strict=True)
    )


def _remainder(effects: pd.DataFrame, parts: pd.DataFrame) -> str:
    own = parts.loc[(parts["path"] == DIRECT) & (parts["kind"] == REMAINDER)]
    whole = effects.loc[effects["kind"] == WHOLE]["size"].mean()
    size = float(own["size"].sum())
    if size <= ROUNDING * whole:
        return "The effects sum to the prediction: the remainder is 0 within rounding."
    return (
        f"The readout is not linear: the remainder, which belongs to no single part, is "
        f"{_share(float(own['share'].sum()))} of these sizes."
    )


def _crystallised(answer: Answer) -> str:
    errors = answer.layers.loc[answer.layers["measure"] == "error"]
    final, first = float(errors["value"].iloc[-1]), str(errors["layer"].iloc[0])
    last, limit = str(errors["layer"].iloc[-1]), f"{100 * (CLOSE - 1):.0f}\u00a0%"
    if answer.crystallised == first:
        return (
            f"Crystallisation: the {first} alone already forecasts within {limit} of the final "
            f"error ({final:.3g}), and so does every layer after it."
        )
    if answer.crystallised == last:
        return (
            f"Crystallisation: only the forecast of the last layer, {last}, stays within {limit} "
            f"of the final error ({final:.3g})."
        )
    return (
        f"Crystallisation: from layer {answer.crystallised} on (layers are 0 to {last}) the "
        f"forecast of every layer stays within {limit} of the final error ({final:.3g})."
    )


def _critical(layer: str) -> str:
    if not layer:
        return (
            "Overthinking: no critical layer is seen; a misleading motif does not raise the error "
            "of the last layer above that of a true one."
        )
    name = f"layer {layer}" if layer.isdigit() else f"the {layer}"
    return (
        f"Overthinking: {name} is the critical one; from there on a misleading motif raises the "
        "error above that of a true one."
    )


def _alike(ranks: pd.DataFrame) -> str:
    """Attentions with the most and the least alike heads, by rank over number of heads."""
    share = ranks["rank"] / ranks["heads"]
    least, most = (ranks.loc[place] for place in (share.idxmax(), share.idxmin()))
    return (
        f"The heads of {most['attention']} are most alike (entropic rank {most['rank']:.2f} of "
        f"{most['heads']}), those of {least['attention']} least ({least['rank']:.2f} of "
        f"{least['heads']})."
    )


def _agreement(found: Mapping[str, float], count: int) -> str:
    heads = int(found["heads"])
    if math.isnan(found["spearman"]):
        return f"Direct and total effects cannot be compared: {heads} of {count} heads have both."
    sizes = _interval(found["spearman"], found["low"], found["high"])
    signed = _interval(found["signed_spearman"], found["signed_low"], found["signed_high"])
    return (
        f"Direct and total effects of {heads} of {count} heads: rank correlation {sizes} of their "
        f"sizes, {signed} of the effects themselves. What they differ by is what later layers add "
        "or repair."
    )


def _interval(value: float, low: float, high: float) -> str:
    known = not math.isnan(low)
    return f"{value:.2f}" + (f" ({low:.2f} to {high:.2f})" if known else "")


def _indirect(encoder: bool, through: bool) -> str:
    if not encoder:
        return f"{TO_OTHERS}."
    if through:
        return (
            f"{TO_OTHERS}. The encoder is told by its share in what cross-attention writes, with "
            "the maps kept; what it does to the maps is indirect too."
        )
    return f"{TO_OTHERS}; so is everything that the encoder does (--what encoder tells its share)."


def _share(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"
