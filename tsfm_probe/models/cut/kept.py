"""What is left of a network that was cut, as config.json tells it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tsfm_probe.address import Address
from tsfm_probe.durable import write_json
from tsfm_probe.errors import ModelError, UsageError

KEY = "tsfm_probe"
# What chooses a pipeline of upstream: with this name there, it refuses what it cannot build.
PIPELINE = "chronos_pipeline_class"
PIPELINES = {"chronos-bolt": "ChronosBoltPipeline", "chronos-2": "Chronos2Pipeline"}


@dataclass(frozen=True)
class Kept:
    """How a network differs from the one that the rest of its config.json describes.

    Layers that were taken out whole are not told here where config.json counts the others.

    heads: for an attention, which of its heads are left, by their numbers in the whole network.
    gone: attentions and MLPs that are no longer there.
    widths: for an MLP, how many of its neurons are left.
    family: that of the network, which its changed config may not tell.
    """

    family: str = ""
    heads: Mapping[Address, tuple[int, ...]] = field(default_factory=dict)
    gone: frozenset[Address] = frozenset()
    widths: Mapping[Address, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.heads or self.gone or self.widths)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Kept":
        """What a config.json tells; all if it tells nothing; ModelError if it cannot be read."""
        told = config.get(KEY)
        if told is None:
            return cls()
        try:
            family, gone = str(told["family"]), frozenset(map(Address.parse, told["gone"]))
            heads = {Address.parse(at): tuple(map(int, left)) for at, left in told["heads"].items()}
            widths = {Address.parse(at): int(width) for at, width in told["widths"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise ModelError(
                f"{KEY} of config.json was to be read",
                f"it is damaged ({' '.join(str(error).split())})",
                "what `tsfm-probe prune` wrote there",
            ) from error
        return cls(family, heads, gone, widths)

    def told(self) -> dict[str, Any]:
        """The same as plain values, for config.json."""
        heads = {str(at): list(left) for at, left in sorted(self.heads.items())}
        return {
            "family": self.family,
            "heads": heads,
            "gone": [str(at) for at in sorted(self.gone)],
            "widths": {str(at): width for at, width in sorted(self.widths.items())},
        }

    def without_heads(self, at: Address, left: Sequence[int]) -> "Kept":
        """The same after an attention kept only these of the heads that it had."""
        before = self.heads.get(at)
        numbers = tuple(before[one] if before else one for one in left)
        return replace(self, heads={**self.heads, at: numbers})

    def without_part(self, at: Address) -> "Kept":
        """The same after a part was taken out."""
        heads = {one: left for one, left in self.heads.items() if one != at}
        widths = {one: width for one, width in self.widths.items() if one != at}
        return replace(self, heads=heads, gone=self.gone | {at}, widths=widths)

    def with_widths(self, widths: Mapping[Address, int]) -> "Kept":
        """The same after MLPs kept only as many neurons."""
        return replace(self, widths={**self.widths, **widths})

    def without_layers(self, stack: str, left: Sequence[int]) -> "Kept":
        """The same after a stack kept only these layers, which are counted anew."""
        place = {old: new for new, old in enumerate(left)}

        def stays(at: Address) -> bool:
            return at.stack != stack or at.layer in place

        def moved(at: Address) -> Address:
            return replace(at, layer=place[at.layer]) if at.stack == stack else at

        heads = {moved(at): numbers for at, numbers in self.heads.items() if stays(at)}
        gone = frozenset(moved(at) for at in self.gone if stays(at))
        widths = {moved(at): width for at, width in self.widths.items() if stays(at)}
        return replace(self, heads=heads, gone=gone, widths=widths)


def tell(path: Path, kept: Kept) -> None:
    """Make a config.json tell what is left; it is that of a whole network if all is."""
    config = json.loads(path.read_text(encoding="utf-8"))
    told = {name: value for name, value in config.items() if name != KEY}
    if kept:
        told[KEY] = kept.told()
        if "chronos_config" in config:
            told[PIPELINE] = KEY
    elif config.get(PIPELINE) == KEY:
        del told[PIPELINE]
        if kept.family in PIPELINES:
            told[PIPELINE] = PIPELINES[kept.family]
    if told != config:
        write_json(path, told)
