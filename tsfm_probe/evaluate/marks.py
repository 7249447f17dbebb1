"""Fingerprints of units of work: what their rows depend on besides the identity of the run."""

import hashlib
import json

from tsfm_probe.evaluate.trials import Subjects, Trial


def what(trial: Trial, subjects: Subjects) -> list[str]:
    """What a trial does, whatever its name is."""
    if trial.naive:
        return ["naive"]
    model = subjects.model(trial)
    own = [model.source.weight_hash(), mark(model.source.config())] if trial.folder else []
    return [*own, *map(str, trial.ablated(model.anatomy))]


def mark(*parts: object) -> str:
    """Sixteen letters that differ where one of the parts does."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
