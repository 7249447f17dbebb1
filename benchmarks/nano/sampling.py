"""How a Chronos-T5 should draw: `python benchmarks/nano/sampling.py FOLDER`.

Forecasts generated series that no run has seen (a seed of their own) at several temperatures, and
prints the errors of each. The temperature of the lowest quantile loss is written into the family's
file by hand: no measured series has a say in it.
"""

import argparse

import numpy as np
from measure import MIDDLE, Case, forecasts, losses
from pool import drawn, shard

from tsfm_probe import load
from tsfm_probe.models.chronos_t5 import ChronosT5

SEED = 1
# The first shards of a pool hold simple series alone.
NUMBER = 8
CONTEXTS = (64, 128, 256)
TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6)
# Of a context: where it varies less, no error can be told in units of its spread.
LEAST_SPREAD = 1e-3


def windows(series: np.ndarray, context: int, horizon: int, count: int) -> np.ndarray:
    """Held-out stretches that vary and have no gap in the target: [window, time]."""
    rng = np.random.default_rng([SEED, context])
    found = drawn(rng, [series], 4 * count, context + horizon).astype(float)
    varies = np.nanstd(found[:, :context], axis=1) > LEAST_SPREAD
    return found[varies & np.isfinite(found[:, context:]).all(1)][:count]


def errors(model: ChronosT5, stretches: np.ndarray, horizon: int) -> np.ndarray:
    """Mean quantile loss (twice, over levels) and absolute error of the median, per window: [2, w].

    Both in units of the context's standard deviation.
    """
    seen, target = stretches[:, :-horizon], stretches[:, -horizon:]
    found = [Case(*pair) for pair in zip(seen, target, strict=True)]
    values = forecasts(model, found, horizon, samples=0)
    middle = np.abs(target - values[:, :, MIDDLE]).mean(1)
    spread = np.nanstd(seen, axis=1)
    return np.stack([losses(target, values).mean((1, 2)), middle]) / spread


def main() -> None:
    """Print a line per temperature."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="checkpoint in the published format, or a name")
    parser.add_argument("--count", type=int, default=100, help="windows per length of context")
    parser.add_argument("--horizon", type=int, default=24)
    given = parser.parse_args()
    model = load(given.folder)
    if not isinstance(model, ChronosT5):
        parser.error(f"{given.folder} is not a Chronos-T5: no other family draws bins")
    series = shard(SEED, NUMBER)
    cases = [windows(series, length, given.horizon, given.count) for length in CONTEXTS]
    print(f"{sum(map(len, cases))} windows")
    settings = model.net.config.chronos_config
    for temperature in TEMPERATURES:
        settings["temperature"] = temperature
        found = [errors(model, case, given.horizon) for case in cases]
        loss, middle = np.concatenate(found, axis=1).mean(1)
        told = f"quantile loss {loss:.4f}, error of the median {middle:.4f}"
        print(f"temperature {temperature}: {told}", flush=True)


if __name__ == "__main__":
    main()
