"""Made-up answers, forecasts and pages for the tests of the report."""

from pathlib import Path

import numpy as np
import pandas as pd

from tsfm_probe.report.page import write
from tsfm_probe.table import COLUMNS, Table

HOSTILE = "<b>$x$</b><script>alert(1)</script> &amp; </script>"
STACKS = ("encoder.{}.self", "decoder.{}.self", "decoder.{}.cross")


def trial_names(by: str, layers: int = 4, heads: int = 4) -> list[str]:
    whole = [stack.format(layer) for stack in STACKS for layer in range(layers)]
    if by == "head":
        return [f"{part}.{head}" for part in whole for head in range(heads)]
    if by == "part":
        mlps = [f"{s}.{layer}.mlp" for s in ("encoder", "decoder") for layer in range(layers)]
        return whole + mlps
    return [f"{stack}.{layer}" for stack in ("encoder", "decoder") for layer in range(layers)]


def made_answer(by: str, intervals: bool = True, layers: int = 4, heads: int = 4) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = []
    trials = [(by, name) for name in trial_names(by, layers, heads)]
    trials += [("noise", "noise-1"), ("noise", "noise-2")] + [
        ("random", f"random-{number}") for number in (1, 2, 3)
    ]
    for at, (kind, trial) in enumerate(trials):
        change = random.normal(0.3, 0.8) if kind != "noise" else random.normal(0, 0.1)
        if at in (0, 17):
            change = (340.0, 0, -2.5)[at // 9]
        for metric, scaled in (("MASE", change), ("WQL", 1.2 * change)):
            half = 0.25 + 0.1 * abs(scaled)
            low, high = scaled - half, scaled + half
            verdict = "redundant" if high < 1 else "harmful" if low > 1 else "uncertain"
            rows.append(
                {
                    "kind": kind,
                    "trial": trial,
                    "metric": metric,
                    "ratio": 1 + scaled / 100,
                    "low": 1 + low / 100 if intervals else np.nan,
                    "high": 1 + high / 100 if intervals else np.nan,
                    "q_redundant": random.uniform(0, 0.05) if intervals else np.nan,
                    "q_harmful": random.uniform() if intervals else np.nan,
                    "verdict": verdict if intervals else "uncertain",
                    "mean": 0.9,
                }
            )
        same = {"kind": kind, "trial": trial, "verdict": ""}
        rows.append({**same, "metric": "spearman", "mean": 1 - abs(change) / 500})
        rows.append({**same, "metric": "nrmse", "mean": abs(change) / 50})
    return pd.DataFrame(rows).assign(series=8 if intervals else 1, windows=24, excluded=0)


def made_forecasts(trials: list[str], series: list[str], horizon: int = 24) -> pd.DataFrame:
    random = np.random.default_rng(1)
    start = pd.Timestamp("2024-03-01")
    rows = []
    for name in series:
        steps = np.arange(-96, horizon)
        values = 20 + 6 * np.sin(steps / 24 * 2 * np.pi) + random.normal(0, 0.8, len(steps))
        for trial in ["untouched", *trials]:
            shift = 0 if trial == "untouched" else random.normal(0, 3)
            for step, value in zip(steps, values, strict=True):
                time = start + pd.Timedelta(hours=int(step))
                role = "context" if step < 0 else "target"
                rows.append((trial, name, 0, role, step, time, np.nan, value))
                if step < 0:
                    continue
                smooth = 20 + 6 * np.sin(step / 24 * 2 * np.pi) + shift
                for level in np.arange(1, 10) / 10:
                    quantile = smooth + (level - 0.5) * (2 + step / 8)
                    rows.append((trial, name, 0, "forecast", step, time, level, quantile))
    columns = ["trial", "series", "window", "role", "step", "time", "level", "value"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def made_page(
    folder: Path,
    by: str,
    intervals: bool = True,
    names: tuple[str, ...] = ("traffic-1", "solar-7", "m4-h-12"),
    model: str = "chronos-t5-small",
    layers: int = 4,
    heads: int = 4,
    answer: pd.DataFrame | None = None,
) -> Path:
    about = {
        "model": model,
        "family": "chronos-t5",
        "data": "electricity-hourly.csv",
        "by": by,
        "method": "zero",
        "horizon": "24",
        "context": "512",
        "samples": "20",
        "threshold_pp": "1.0",
        "seed": "0",
        "command": f"tsfm-probe ablate chronos-t5-small --data electricity-hourly.csv --by {by}",
        "versions": "tsfm-probe 0.1.0, torch 2.9.1, transformers 5.1.0",
        "weight_hash": "sha256:" + "0123456789abcdef" * 4,
    }
    if answer is None:
        answer = made_answer(by, intervals, layers, heads)
    trials = trial_names(by, layers, heads)
    summary = [
        "31 of 48 heads are redundant at 1 %: cutting any one of them alone does no shown harm.",
        "Most harmful head to cut, change of MASE: encoder.0.self.0 +340.0 % (+306 to +374 %).",
        "Control, another seed and nothing cut: MASE -0.1 % to +0.1 % (2 trials).",
        f"The series {names[0]} was among them.",
    ]
    table = Table(pd.DataFrame(columns=pd.Index(COLUMNS)), about)
    return write(folder, table, answer, summary, made_forecasts([trials[0], trials[5]], [*names]))
