"""The scores of all heads that their attention tells, as one table."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.bootstrap import Sums, judged
from tsfm_probe.data.stimuli import Stimulus
from tsfm_probe.diagnosis.attending import matching, periodicity, retrieval
from tsfm_probe.diagnosis.copying import copying
from tsfm_probe.diagnosis.profile import profile
from tsfm_probe.diagnosis.prompts import PROMPTS, WALKS, Cut, prompts
from tsfm_probe.diagnosis.sight import Sight, passes, sights, timely
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import Reading

COLUMNS = ("address", "score", "value", "low", "high")
ROWS, CELLS = 16, 50_000_000
"""At once: at most so many prompts, and so many numbers in all maps."""
DRAWS = 2000
Progress = Callable[[int, int, str], None]
Found = Mapping[tuple[Address, str], Tensor]


def head_scores(
    model: Model,
    seed: int = 0,
    count: int = 16,
    context: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The scores of every head of an attention along time: columns COLUMNS.

    Means over `count` prompts of each set, with 95 % bootstrap intervals over prompts; a score that
    a head has on none of them is left out, and so are heads that attend over series (see
    sight.across).
    repeats: prefix matching, contiguity before and after (see attending.matching), and for heads of
    the stack that is read copying (see copying.copying).
    needles: retrieval, of the same heads (see attending.retrieval).
    seasons: periodicity. walks: lags, recency, primacy and entropy (see profile.profile).
    context: about how many values they have (see Cut.of). UsageError if that is too few.
    """
    cut = Cut.of(model, context)
    kept: dict[tuple[Address, str], list[Tensor]] = {}
    sets, done = (*PROMPTS, WALKS), 0
    for name in sets:
        made = prompts(name, count, cut, seed)
        for batch in _batches(made, _rows(model, cut)):
            for key, values in _scored(model, name, batch).items():
                kept.setdefault(key, []).append(values)
            done += len(batch)
            if progress:
                progress(done, count * len(sets), name)
    return table({key: torch.cat(parts) for key, parts in kept.items()}, seed)


def _rows(model: Model, cut: Cut) -> int:
    heads = sum(model.anatomy[at].heads for at in timely(model.anatomy))
    return max(1, min(ROWS, CELLS // (heads * (cut.count + cut.ahead + 1) ** 2)))


def _batches(made: Sequence[Stimulus], rows: int) -> Iterator[Sequence[Stimulus]]:
    for first in range(0, len(made), rows):
        yield made[first : first + rows]


@torch.no_grad()
def _scored(model: Model, name: str, batch: Sequence[Stimulus]) -> Found:
    """The scores that one set of prompts is for: [row], by head and name."""
    contexts, truth = [one.context for one in batch], np.stack([one.truth for one in batch])
    seen = sights(model, contexts, truth)
    found: dict[tuple[Address, str], Tensor] = {}

    def keep(at: Address, score: str, values: Tensor) -> None:
        heads = (one for one in model.anatomy.heads if one.whole == at)
        found.update({(head, score): one for head, one in zip(heads, values, strict=True)})

    if name == "repeats":
        for at, values in copying(model, contexts, truth, seen).items():
            keep(at, "copying", values)
    said = _said(model, contexts, truth) if name == "needles" else None
    for at, sight in seen.items():
        for score, values in _told(name, sight, batch, said).items():
            keep(at, score, values)
    return found


def _said(
    model: Model, contexts: Sequence[np.ndarray], truth: np.ndarray
) -> tuple[np.ndarray, Reading]:
    """The median forecast [row, step] where the spans tell of it, and how it was read."""
    made = list(passes(model, contexts, truth))
    return np.concatenate([one.median() for one in made], axis=1), made[-1].reading


def _told(
    name: str,
    sight: Sight,
    batch: Sequence[Stimulus],
    said: tuple[np.ndarray, Reading] | None,
) -> Mapping[str, Tensor]:
    if name == "repeats":
        return matching(sight, batch)
    if name == "seasons":
        return {"periodicity": periodicity(sight, batch)}
    if name == WALKS:
        return profile(sight)
    return {"retrieval": retrieval(sight, batch, *said)} if said and sight.final else {}


def table(values: Found, seed: int) -> pd.DataFrame:
    """Means over prompts with their intervals, of [prompt] values by head and score."""
    frames = []
    for score in dict.fromkeys(score for _, score in values):
        own = {str(at): one for (at, name), one in values.items() if name == score}
        given = torch.stack(list(own.values())).double().numpy()
        known = ~np.isnan(given)
        sums = Sums(np.where(known, given, 0.0), known.astype(int))
        low, high = judged(sums, 0, seed, DRAWS)[:, :2].T
        columns = (list(own), score, sums.log_ratio, low, high)
        frames.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
    found = pd.concat(frames, ignore_index=True)
    return found.dropna(subset=["value"]).reset_index(drop=True)
