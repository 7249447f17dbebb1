"""Healing: a smaller network learns to predict what the original does (Hinton et al. 2015)."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tsfm_probe.errors import UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.prune.healing_file import HealingFile, Learned, digest
from tsfm_probe.prune.lessons import Lesson, Lessons

Progress = Callable[[int, int, str], None]
HELD_OUT = 8
WARM = 0.05
CLIP = 1.0


@dataclass(frozen=True)
class Recipe:
    """How a network is healed: for so many steps, or else so many minutes.

    rate: the highest learning rate. every: steps from one measurement on the stretches that are
    held out to the next, when the weights are also written to disk.
    """

    steps: int = 0
    minutes: float = 0.0
    seed: int = 0
    rate: float = 3e-4
    every: int = 50

    def __post_init__(self) -> None:
        if min(self.steps, self.minutes) < 0 or (self.steps > 0) == (self.minutes > 0):
            raise UsageError(
                f"healing for {self.steps} steps and {self.minutes:g} minutes was asked for",
                allowed="a number of steps or of minutes above 0",
            )

    def share(self, steps: int, seconds: float) -> float:
        """How much of the whole has been done."""
        return steps / self.steps if self.steps else seconds / (60 * self.minutes)

    def rate_at(self, share: float) -> float:
        """The learning rate there: it rises at first and then falls as a cosine does."""
        return self.rate * min(1.0, 0.1 + share / WARM) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Healed:
    """What came of it.

    before, after: how far the predictions are from the original's on stretches that are held out
    (see `distance`).
    """

    steps: int
    seconds: float
    before: float
    after: float


def heal(
    original: Model,
    smaller: Model,
    lessons: Lessons,
    recipe: Recipe,
    folder: Path,
    progress: Progress | None = None,
) -> Healed:
    """Train the smaller network in place, and leave it with the best weights that were measured.

    Best is what is nearest to the original on stretches that are held out; the weights at the start
    are among them, so that it never gets worse there. Also if it is stopped in between.

    folder: where the file healing.safetensors is kept, from which the same healing goes on when it
    is asked for again; the same steps and seed then give the same weights as without a stop.
    progress: told (done, all, how near it is), steps or seconds.
    What the anatomy computed from the weights when the network was loaded stays as it was.
    Raises UsageError if the network is not float32, or the folder holds another healing.
    """
    if any(one.dtype != torch.float32 for one in smaller.net.parameters()):
        raise UsageError(f"{smaller.name} was to be healed", "it is not float32", "load it as such")
    told = progress or (lambda *_: None)
    with _learning(smaller.net) as weights:
        return _Healing(original, smaller, lessons, recipe, folder, weights, told).run()


@contextmanager
def _learning(net: nn.Module) -> Iterator[dict[str, nn.Parameter]]:
    """The weights by name, which can be trained within the block."""
    weights = dict(net.named_parameters())
    frozen = {name: one.requires_grad for name, one in weights.items()}
    try:
        for one in weights.values():
            one.requires_grad_(True)
        with torch.enable_grad():
            yield weights
    finally:
        for name, one in weights.items():
            one.requires_grad_(frozen[name])
            one.grad = None


class _Healing:
    """One healing, from the start or from what the file holds."""

    def __init__(
        self,
        original: Model,
        smaller: Model,
        lessons: Lessons,
        recipe: Recipe,
        folder: Path,
        weights: dict[str, nn.Parameter],
        progress: Progress,
    ) -> None:
        self.original, self.smaller, self.lessons, self.recipe = original, smaller, lessons, recipe
        self.weights, self.progress = weights, progress
        self.optimizer = torch.optim.AdamW(
            weights.values(), recipe.rate, betas=(0.9, 0.98), weight_decay=0.0
        )
        numbers = np.random.default_rng([recipe.seed, 1])
        exams = (lessons.batch(numbers, held_out=True) for _ in range(HELD_OUT))
        self.exams = [(one, self._told(one)) for one in exams]
        about = digest(recipe, lessons, weights, dict(original.net.named_parameters()))
        self.file = HealingFile(folder / "healing.safetensors", about)
        self.learned = self.file.read(weights, self.optimizer)
        self.since = monotonic() - (self.learned.seconds if self.learned else 0.0)

    def run(self) -> Healed:
        learned = self.learned or Learned.start(self.weights, self._measured())
        try:
            while (share := self.recipe.share(learned.steps, monotonic() - self.since)) < 1:
                self._learn(learned.steps, share)
                learned = learned.later(learned.steps + 1, monotonic() - self.since)
                self._tell(learned)
                if learned.steps % self.recipe.every == 0:
                    learned = self._kept(learned)
            learned = self._kept(learned)
        finally:
            with torch.no_grad():
                for name, one in self.weights.items():
                    one.copy_(learned.best[name])
        return Healed(learned.steps, learned.seconds, learned.before, learned.nearest)

    def _kept(self, learned: Learned) -> Learned:
        """Measure, and write everything to disk."""
        learned = learned.measured(self.weights, self._measured())
        self.file.write(learned, self.weights, self.optimizer)
        self._tell(learned)
        return learned

    def _tell(self, learned: Learned) -> None:
        done, whole = learned.steps, self.recipe.steps
        if not whole:
            done, whole = int(learned.seconds), int(60 * self.recipe.minutes)
        words = f"distance from the original {learned.nearest:.4g}, {learned.before:.4g} at first"
        self.progress(min(done, whole), whole, words)

    def _learn(self, number: int, share: float) -> None:
        lesson = self.lessons.batch(np.random.default_rng([self.recipe.seed, 0, number]))
        self.optimizer.zero_grad()
        self._distance(lesson, self._told(lesson)).backward()
        norm = nn.utils.clip_grad_norm_(self.weights.values(), CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(share)
        if norm.isfinite():
            self.optimizer.step()

    @torch.no_grad()
    def _told(self, lesson: Lesson) -> Tensor:
        return self.original.taught(*lesson)

    def _distance(self, lesson: Lesson, told: Tensor) -> Tensor:
        made = self.smaller.taught(*lesson)
        return distance(made, told.to(made.device), self.smaller.vocabulary is not None)

    @torch.no_grad()
    def _measured(self) -> float:
        found = [float(self._distance(lesson, told)) for lesson, told in self.exams]
        return sum(found) / len(found)


def distance(made: Tensor, told: Tensor, tokens: bool) -> Tensor:
    """How far a prediction is from the original's: a number.

    For tokens, the Kullback-Leibler divergence of their chances from the original's, in nats for
    each step; for others, the mean squared difference over the variance of the original's.
    """
    made, told = made.float(), told.float()
    if not tokens:
        return (made - told).pow(2).mean() / told.var()
    chances = functional.kl_div(
        made.log_softmax(-1), told.log_softmax(-1), log_target=True, reduction="none"
    )
    return chances.sum(-1).mean()
