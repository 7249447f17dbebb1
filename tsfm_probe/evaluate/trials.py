"""What a benchmark is run on besides the untouched model: its ablations, and pruned models."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.errors import UsageError
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.edit import Edit

FORM = 'a list such as [{"name": "first cross", "ablate": ["decoder.0.cross"]}]'


@dataclass(frozen=True)
class Trial:
    """One way to forecast.

    name: what tables call it.
    patterns: what is ablated together (see address.matching).
    folder: of a model that takes the place of the untouched one, such as a pruned copy of it.
    naive: whether it is the seasonal naive forecast, which needs no model.
    """

    name: str
    patterns: tuple[str, ...] = ()
    folder: str = ""
    naive: bool = False

    @property
    def kind(self) -> str:
        """A word for what is done: "naive", "untouched", "ablated" or "pruned"."""
        if self.naive:
            return "naive"
        return "pruned" if self.folder else "ablated" if self.patterns else "untouched"

    def ablated(self, anatomy: Anatomy) -> tuple[Address, ...]:
        """The parts and heads that it ablates: no head of a part that is ablated as a whole."""
        found = {at for pattern in self.patterns for at in anatomy.select(pattern)}
        whole = {at for at in found if at.head is None}
        return tuple(sorted(at for at in found if at in whole or at.whole not in whole))


NAIVE = Trial("seasonal_naive", naive=True)
UNTOUCHED = Trial("untouched")


def trials(
    ablate: Sequence[str] = (), prune: Sequence[Path] = (), plan: Path | None = None
) -> tuple[Trial, ...]:
    """NAIVE and UNTOUCHED, then what is asked for; UsageError if two have one name.

    ablate: patterns, what one of them matches is ablated together. prune: folders of models.
    plan: a JSON file, a list of objects with a "name" and either "ablate", a list of patterns, or
    "prune", a folder.
    """
    asked = [Trial(one, (one,)) for one in ablate]
    asked += [Trial(f"pruned {one.resolve().name}", folder=str(one)) for one in prune]
    asked += _planned(plan) if plan else []
    found = (NAIVE, UNTOUCHED, *asked)
    name, times = Counter(one.name for one in found).most_common(1)[0]
    if times > 1:
        raise UsageError("trials were asked for", f"{times} are named {name!r}", "names differ")
    return found


class Subjects:
    """The models of the trials, each loaded when it is first asked for.

    The untouched model is kept, and one other.
    """

    def __init__(self, name: str, device: str, dtype: str) -> None:
        self.name = name
        self.device = device
        self.dtype = dtype
        self._kept: dict[str, Model] = {}

    def model(self, trial: Trial) -> Model:
        """The model that a trial is run on."""
        name = trial.folder or self.name
        if name not in self._kept:
            self._kept = {one: kept for one, kept in self._kept.items() if one == self.name}
            self._kept[name] = load(name, self.device, self.dtype)
            if name == self.name:  # what "auto" came to, for the others too
                weight = next(self._kept[name].net.parameters())
                self.dtype = str(weight.dtype).removeprefix("torch.")
        return self._kept[name]

    def edits(self, trial: Trial) -> tuple[Edit, ...]:
        """What is edited while the trial's model forecasts."""
        return tuple(Edit(at) for at in trial.ablated(self.model(trial).anatomy))


def _planned(path: Path) -> list[Trial]:
    asked = f"the trials in {path}"
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(asked, error.strerror or str(error), FORM) from error
    except ValueError as error:
        raise UsageError(asked, f"it is not JSON: {error}", FORM) from error
    if not isinstance(found, list) or not found:
        raise UsageError(asked, "it holds no list of trials", FORM)
    return [_trial(asked, number, one) for number, one in enumerate(found, 1)]


def _trial(asked: str, number: int, one: Any) -> Trial:
    if not isinstance(one, dict) or set(one) not in ({"name", "ablate"}, {"name", "prune"}):
        keys = ", ".join(map(str, one)) if isinstance(one, dict) else type(one).__name__
        raise UsageError(f"{asked}: number {number}", f"it has {keys}", FORM)
    name, folder, patterns = one["name"], one.get("prune", ""), one.get("ablate", [])
    texts = [name, folder, *patterns] if isinstance(patterns, list) else [None]
    if not all(isinstance(text, str) for text in texts) or not name or not (folder or patterns):
        raise UsageError(f"{asked}: number {number}", "a value is empty or of another type", FORM)
    return Trial(name, tuple(patterns), folder)
