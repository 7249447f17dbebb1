"""The address of one part of a network, for example `decoder.3.cross.5`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import total_ordering

from tsfm_probe.errors import UsageError, nearest

PATTERN = re.compile(r"([a-z][a-z0-9_]*)\.([0-9]{1,9})\.([a-z][a-z0-9_]*)(?:\.([0-9]{1,9}))?")
SPAN = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


@total_ordering
@dataclass(frozen=True)
class Address:
    """One attention or MLP of a layer (`encoder.0.mlp`), or one head of it (`decoder.3.cross.5`).

    stack: "encoder" or "decoder" (decoder-only networks name their one stack "decoder").
    layer: number of the layer in its stack, from 0.
    part: what it is in its layer: "self", "cross", "time", "group", "variate", "mlp", ...
    head: number of the head, or None for the whole part.
    """

    stack: str
    layer: int
    part: str
    head: int | None = None

    def __str__(self) -> str:
        whole = f"{self.stack}.{self.layer}.{self.part}"
        return whole if self.head is None else f"{whole}.{self.head}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, int, str, int]:
        return self.stack, self.layer, self.part, -1 if self.head is None else self.head

    @property
    def whole(self) -> "Address":
        """The part that a head belongs to (a part itself otherwise)."""
        return replace(self, head=None)

    @property
    def layer_name(self) -> str:
        """The layer that this belongs to, as text: `decoder.3`."""
        return f"{self.stack}.{self.layer}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address from text; UsageError if it is not one."""
        match = PATTERN.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"the address {text!r} was asked for",
                allowed="an address is stack.layer.part or stack.layer.part.head, "
                "such as decoder.3.cross.5",
            )
        stack, layer, part, head = match.groups()
        return cls(stack, int(layer), part, None if head is None else int(head))


def matching(pattern: str, addresses: Sequence[Address]) -> tuple[Address, ...]:
    """The addresses that a pattern such as `decoder.*.cross.*` matches, in their given order.

    `*` stands for one field, `{a,b}` for alternatives, `2-5` for a range of numbers; a pattern
    with fewer fields than an address matches everything below it. Several patterns are separated
    by commas or spaces. UsageError, with the nearest names, if one of them matches nothing.
    """
    if not addresses:
        raise UsageError(f"parts matching {pattern!r} were asked for", "this model has no parts")
    kept: set[Address] = set()
    for one in split_patterns(pattern):
        found = {address for address in addresses if _fits(one.split("."), str(address).split("."))}
        if not found:
            raise UsageError(
                f"no part of this network matches {one!r}",
                allowed=nearest(one, prefixes(addresses)),
            )
        kept |= found
    return tuple(address for address in addresses if address in kept)


def split_patterns(text: str) -> list[str]:
    """Split at commas and spaces that are not inside braces; UsageError if nothing is left."""
    found = [one for one in re.split(r"[,\s]+(?![^{]*\})", text.strip()) if one]
    if not found:
        raise UsageError("an empty address pattern was given", allowed="such as 'decoder.*.cross'")
    return found


def prefixes(addresses: Iterable[Address]) -> list[str]:
    """Every stack, layer, part and head as text, for did-you-mean."""
    names: dict[str, None] = {}
    for address in addresses:
        fields = str(address).split(".")
        for length in range(1, len(fields) + 1):
            names[".".join(fields[:length])] = None
    return list(names)


def _fits(pattern: list[str], fields: list[str]) -> bool:
    return len(pattern) <= len(fields) and all(map(_field_fits, pattern, fields))


def _field_fits(pattern: str, field: str) -> bool:
    if pattern.startswith("{") and pattern.endswith("}"):
        return any(_field_fits(one.strip(), field) for one in pattern[1:-1].split(","))
    span = SPAN.fullmatch(pattern)
    if span and field.isdigit():
        return int(span[1]) <= int(field) <= int(span[2])
    return fnmatchcase(field, pattern)
