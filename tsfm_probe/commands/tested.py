"""What the commands of the benchmarks share: whose run it is, and how numbers are said."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from tsfm_probe.commands.origin import weights_of
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.evaluate.forecasting import Forecasting
from tsfm_probe.evaluate.spread import Workers, fill_by
from tsfm_probe.evaluate.store import Store, Unit, Work, fill
from tsfm_probe.models.base import Model


def identity(probe: str, model: Model, how: Forecasting) -> dict[str, str]:
    """What must be equal for a run to be continued, besides what each unit depends on."""
    drawn = str(how.samples or model.default_samples)
    return {
        "probe": probe,
        "model": model.name,
        "family": model.family,
        "seed": str(how.seed),
        "samples": drawn if model.draws_samples else "none are drawn",
        "context": str(how.context or model.context_length),
        "joint": str(how.joint),
        **weights_of(model),
    }


def done(
    store: Store,
    units: Sequence[Unit],
    worker: Work,
    job: Any,
    workers: Workers,
    terminal: Terminal,
) -> None:
    """Do the units that are not done, here or by several workers, and say what was made again.

    job: what `worker` was made from: a dataclass with `device` and `dtype`.
    """
    # "auto" may be another dtype on the device of a worker.
    job = replace(job, dtype=store.record.identity["dtype"])
    with terminal.progress("forecasting") as progress:
        if not workers.several:
            fill(store, units, worker, progress)
        else:
            kind: Any = type(worker)
            with workers.hands(partial(hired, kind, job), job.device) as hands:
                fill_by(hands, store, units, progress)
    if store.damaged:
        names = ", ".join(unit.name for unit in store.damaged)
        terminal.say(f"damaged results were found and made again: {names}")


def hired(kind: Callable[[Any], Work], job: Any, device: str) -> Work:
    """Another worker of the same kind, on a device of its own."""
    return kind(replace(job, device=device))


def change(ratio: float) -> str:
    """A ratio as the percentage by which something changed."""
    return "-" if pd.isna(ratio) else f"{100 * (ratio - 1):+.2f} %"


def interval(low: float, high: float, said: Callable[[float], str]) -> str:
    """The two ends of an interval, or a dash where there is none."""
    return "-" if pd.isna(low) or pd.isna(high) else f"{said(low)} to {said(high)}"
