"""What benchmarks/universal.yaml says, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import yaml

from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.evaluate.gift_eval_sets import TERMS
from tsfm_probe.models.names import KNOWN

SHIPPED = "shipped"
OTHERS = "others"
ORDERS = ("stable-rank", "stable-rank-desc", "random")
RANDOM = "random"


@dataclass(frozen=True)
class Heads:
    """Which heads are cut together: the first ones of every attention.

    shares: of the heads of each attention. orders: of ORDERS. seeds: of the random orders.
    """

    shares: tuple[float, ...]
    orders: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Trials:
    """What is cut. layers: whether each alone. blocks: how many middle layers together."""

    layers: bool
    blocks: tuple[int, ...]
    heads: Heads


@dataclass(frozen=True)
class Scale:
    """Which models, and on what (see commands.bench_gift_eval.Request).

    samples: by model, and under OTHERS of those that it does not name.
    """

    models: tuple[str, ...]
    configurations: tuple[str, ...]
    term: str
    samples: Mapping[str, int]
    context: int

    def samples_of(self, model: str) -> int:
        """How many sample paths a model draws; 0: as many as it does by itself."""
        return self.samples.get(model, self.samples[OTHERS])


@dataclass(frozen=True)
class Study:
    """All of the file.

    limit: in percent, below which a rise of the error counts as none. middle: the layers of the
    middle of a stack, from its first layer (0) to its last (1).
    """

    limit: float
    middle: tuple[float, float]
    trials: Trials
    scales: Mapping[str, Scale]

    def scale(self, name: str) -> Scale:
        """One of the scales; UsageError if there is none of that name."""
        if name not in self.scales:
            raise UsageError(
                f"the scale {name!r} was asked for", allowed=nearest(name, self.scales)
            )
        return self.scales[name]


def read(path: Path) -> Study:
    """Read the file; UsageError for anything in it that is unknown, missing or out of its range."""
    try:
        found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the study in {path}", error.strerror or str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the study in {path}", f"it is not YAML: {error}") from error
    top = _Part(path.name, found, ("limit", "middle", "trials", "scales"))
    asked = _Part(f"{path.name}: trials", top["trials"], ("layers", "blocks", "heads"))
    heads = _Part(f"{path.name}: heads", asked["heads"], ("shares", "orders", "seeds"))
    trials = Trials(
        asked.of("layers", lambda one: isinstance(one, bool), "true or false"),
        asked.each("blocks", lambda one: _whole(one) and one > 0, "whole numbers above 0"),
        Heads(
            heads.each("shares", lambda one: _number(one) and 0 < one < 1, "between 0 and 1"),
            heads.each("orders", lambda one: one in ORDERS, "of " + ", ".join(ORDERS)),
            heads.each("seeds", lambda one: _whole(one) and one >= 0, "whole numbers from 0"),
        ),
    )
    return Study(
        top.of("limit", lambda one: _number(one) and one > 0, "a number of percent above 0"),
        top.of("middle", _is_span, "two numbers from 0 to 1, the lower one first"),
        trials,
        _scales(path.name, top["scales"]),
    )


def _scales(name: str, found: Any) -> dict[str, Scale]:
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{name}: scales", "there are none", "such as nano: {models: [shipped]}")
    keys = ("models", "configurations", "term", "samples", "context")
    made = {}
    for one, values in found.items():
        part = _Part(f"{name}: scales: {one}", values, keys)
        count: Callable[[Any], bool] = lambda one: _whole(one) and one >= 0  # noqa: E731
        texts = part.each("models", lambda one: isinstance(one, str), "names")
        made[str(one)] = Scale(
            _models(part.name, texts),
            part.each("configurations", lambda one: isinstance(one, str), "patterns of names"),
            part.of("term", lambda one: one in (*TERMS, "all"), ", ".join((*TERMS, "all"))),
            _samples(part, count),
            part.of("context", count, "a whole number from 0"),
        )
    return made


def _samples(part: "_Part", count: Callable[[Any], bool]) -> dict[str, int]:
    """A number for all models, or a mapping with OTHERS."""
    allowed = f"a whole number from 0, or numbers by model and for {OTHERS}"
    value = part.found["samples"]
    found = value if isinstance(value, dict) else {OTHERS: value}
    if OTHERS not in found or not all(map(count, found.values())):
        raise UsageError(f"{part.name}: samples", f"it is {value!r}", allowed)
    _models(f"{part.name}: samples", [one for one in found if one != OTHERS])
    return found


def _models(where: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names, with those that ship in place of SHIPPED; a folder or hub id has a slash."""
    found: dict[str, None] = {}
    for name in names:
        if name == SHIPPED:
            found |= dict.fromkeys(one.name for one in KNOWN.values() if not one.hub_id)
        elif name in KNOWN or "/" in name:
            found[name] = None
        else:
            raise UsageError(f"{where}: the model {name!r}", allowed=nearest(name, KNOWN))
    return tuple(found)


class _Part:
    """A mapping of the file with exactly these keys, or UsageError."""

    def __init__(self, name: str, found: Any, keys: Sequence[str]) -> None:
        self.name = name
        if not isinstance(found, dict):
            raise UsageError(name, f"it is {found!r}", "keys " + ", ".join(keys))
        for one in found:
            if one not in keys:
                raise UsageError(f"{name}: the key {one!r}", allowed=nearest(str(one), keys))
        missing = [one for one in keys if one not in found]
        if missing:
            raise UsageError(name, f"{', '.join(missing)} is missing", "keys " + ", ".join(keys))
        self.found = found

    def __getitem__(self, key: str) -> Any:
        return self.found[key]

    def of(self, key: str, sound: Callable[[Any], bool], allowed: str) -> Any:
        """A value; a list becomes a tuple."""
        value = self.found[key]
        if not sound(value):
            raise UsageError(f"{self.name}: {key}", f"it is {value!r}", allowed)
        return tuple(value) if isinstance(value, list) else value

    def each(self, key: str, sound: Callable[[Any], bool], allowed: str) -> tuple[Any, ...]:
        """A list without repetitions, each of whose values is sound."""
        value = self.found[key]
        lists = isinstance(value, list) and value and len(set(map(str, value))) == len(value)
        if not lists or not all(map(sound, value)):
            raise UsageError(f"{self.name}: {key}", f"it is {value!r}", f"a list, {allowed}")
        return tuple(value)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_span(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2 and all(map(_number, value))
    return pair and 0 <= value[0] <= value[1] <= 1
