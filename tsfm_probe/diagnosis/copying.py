"""Whether what heads write says what they attend to."""

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.attribution.effects import effect_on
from tsfm_probe.attribution.walk import Cases, Glimpse, Walk
from tsfm_probe.diagnosis.sight import Sight, runs
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import Bins, nearest_unit


def copying(
    model: Model,
    contexts: Sequence[np.ndarray],
    truth: np.ndarray,
    sights: Mapping[Address, Sight],
) -> Mapping[Address, Tensor]:
    """The copying score of all heads of the stack that is read, by attention: [head, row].

    contexts: [time] of one length, that repeat; truth: [row, horizon], how a copy goes on.
    A network that says bins: what a head adds to the logit of the value that it attends to most,
    minus what it adds to the mean of all logits (Olsson et al. 2022, arXiv 2209.11895), directly,
    in the mean over the tokens that are said.
    Others: the correlation over the horizon of a head's direct effect on the forecast (its median,
    or centre) with how a copy goes on. NaN for a head that writes nothing.
    """
    own = [at for at, sight in sights.items() if sight.final]
    walk = Walk(model, Cases(contexts, truth, np.ones(len(truth))), own)
    glimpses = walk.along(range(len(truth)), walk.cases, truth)
    found: dict[Address, list[Tensor]] = {at: [] for at in own}
    with torch.no_grad():
        for glimpse in islice(glimpses, runs(model, contexts, truth)):
            said = isinstance(glimpse.made.reading, Bins)
            for at in own:
                mixed = glimpse.record.mixed[at][-1][:, -glimpse.tokens :]
                shares = model.anatomy[at].shares(mixed)
                one = (
                    _added(model, glimpse, shares, sights[at])
                    if said
                    else _followed(model, glimpse, shares)
                )
                found[at].append(one.float().cpu())
    return {at: torch.stack(one).nanmean(0) for at, one in found.items()}


def _added(model: Model, glimpse: Glimpse, shares: Tensor, sight: Sight) -> Tensor:
    """What heads add to the logit of what they attend to most, beyond the mean: [head, row]."""
    bins = glimpse.made.reading
    assert isinstance(bins, Bins)
    top = sight.top[:, :, glimpse.number]
    cases = glimpse.cases
    series = torch.from_numpy(np.concatenate([np.stack(cases.contexts), cases.truth], axis=1))
    values = series.gather(1, sight.edges[0][top.clamp_min(0)].T)
    token = nearest_unit(bins.values[:, None], values, bins.forbidden).T
    read = model.readout(glimpse.streams[-1])
    logits = torch.stack([read(one)[:, -1] for one in shares]).double().cpu()
    added = logits.gather(-1, token[..., None])[..., 0] - logits.mean(-1)
    return added.masked_fill(top < 0, torch.nan)


def _followed(model: Model, glimpse: Glimpse, shares: Tensor) -> Tensor:
    """The correlation of heads' effects with how a copy goes on: [head, row]."""
    made, truth = glimpse.made, glimpse.cases.truth
    effect = effect_on(model, glimpse, made.aim(made.reading.targets[0], truth))
    effects = torch.stack([effect(one) for one in shares]).double().cpu()
    follows = torch.from_numpy(truth[:, made.first : made.first + made.steps]).double()
    one, other = (each - each.mean(-1, keepdim=True) for each in (effects, follows))
    return (one * other).sum(-1) / (one.norm(dim=-1) * other.norm(dim=-1))
