"""The file from which a healing that was stopped goes on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tsfm_probe.durable import write_atomically
from tsfm_probe.errors import UsageError
from tsfm_probe.prune.lessons import Lessons

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Learned:
    """How far a healing has come.

    before, nearest: the distance from the original at the start, and the least one. best: the
    weights that it was measured with.
    """

    steps: int
    seconds: float
    before: float
    nearest: float
    best: Weights

    @classmethod
    def start(cls, weights: Weights, found: float) -> "Learned":
        """Nothing yet; `found` is the distance at the start."""
        return cls(0, 0.0, found, found, _copies(weights))

    def later(self, steps: int, seconds: float) -> "Learned":
        """The same after more steps."""
        return replace(self, steps=steps, seconds=seconds)

    def measured(self, weights: Weights, found: float) -> "Learned":
        """The same after these weights were found at a distance."""
        if found < self.nearest:
            return replace(self, nearest=found, best=_copies(weights))
        return self


@dataclass(frozen=True)
class HealingFile:
    """A safetensors file of weights, the best weights and the moments of the optimizer.

    about: what it is a healing of; see `digest`.
    """

    path: Path
    about: str

    def write(self, learned: Learned, weights: Weights, optimizer: torch.optim.Optimizer) -> None:
        """Write everything as a whole or not at all."""
        tensors = {f"weight {name}": one.detach() for name, one in weights.items()}
        tensors |= {f"best {name}": one for name, one in learned.best.items()}
        for name, one in weights.items():
            for moment, value in optimizer.state.get(one, {}).items():
                tensors[f"{moment} {name}"] = value
        facts = {name: value for name, value in vars(learned).items() if name != "best"}
        told = {"about": self.about, "learned": json.dumps(facts)}
        held = {name: one.contiguous() for name, one in tensors.items()}
        write_atomically(self.path, save(held, told))

    def read(
        self, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
    ) -> Learned | None:
        """Put the weights and moments back; None if there is no such file yet.

        UsageError if it is of another healing or cannot be read.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                told = file.metadata() or {}
                held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UsageError(f"{self.path} was to be read", str(error), "delete it") from error
        if told.get("about") != self.about:
            raise UsageError(
                f"the healing in {self.path.parent} was to go on",
                "it is of another network, other series or other settings",
                "choose another folder, or the same settings",
            )
        best = {name: held[f"best {name}"].to(one.device) for name, one in weights.items()}
        with torch.no_grad():
            for name, one in weights.items():
                one.copy_(held[f"weight {name}"])
        _restore(optimizer, weights, held)
        return Learned(**json.loads(told["learned"]), best=best)


def _restore(optimizer: torch.optim.Optimizer, weights: Weights, held: Weights) -> None:
    known = {name: f"exp_avg {name}" in held for name in weights}
    moments = {
        place: {moment: held[f"{moment} {name}"] for moment in ("step", "exp_avg", "exp_avg_sq")}
        for place, name in enumerate(weights)
        if known[name]
    }
    state: dict[str, Any] = optimizer.state_dict()
    optimizer.load_state_dict(state | {"state": moments})


def _copies(weights: Weights) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in weights.items()}


def digest(recipe: Any, lessons: Lessons, *networks: Weights) -> str:
    """What a healing is of, as a hash: settings, series and the weights at the start."""
    found = sha256(json.dumps(asdict(recipe)).encode())
    found.update(json.dumps([lessons.context, lessons.horizon, lessons.size]).encode())
    for one in lessons.series:
        found.update(np.ascontiguousarray(one, dtype=np.float64).data)
    for weights in networks:
        for name, one in weights.items():
            found.update(name.encode())
            found.update(one.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
