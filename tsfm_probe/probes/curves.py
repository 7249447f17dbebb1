"""The first k heads or layers of an order, cut together: which orders, where, and which k."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tsfm_probe.address import Address
from tsfm_probe.errors import UsageError
from tsfm_probe.probes import orders
from tsfm_probe.probes.ablation import Job
from tsfm_probe.probes.orders import Order
from tsfm_probe.surgery.plan import Trial

RANDOM = {False: 5, True: 3}  # random orders of the whole network, and of each attention
POINTS = {False: 16, True: 8}  # numbers that are tried at first, at most


@dataclass(frozen=True)
class Cuts:
    """What is cut together.

    order: one of orders.ORDERS, or the path of a file. per_layer: the order holds within each
    attention, and each is tried on its own. up_to: the largest number ("12") or share ("0.5",
    "50%") of heads or layers (of each attention, with per_layer) that is cut; "" for all.
    threshold_pp: percent of more error below which a cut counts as redundant. It says where
    more numbers than those of the grid are tried. UsageError for an unknown order.
    """

    order: str
    per_layer: bool = False
    up_to: str = ""
    threshold_pp: float = 1.0

    def __post_init__(self) -> None:
        orders.label(self.order)

    @property
    def name(self) -> str:
        """What the order is called in tables."""
        return orders.label(self.order)

    def about(self) -> dict[str, str]:
        """Everything that the numbers depend on, as text."""
        found = {
            "order": self.name,
            "per_layer": str(self.per_layer),
            "up_to": self.up_to or "all",
            "threshold_pp": f"{self.threshold_pp:g}",
        }
        if self.name == orders.FILE:
            found["order_hash"] = hashlib.sha256(Path(self.order).read_bytes()).hexdigest()
        return found


@dataclass(frozen=True)
class Curve:
    """One order of the heads or layers of one place.

    order: its name; that of a random one beside it ends with a number. control: whether it is
    such a one. place: an attention, or "" for the whole network. units: in the order, as many as
    are cut at most. of: how many the place has.
    """

    order: str
    control: bool
    place: str
    units: Order
    of: int

    def name(self, count: int) -> str:
        """The name of the trial that cuts the first `count`; all of a place are one trial."""
        order = "all" if count == self.of else self.order
        return ":".join(filter(None, (order, self.place, str(count))))

    def trial(self, count: int) -> Trial:
        """The trial that cuts the first `count` together."""
        kind = "random order" if self.control and count < self.of else "order"
        return Trial(self.name(count), kind, self.first(count))

    def first(self, count: int) -> tuple[Address, ...]:
        """The addresses of the first `count`."""
        return tuple(at for unit in self.units[:count] for at in unit.at)

    def grid(self, points: int) -> tuple[int, ...]:
        """At most so many numbers from 1 to all: each where they are few, else denser at first."""
        largest = len(self.units)
        if largest <= points:
            return tuple(range(1, largest + 1))
        even = np.linspace(0, largest, 2 * points // 3 + 1)[1:]
        doubled = 2.0 ** np.arange(np.log2(even[0]))
        return tuple(sorted({round(one) for one in (*doubled, *even)}))


def curves(job: Job, order: Order, cuts: Cuts) -> tuple[Curve, ...]:
    """The order and the random ones beside it, for the whole network or for each attention."""
    if cuts.per_layer and job.setting.by != "head":
        asked = f"an order within each attention, by {job.setting.by}, was asked for"
        raise UsageError(asked, allowed="--by head")
    pool = orders.units(job)
    every = {cuts.name: order}
    for number in range(1, RANDOM[cuts.per_layer] + 1):
        every[f"random-{number}"] = orders.shuffled(pool, job.setting.seed, number)
    sizes = Counter(_place(unit, cuts.per_layer) for unit in pool)
    largest = {place: most(cuts.up_to, size, max(sizes.values())) for place, size in sizes.items()}
    found = []
    for place, size in sizes.items():
        of_place = {
            name: tuple(unit for unit in chosen if _place(unit, cuts.per_layer) == place)
            for name, chosen in every.items()
        }
        last = min(largest[place], len(of_place[cuts.name]))
        for name, chosen in of_place.items():
            found.append(Curve(name, name != cuts.name, place, chosen[:last], size))
    return tuple(curve for curve in found if curve.units)


def most(up_to: str, size: int, largest: int) -> int:
    """How many of `size` are cut at most; UsageError for what is no number and no share.

    largest: the size of the largest place, which a number may not be above.
    """
    if not up_to:
        return size
    if up_to.isascii() and up_to.isdigit():
        if 1 <= int(up_to) <= largest:
            return min(int(up_to), size)
    else:
        share = _share(up_to)
        if 0 < share <= 1:
            return max(1, int(share * size + 1e-9))
    allowed = f"a number from 1 to {largest}, or a share such as 0.5 or 50%"
    raise UsageError(f"--up-to {up_to!r}", allowed=f"allowed is {allowed}")


def _share(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return np.nan


def _place(unit: Trial, per_layer: bool) -> str:
    return str(unit.at[0].whole) if per_layer else ""


def tried_first(job: Job, found: Sequence[Curve], cuts: Cuts) -> list[Trial]:
    """What is run whatever comes out: each alone where that makes the order, noise, the grid."""
    kept = ("noise", job.setting.by) if cuts.order == "measured" else ("noise",)
    trials = [trial for trial in job.plan if trial.kind in kept]
    for curve in found:
        trials += [curve.trial(count) for count in curve.grid(POINTS[cuts.per_layer])]
    return trials


def refined(found: Sequence[Curve], cuts: Cuts) -> list[Curve]:
    """The curves that get numbers between those of the grid: not the controls of attentions."""
    return [curve for curve in found if not (curve.control and cuts.per_layer)]
