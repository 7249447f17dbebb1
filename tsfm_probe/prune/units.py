"""What can be taken out of a network, in which order it is tried."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.models.cut.smaller import Cut
from tsfm_probe.probes import orders
from tsfm_probe.probes.ablation import Job
from tsfm_probe.surgery.plan import Plan, Trial

WHAT = ("all", "layers", "parts", "mlps", "heads")
KINDS = {
    "all": ("layer", "part", "head"),
    "layers": ("layer",),
    "parts": ("part",),
    "mlps": ("part",),
    "heads": ("head",),
}
"""What is tried first: taking a layer out saves most."""


@dataclass(frozen=True)
class Choice:
    """Which parts may be taken out, in which order.

    what: one of WHAT. order: one of orders.ORDERS, or a file with one name in each line.
    keep: patterns of what must stay. UsageError for anything else.
    """

    what: str = "all"
    order: str = "measured"
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.what not in WHAT:
            raise UsageError(f"--what {self.what!r}", allowed=nearest(self.what, WHAT))
        orders.label(self.order)

    def narrows(self, anatomy: Anatomy) -> bool:
        """Whether neurons of the MLPs that stay may go, too: of all, if none is to be kept."""
        kept = {at for pattern in self.keep for at in anatomy.select(pattern)}
        spared = any(at.head is None and not anatomy[at].heads for at in kept)
        return self.what in ("all", "mlps") and not spared

    def units(self, anatomy: Anatomy) -> tuple[Trial, ...]:
        """Every part that may be taken out alone, the larger ones first.

        UsageError if there is none.
        """
        stays = {at for pattern in self.keep for at in anatomy.select(pattern)}
        stays |= {at.whole for at in stays}
        found = []
        for kind in KINDS[self.what]:
            if kind == "head" and not anatomy.heads:
                continue
            for trial in Plan.each(anatomy, kind):
                mlp = kind != "part" or not anatomy[trial.at[0]].heads
                asked = (mlp or self.what != "mlps") and not stays & set(trial.at)
                if asked and _leaves_a_layer(anatomy, trial):
                    found.append(trial)
        if not found:
            asked = " ".join((f"--what {self.what}", *(f"--keep {one}" for one in self.keep)))
            raise UsageError(asked, "nothing is left that may be cut", "others of them")
        return tuple(found)


def _leaves_a_layer(anatomy: Anatomy, unit: Trial) -> bool:
    """Whether every stack still has a layer without a unit."""
    try:
        Cut.of(anatomy, unit.at)
    except UsageError:
        return False
    return True


def ordered(job: Job, choice: Choice, alone: Iterable[Trial]) -> tuple[Trial, ...]:
    """The units in the order in which they are tried: each kind in its own order.

    alone: the same units, the least harmful alone first: the order "measured", and that of parts
    in every other order, which has no place for an MLP.
    """
    measured = tuple(alone)
    if choice.order == "measured":
        return tuple(one for kind in KINDS[choice.what] for one in measured if one.kind == kind)
    if orders.label(choice.order) == orders.FILE:
        return orders.listed(Path(choice.order), measured)
    found: list[Trial] = []
    for kind in KINDS[choice.what]:
        pool = tuple(one for one in measured if one.kind == kind)
        if kind != "part":
            own = replace(job, setting=replace(job.setting, by=kind), plan=Plan(pool))
            pool = orders.ordered(own, choice.order, job.setting.seed)
        found += pool
    return tuple(found)


def overlap(unit: Trial, taken: set[Address]) -> bool:
    """Whether all of a unit was taken out already."""
    return all(at in taken or at.whole in taken for at in unit.at)
