"""Which parts are edited in which trial."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.errors import UsageError

BY = ("head", "part", "layer")


@dataclass(frozen=True)
class Trial:
    """One set of parts and heads that are ablated together.

    name, kind: those of a table's rows (see table.Table).
    at: what is ablated.
    seed_shift: added to the seed of the run.
    """

    name: str
    kind: str
    at: tuple[Address, ...]
    seed_shift: int = 0


@dataclass(frozen=True)
class Plan:
    """The trials of a run, in order."""

    trials: tuple[Trial, ...]

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the trials."""
        return tuple(trial.name for trial in self.trials)

    @classmethod
    def each(cls, anatomy: Anatomy, by: str, only: str = "") -> "Plan":
        """One trial for each head, part or layer.

        only: a pattern (see address.matching); a part or layer is taken if the pattern matches it
        or anything in it. Raises UsageError if `by` is unknown or nothing is left.
        """
        if by not in BY:
            raise UsageError(f"ablation by {by!r}", allowed=", ".join(BY))
        asked = anatomy.select(only) if only else (*anatomy.parts, *anatomy.heads)
        if by == "head":
            trials = [Trial(str(at), by, (at,)) for at in asked if at.head is not None]
        elif by == "part":
            parts = dict.fromkeys(at.whole for at in asked)
            trials = [Trial(str(at), by, (at,)) for at in anatomy.parts if at in parts]
        else:
            names = {at.layer_name for at in asked}
            trials = [
                Trial(name, by, parts) for name, parts in anatomy.layers.items() if name in names
            ]
        if not trials:
            raise UsageError(
                f"ablation by {by} of {only!r}", "it matches no head", "--by part or --by layer"
            )
        return cls(tuple(trials))

    def with_controls(self, anatomy: Anatomy, noise: int, random: int, seed: int) -> "Plan":
        """The same plan with `noise` rows of another seed and `random` rows of random heads.

        A random row ablates as many heads, drawn from the whole network, as a trial does.
        """
        heads = anatomy.heads
        sizes = [sum(anatomy[at].heads if at.head is None else 1 for at in one.at) for one in self]
        size = min(max(1, round(median(sizes))), len(heads))
        rng = np.random.default_rng(seed)
        drawn = [sorted(rng.choice(len(heads), size, replace=False)) for _ in range(random)]
        return Plan(
            (
                *self.trials,
                *(Trial(f"noise-{one}", "noise", (), one) for one in range(1, noise + 1)),
                *(
                    Trial(f"random-{one}", "random", tuple(heads[index] for index in picked))
                    for one, picked in enumerate(drawn, 1)
                ),
            )
        )
