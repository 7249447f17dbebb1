"""Random twins: networks of a known shape with drawn weights, as a control for trained ones."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tsfm_probe.models.names import KNOWN
from tsfm_probe.models.source import Source, find

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "random:"


@dataclass(frozen=True)
class Twin(Source):
    """The shape of a checkpoint, of which no weight is read.

    seed: of the weights. family: where the name tells it, else "". drawn: SHA-256 of the weights as
    they were drawn and cast, "" before that.
    """

    seed: int = 0
    family: str = ""
    drawn: str = ""

    def weight_dtypes(self) -> set[str]:
        """That in which weights are drawn."""
        return {"F32"}

    def weight_hash(self) -> str:
        """SHA-256 of the weights that were drawn."""
        return self.drawn

    def holding(self, weights: Mapping[str, "Tensor"]) -> "Twin":
        """The same, with the hash of these weights."""
        import torch

        digest = hashlib.sha256()
        for name, weight in sorted(weights.items()):
            digest.update(f"{name} {tuple(weight.shape)} {weight.dtype} ".encode())
            raw = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().tobytes())
        return replace(self, drawn=digest.hexdigest())


def twin(name: str) -> Twin:
    """What `random:<name>` or `random:<name>@<seed>` stands for; of the name, see `find`.

    Of a hub id, config.json alone is fetched. A number at the end is the seed, unless the whole is
    a folder; a revision stands before it. Raises what `find` raises.
    """
    whole = name.removeprefix(PREFIX)
    numbered = re.fullmatch(r"(.+)@([0-9]{1,9})", whole)
    original, seed = whole, 0
    if numbered and not Path(whole).is_dir():
        original, seed = numbered[1], int(numbered[2])
    source = find(original, ("config.json",))
    known = KNOWN.get(original.partition("@")[0]) if source.origin != "folder" else None
    origin = f"random weights (seed {seed}) in the shape of {source.origin}"
    family = known.family if known else ""
    return Twin(source.folder, origin, source.revision, seed, family)
