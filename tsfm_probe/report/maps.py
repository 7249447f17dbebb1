"""Where in the network each effect sits: one map for each attention kind, or bars by layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tsfm_probe.address import PATTERN
from tsfm_probe.report.effects import Effect, Effects

NAMES = {"self": "self-attention", "cross": "cross-attention", "mlp": "MLP"}


@dataclass(frozen=True)
class Map:
    """A grid of effects, layers as rows.

    cells: [row][column], None where the network has no such part or it was not measured.
    columns_are: what the columns count, "head" or "part".
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    columns_are: str
    cells: tuple[tuple[Effect | None, ...], ...]


@dataclass(frozen=True)
class Bars:
    """The effects of the layers of one stack, from the first layer to the last."""

    title: str
    layers: tuple[str, ...]
    effects: tuple[Effect, ...]


def maps(effects: Effects) -> tuple[Map, ...]:
    """A layer by head map for each attention kind, and a layer by part map for each stack."""
    heads: dict[tuple[str, str], list[tuple[int, str, Effect]]] = {}
    parts: dict[str, list[tuple[int, str, Effect]]] = {}
    for effect in effects.edits:
        match = PATTERN.fullmatch(effect.trial)
        if match is None:
            continue
        stack, layer, part, head = match.groups()
        if head is None:
            parts.setdefault(stack, []).append((int(layer), part, effect))
        else:
            heads.setdefault((stack, part), []).append((int(layer), head, effect))
    return tuple(
        _grid(attention(stack, part), "head", found, int) for (stack, part), found in heads.items()
    ) + tuple(_grid(f"{stack.capitalize()} parts", "part", found) for stack, found in parts.items())


def bars(effects: Effects) -> tuple[Bars, ...]:
    """The effects of whole layers, for each stack."""
    stacks: dict[str, list[tuple[int, Effect]]] = {}
    for effect in effects.edits:
        stack, _, layer = effect.trial.rpartition(".")
        if effect.kind == "layer" and stack and layer.isdigit():
            stacks.setdefault(stack, []).append((int(layer), effect))
    found = []
    for stack, layers in stacks.items():
        layers.sort(key=lambda item: item[0])
        numbers, ordered = zip(*layers, strict=True)
        found.append(Bars(f"{stack.capitalize()} layers", tuple(map(str, numbers)), ordered))
    return tuple(found)


def attention(stack: str, part: str) -> str:
    """What an attention of a stack is called in a title."""
    return f"{stack.capitalize()} {NAMES.get(part, f'{part} attention')}"


def _grid(
    title: str,
    columns_are: str,
    found: Sequence[tuple[int, str, Effect]],
    order: Callable[[str], int] | None = None,
) -> Map:
    rows = sorted({layer for layer, _, _ in found})
    columns = list(dict.fromkeys(column for _, column, _ in found))
    if order is not None:
        columns.sort(key=order)
    placed = {(layer, column): effect for layer, column, effect in found}
    return Map(
        title,
        tuple(map(str, rows)),
        tuple(NAMES.get(column, column) for column in columns),
        columns_are,
        tuple(tuple(placed.get((row, column)) for column in columns) for row in rows),
    )
