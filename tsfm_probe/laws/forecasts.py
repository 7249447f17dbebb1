"""Laws 11 to 13: a forecast is repeatable, survives saving, and is the upstream library's."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tsfm_probe.laws.subject import EXACT, ROUNDING, Finding, Subject, relative
from tsfm_probe.models import family_of
from tsfm_probe.models.groups import members
from tsfm_probe.models.source import Source


def same_seed_same_forecast(subject: Subject) -> Finding:
    """Law 11: a forecast depends on its group's contexts and seed, not on batch size or order."""
    together = subject.forecast()
    worst = relative(_of(subject, range(len(together))[::-1])[::-1].copy(), together)
    for places in members(subject.groups, len(together)):
        worst = max(worst, relative(_of(subject, places), together[places]))
    return Finding(11, "same seed, same forecast", worst, ROUNDING)


def _of(subject: Subject, places: Sequence[int]) -> np.ndarray:
    """The forecast of some of the series, in this order, without the others."""
    contexts = [subject.contexts[place] for place in places]
    groups = None if subject.groups is None else [subject.groups[place] for place in places]
    return replace(subject, contexts=contexts, groups=groups).forecast()


def saving_keeps_the_forecast(subject: Subject) -> Finding:
    """Law 12: saving and loading again gives the same family and forecast, bit for bit."""
    law, model = "saving keeps the forecast", subject.model
    with TemporaryDirectory() as folder:
        model.save(Path(folder))
        saved = Source(Path(folder), "folder")
        if family_of(saved) != model.family:
            return Finding(12, law, math.inf, EXACT, f"it is taken for a {family_of(saved)}")
        dtype = str(next(model.net.parameters()).dtype).removeprefix("torch.")
        again = type(model).load(model.name, saved, str(model.device), dtype)
        found = replace(subject, model=again).forecast()
    return Finding(12, law, relative(found, subject.forecast()), EXACT)


def equals_upstream(subject: Subject) -> Finding:
    """Law 13: the untouched forecast equals the upstream library's."""
    law = "equals the upstream library"
    off = subject.model.deviation_from_upstream(subject.contexts, subject.horizon)
    if off is None:
        note = "the network is our own: its tests compare forecasts that upstream made"
        return Finding(13, law, 0.0, ROUNDING, note, tried=False)
    return Finding(13, law, off, ROUNDING)
