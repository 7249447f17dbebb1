"""How a Chronos-T5 goes on from its own draws: `python benchmarks/nano/onward.py FOLDER`.

On exact seasons (`sines.py`), the share of steps whose bin it names, given the true values before
each one, and given its own, without chance. And how rough its sample paths are: the root mean
square of their changes from step to step over that of the truth, on random walks.
"""

import argparse

import numpy as np
from sines import HEIGHTS, PERIOD, SEED, season

from tsfm_probe import load
from tsfm_probe.models.chronos_t5 import ChronosT5

CONTEXT, HORIZON, PATHS, HEIGHT = 256, 24, 20, 30.0


def named(model: ChronosT5, series: np.ndarray) -> tuple[float, float]:
    """Shares of steps of [series, time] that are named after true values, and after its own."""
    seen, target = list(series[:, :-PERIOD]), series[:, -PERIOD:]
    bins = model.reading(seen).values.numpy()
    likeliest = model.taught(seen, target)[..., : bins.shape[1]].argmax(-1).cpu().numpy()
    true = np.abs(bins[:, None] - target[..., None]).argmin(-1)
    settings = model.net.config.chronos_config
    before, settings["top_k"] = settings["top_k"], 1
    own = model.forecast(seen, PERIOD, samples=1).values[:, :, 0]
    settings["top_k"] = before
    chosen = np.abs(bins[:, None] - own[..., None]).argmin(-1)
    return float((likeliest == true).mean()), float((chosen == true).mean())


def roughness(model: ChronosT5, count: int) -> float:
    """Size of the changes of sample paths over that of the true values, on random walks."""
    steps = np.random.default_rng(SEED).standard_normal((count, CONTEXT + HORIZON))
    walks = np.cumsum(steps, axis=1) + HEIGHT
    seen = list(walks[:, :CONTEXT])
    paths = [
        model.forecast(seen, HORIZON, seed, samples=1).values[:, :, 0] for seed in range(PATHS)
    ]
    changes, truth = np.diff(np.stack(paths), axis=-1), np.diff(walks[:, CONTEXT:], axis=-1)
    return float(np.sqrt((changes**2).mean() / (truth**2).mean()))


def main() -> None:
    """Print a line for each height, and one for the paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="checkpoint in the published format, or a name")
    parser.add_argument("--count", type=int, default=24, help="series of each kind")
    given = parser.parse_args()
    model = load(given.folder)
    if not isinstance(model, ChronosT5):
        parser.error(f"{given.folder} is not a Chronos-T5: no other family draws bins")
    for height in HEIGHTS:
        plain = season(np.random.default_rng(SEED), given.count) + height
        after_true, after_own = named(model, plain)
        print(
            f"height {height:g}: {after_true:.3f} after true values, {after_own:.3f} after its own"
        )
    print(f"roughness of paths: {roughness(model, given.count):.2f}")


if __name__ == "__main__":
    main()
