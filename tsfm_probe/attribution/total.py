"""The direct effect of each head beside its total effect, which ablating it shows.

The total effect is the number that is aimed at, minus the same with the head writing zero, in a
forecast along the same path (what is fed back is that of the untouched model) and aimed at the same
place. What the two differ by is what later layers make of the head's write: they add to it, or
repair its loss (McGrath et al. 2023, The Hydra Effect, arXiv 2307.15771).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from tsfm_probe.address import Address
from tsfm_probe.attribution.effects import effect_on
from tsfm_probe.attribution.target import Target
from tsfm_probe.attribution.through import Through
from tsfm_probe.attribution.walk import Cases, Glimpse, Walk
from tsfm_probe.attribution.writes import HEAD, writes
from tsfm_probe.models.reading import Aimed
from tsfm_probe.probes.ablation import Progress
from tsfm_probe.probes.predictors import interval, spearman
from tsfm_probe.surgery.edit import Edit, edited

COLUMNS = ("address", "direct", "total", "direct_size", "total_size", "count")


@dataclass(frozen=True, eq=False)
class Untouched:
    """The untouched forecast of one batch.

    path: [row, horizon]. aimed, whole: of each pass, what is aimed at and the number found.
    direct: by head, its effects in each pass, [row, step].
    """

    path: np.ndarray
    aimed: Sequence[Aimed]
    whole: Sequence[np.ndarray]
    direct: Mapping[str, Sequence[np.ndarray]]


class Totals:
    """Direct and total effects of heads, means over cases and steps.

    watched: a walk that records what effects rest on (see probe.watched).
    through: whether heads of the encoder have their share in cross-attention for a direct effect.
    """

    def __init__(
        self, watched: Walk, target: Target, heads: Sequence[Address], through: bool
    ) -> None:
        self.model = watched.model
        self.target = target
        self.heads = heads
        self.through = through
        self.watched = watched
        self.plain = Walk(watched.model, watched.cases)
        self._sums = {head: np.zeros(5) for head in heads}

    def run(self, progress: Progress | None = None) -> pd.DataFrame:
        """Columns COLUMNS, a row for each head.

        direct: of heads of the encoder through cross-attention, else NaN.
        direct_size, total_size: means of absolute values. count: cases times steps.
        """
        batches = list(self.watched.batches())
        total, done = len(batches) * len(self.heads), 0
        for places, cases in batches:
            base = self._untouched(places, cases)
            for head in self.heads:
                self._add(head, base, self._ablated(head, base, places, cases))
                done += 1
                if progress:
                    progress(done, total, str(head))
        rows = [
            (str(head), *(sums[:4] / sums[4] if sums[4] else sums[:4] * np.nan), int(sums[4]))
            for head, sums in self._sums.items()
        ]
        return pd.DataFrame(rows, columns=pd.Index(COLUMNS))

    @torch.no_grad()
    def _untouched(self, places: Sequence[int], cases: Cases) -> Untouched:
        path, aims, whole = [], [], []
        direct: dict[str, list[np.ndarray]] = {}
        anatomy = self.model.anatomy
        through = Through.of(self.model, cases) if self.through else None
        for glimpse in self.watched.along(places, cases):
            path.append(glimpse.made.median())
            aims.append(self.target.aimed(glimpse))
            whole.append(_numbers(aims[-1], glimpse))
            effect = effect_on(self.model, glimpse, aims[-1])
            own = writes(anatomy, anatomy.reads.name, glimpse.record, glimpse.tokens)
            for one in (*own, *(through.writes(glimpse) if through else ())):
                if one.kind == HEAD:
                    found = effect(one.value).double().cpu().numpy()
                    direct.setdefault(one.address, []).append(found)
        return Untouched(np.concatenate(path, axis=1), aims, whole, direct)

    @torch.no_grad()
    def _ablated(
        self, head: Address, base: Untouched, places: Sequence[int], cases: Cases
    ) -> list[np.ndarray]:
        with edited(self.model.anatomy, [Edit(head)]):
            return [
                _numbers(aimed, glimpse)
                for aimed, glimpse in zip(
                    base.aimed, self.plain.along(places, cases, base.path), strict=True
                )
            ]

    def _add(self, head: Address, base: Untouched, found: Sequence[np.ndarray]) -> None:
        own = base.direct.get(str(head), [np.full_like(one, np.nan) for one in base.whole])
        for whole, other, direct in zip(base.whole, found, own, strict=True):
            total = whole - other
            known = ~np.isnan(total)
            parts = (direct, total, np.abs(direct), np.abs(total), np.ones_like(total))
            self._sums[head] += [float(one[known].sum()) for one in parts]


def _numbers(aimed: Aimed, glimpse: Glimpse) -> np.ndarray:
    """The number that is aimed at: [row, step]."""
    return aimed(glimpse.made.prediction).double().cpu().numpy()


def agreement(totals: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """Rank correlation over heads of the sizes of direct and total effects, and of the effects.

    With 95 % bootstrap intervals (see predictors.interval): spearman, low, high for the sizes,
    signed, signed_low, signed_high for the effects; heads without a direct one do not count.
    """
    known = totals.dropna()
    found = {"heads": float(len(known))}
    for prefix, one, other in (
        ("", "direct_size", "total_size"),
        ("signed_", "direct", "total"),
    ):
        pair = known[one].to_numpy(), known[other].to_numpy()
        low, high = interval(*pair, seed) if len(known) else (np.nan, np.nan)
        rank = spearman(*pair) if len(known) else np.nan
        found |= {f"{prefix}spearman": rank, f"{prefix}low": low, f"{prefix}high": high}
    return found
