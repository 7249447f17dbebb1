"""Made-up tables and pages of a pruning for the tests of its page."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tsfm_probe.report.prune_page import write

METRICS = ("MASE", "WQL")
REMOVED = ["encoder.2", "decoder.1.mlp", "decoder.0.cross.1"]
"""As the cut of the budget 1 % in `made_tables`: a layer, a part, a head."""


def made_units(what: str = "all", parts: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Units with their kinds, of an encoder and a decoder, or of one decoder of these parts."""
    stacks = {"decoder": parts} if parts else {"encoder": ("self",), "decoder": ("self", "cross")}
    found = []
    for stack, attentions in stacks.items():
        for at in (f"{stack}.{layer}" for layer in range(3)):
            found.append((at, "layer"))
            found += [(f"{at}.{one}", "part") for one in (*attentions, "mlp")]
            found += [(f"{at}.{one}.{head}", "head") for one in attentions for head in range(4)]
    kinds = {"layers": "layer", "parts": "part", "heads": "head"}
    return [one for one in found if what == "all" or one[1] == kinds[what]]


def made_alone(what: str = "all", parts: tuple[str, ...] = ()) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [(*one, *random.normal(1, 4, 2)) for one in made_units(what, parts)]
    return pd.DataFrame(rows, columns=pd.Index(["unit", "kind", "MASE", "WQL"]))


def made_steps(budgets: tuple[float, ...]) -> pd.DataFrame:
    random, rows, cut = np.random.default_rng(1), [], 0
    for budget in budgets:
        for name, kind in made_units()[:12]:
            taken = random.uniform() < 0.2
            cut += taken
            rise = min(budget, 9) - random.uniform(0, 0.3, 2) + (1 - taken) * random.uniform(0, 20)
            rows.append((budget, name, kind, taken, *rise, cut))
    columns = ["budget", "unit", "kind", "taken", "MASE", "WQL", "cut"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def made_confirmed(budgets: tuple[float, ...], intervals: bool = True) -> pd.DataFrame:
    rows = []
    for budget in budgets:
        for shift, part in ((0.0, "searched"), (0.4, "confirmed")):
            for metric in METRICS:
                ratio = 1 + (min(budget, 9) + shift + 0.1 * (metric == "WQL")) / 100
                ends = (ratio - 0.021, ratio + 0.032) if intervals else (np.nan, np.nan)
                rows.append((budget, part, metric, ratio, *ends, "uncertain", 12, 48))
    columns = ["budget", "part", "metric", "ratio", "low", "high", "verdict", "series", "windows"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def made_curve(confirmed: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for place, (budget, own) in enumerate(confirmed.groupby("budget")):
        left = 0.9 - 0.1 * place
        row = {"budget": budget, "layers": int(place > 0), "parts": max(1, place), "heads": 1}
        row |= {"parameters": left + 0.03, "multiply_adds": left - 0.04, "latency": left}
        row |= {"latency_low": left - 0.06, "latency_high": left + 0.08}
        for one in own.to_dict("records"):
            name = f"{one['part']}_{one['metric']}"
            ends = {f"{name}_low": one["low"], f"{name}_high": one["high"]}
            row |= {name: one["ratio"]} | ends
        rows.append(row)
    return pd.DataFrame(rows)


def made_costs() -> pd.DataFrame:
    none = (np.nan, np.nan)
    rows = [
        ("parameters", 0, 2769280.0, 1162112.0, *none, "weight"),
        ("weights in the file", 0, 5538560.0, 2324224.0, *none, "byte"),
        ("latency", 1, 0.019087, 0.011635, 0.528, 0.650, "s"),
        ("latency, 25 %", 1, 0.017846, 0.011290, *none, "s"),
        ("latency, 75 %", 1, 0.022043, 0.011944, *none, "s"),
        ("peak memory", 32, 17327776.0, 8940176.0, *none, "byte"),
    ]
    columns = ["quantity", "batch", "original", "pruned", "low", "high", "unit"]
    frame = pd.DataFrame(rows, columns=pd.Index(columns))
    frame = frame.assign(ratio=frame["pruned"] / frame["original"])
    frame.attrs["threads"] = 3
    return frame


def made_behaviour(name: str = "motif") -> pd.DataFrame:
    random, rows = np.random.default_rng(2), []
    for who in ("original", "pruned"):
        for measure, of in (("parroting", name), ("seasonality bias", "walk")):
            value = random.normal(0, 0.3)
            rows.append((measure, of, who, value, value - 0.1, value + 0.12, 16))
    columns = ["measure", "set", "who", "value", "low", "high", "count"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def made_tables(budgets: tuple[float, ...] = (0.0, 1.0, 5.0)) -> dict[str, pd.DataFrame]:
    confirmed = made_confirmed(budgets)
    healed = confirmed.loc[confirmed["budget"] == 1].copy()
    healed[["ratio", "low", "high"]] *= 0.99
    return {
        "alone": made_alone(),
        "steps": made_steps(budgets),
        "confirmed": confirmed,
        "healed": healed,
        "costs": made_costs(),
        "curve": made_curve(confirmed),
        "behaviour": made_behaviour(),
    }


def made_page(
    folder: Path, tables: Mapping[str, pd.DataFrame], name: str = "chronos-t5-small"
) -> Path:
    about = {"model": name, "data": "electricity.csv", "command": f"tsfm-probe prune {name}"}
    said = [f"Cut from {name}: 1 layer, 1 part, 1 head. 42 % of the parameters are left."]
    return write(folder, tables, said, REMOVED, about)
