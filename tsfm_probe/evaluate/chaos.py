"""Chaotic systems, and trajectories of them: those of the package dysts, or the built-in flows."""

import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from tsfm_probe.data.synthetic import FLOWS, Flow
from tsfm_probe.errors import DataError, UsageError, nearest

BUILT_IN = "built-in"
SOURCES = ("auto", "dysts", BUILT_IN)
TURN = 30  # steps of a built-in flow in one turn (see synthetic.Flow)
SETTLING = (20.0, 60.0)  # periods that pass between the starting point and the first value
NUDGE = 0.01  # of the attractor's own spread, by which the starting points differ
ATTEMPTS = 5
FAR = 1e4  # sizes of the attractor; who goes so far does not come back
ACCURACY = 1e-9  # relative and absolute
# Largest Lyapunov exponents of the built-in flows in unit time, to about 5 %: how fast the distance
# of two trajectories grew over 3,000 periods (Benettin et al. 1980). Published ones of the same
# equations agree: Lorenz 0.906, Rossler 0.071, Chen 2.03, Sprott B 0.210 (Sprott 2003).
EXPONENTS = MappingProxyType(
    {
        "lorenz": 0.905,
        "rossler": 0.073,
        "thomas": 0.013,
        "halvorsen": 0.68,
        "aizawa": 0.096,
        "chen": 2.03,
        "sprott": 0.210,
        "dadras": 0.395,
    }
)

Rates = Callable[[float, np.ndarray], Any]


@dataclass(frozen=True, eq=False)
class System:
    """A chaotic system that can be integrated.

    source: where its equations are from: "built-in" or "dysts" with its version.
    rates: the change of a state [coordinate] in unit time, from time and state.
    start: a state [coordinate] on the attractor or near it.
    spread: [coordinate] the size of the attractor.
    period: unit times in one turn. exponent: its largest Lyapunov exponent in unit time, None
    where it is unknown or not positive.
    shown: what is seen of states [coordinate, time], as many values: [coordinate, time].
    """

    name: str
    source: str
    rates: Rates
    start: np.ndarray
    spread: np.ndarray
    period: float
    exponent: float | None
    shown: Callable[[np.ndarray], np.ndarray]

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        """By its name, so that it can be handed to another process."""
        return _known, (self.name, self.source)


def systems(names: Sequence[str] = (), source: str = "auto") -> tuple[System, ...]:
    """The systems of these names, by default all, in their order.

    source: "dysts" for those of the package, "built-in", or "auto": dysts where it is installed.
    Names are matched whatever their case. UsageError for a name that is not there, for a system of
    dysts with delays (its state is a function, which this does not integrate), and for dysts where
    it is not installed.
    """
    if source not in SOURCES:
        raise UsageError(f"--source {source!r}", allowed=nearest(source, SOURCES))
    there = find_spec("dysts") is not None
    if source == "dysts" and not there:
        raise UsageError(
            "systems of the package dysts", "it is not installed", "pip install 'tsfm-probe[dysts]'"
        )
    packaged = there and source != BUILT_IN
    known = _packaged() if packaged else {name: _built_in(name, FLOWS[name]) for name in FLOWS}
    if not names:
        return tuple(known.values())
    by_name = {name.lower(): name for name in known}
    for name in names:
        if name.lower() not in by_name:
            raise UsageError(
                f"the chaotic system {name!r}",
                f"{'dysts' if packaged else 'the built-in flows'} have none that can be integrated",
                nearest(name, known),
            )
    return tuple(known[by_name[name.lower()]] for name in dict.fromkeys(names))


def trajectory(
    system: System, number: int, seed: int, length: int, granularity: int = 30
) -> np.ndarray:
    """One trajectory on the attractor: [coordinate, time], `granularity` values in one period.

    It is given by the arguments alone, and starts the same whatever the length; the steps of the
    integration depend on the length, so that chaos parts a longer one from a shorter one. The
    starting point is nudged by a hundredth of the attractor's size, and 20 to 60 periods
    pass before the first value. DataError if a nudge leads away to infinity five times.
    """
    step = system.period / granularity
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, zlib.crc32(system.name.encode()), number, attempt])
        start = system.start + NUDGE * system.spread * rng.standard_normal(len(system.start))
        settled = system.period * rng.uniform(*SETTLING)
        times = settled + step * np.arange(length)
        found = integrated(system, start, times)
        if found is not None:
            return system.shown(found)
    raise DataError(
        f"trajectory {number} of {system.name}",
        f"integration failed from {ATTEMPTS} starting points",
        "leave the system out with --systems",
    )


def integrated(system: System, start: np.ndarray, times: np.ndarray) -> np.ndarray | None:
    """States at these times, from time 0 on: [coordinate, time]; None if they run away."""
    far = FAR * float(np.linalg.norm(np.abs(system.start) + system.spread))

    def away(_: float, state: np.ndarray) -> float:
        return far - float(np.abs(state).max())

    # Or a state on its way to infinity would be followed in ever smaller steps.
    setattr(away, "terminal", True)  # noqa: B010
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = solve_ivp(
            system.rates,
            (0.0, times[-1]),
            start,
            method="LSODA",
            t_eval=times,
            events=away,
            rtol=ACCURACY,
            atol=ACCURACY,
        )
    return path.y if path.status == 0 and np.isfinite(path.y).all() else None


def _known(name: str, source: str) -> System:
    """The system of this name in a source, which may be told with its version."""
    return systems([name], source.split()[0])[0]


def _built_in(name: str, flow: Flow) -> System:
    start = np.asarray(flow.start, dtype=float)
    return System(
        name,
        BUILT_IN,
        lambda _, state: flow.rates(*state),
        start,
        np.full(len(start), 10.0),  # nudged by 0.1, as synthetic.flow does
        TURN * flow.step,
        EXPONENTS.get(name),
        lambda states: states,
    )


def _packaged() -> dict[str, System]:
    """The systems of dysts (Gilpin 2021, arXiv 2110.05266) that are ordinary equations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells that numba would make it faster
        flows, listed = import_module("dysts.flows"), import_module("dysts.systems")
        base = import_module("dysts.base")
        made = {name: getattr(flows, name)() for name in listed.get_attractor_list()}
    source = f"dysts {version('dysts')}"
    return {
        name: _of_package(name, source, one)
        for name, one in made.items()
        if isinstance(one, base.DynSys)
    }


def _of_package(name: str, source: str, one: Any) -> System:
    exponent = one.maximum_lyapunov_estimated
    after = getattr(one, "_postprocessing", None)
    return System(
        name,
        source,
        lambda time, state: one.rhs(state, time),
        np.asarray(one.ic, dtype=float),
        np.asarray(one.std, dtype=float),
        float(one.period),
        float(exponent) if exponent and exponent > 0 else None,
        (lambda states: np.array(after(*states))) if after else (lambda states: states),
    )
