"""Laws 11 to 13: a forecast is repeatable, survives saving, and is the upstream library's."""

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tsfm_probe.laws.subject import EXACT, ROUNDING, Finding, Subject, relative
from tsfm_probe.models import family_of
from tsfm_probe.models.source import Source


def same_seed_same_forecast(subject: Subject) -> Finding:
    """Law 11: a forecast depends on its context and seed, not on batch size or order."""
    together = subject.forecast()
    backwards = replace(subject, contexts=subject.contexts[::-1]).forecast()[::-1].copy()
    alone = [replace(subject, contexts=[one]).forecast() for one in subject.contexts]
    worst = max(relative(backwards, together), relative(np.concatenate(alone), together))
    return Finding(11, "same seed, same forecast", worst, ROUNDING)


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
