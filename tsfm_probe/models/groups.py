"""Which series of a batch are forecast jointly."""

from collections.abc import Sequence


def members(groups: Sequence[int] | None, count: int) -> list[list[int]]:
    """The places of the series of each group, in order of first appearance; None: each alone."""
    found: dict[int, list[int]] = {}
    for place, group in enumerate(range(count) if groups is None else groups):
        found.setdefault(group, []).append(place)
    return list(found.values())
