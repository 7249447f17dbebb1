"""The README of a pruned model."""

import pandas as pd

from tsfm_probe.prune.outcome import Outcome, words

UNITS = {"s": (1000, "ms"), "byte": (1e-6, "MB"), "weight": (1, ""), "multiply-add": (1e-6, "M")}


def card(outcome: Outcome, folder: str) -> str:
    """The text of README.md: what was cut, what it costs, how it is loaded."""
    name, upstream = outcome.name, _upstream(outcome)
    lines = "\n".join(f"- {line}" for line in words(outcome))
    return f"""---
tags: [time-series, forecasting, {outcome.original.family}, pruned]
---

# {name}, pruned

{lines}

The licence is that of the original, {name}.

```python
from tsfm_probe import load

model = load("{folder}")
forecast = model.forecast([values], horizon=24)  # values: [time]
```

{upstream}

## What was cut

{", ".join(f"`{one}`" for one in outcome.removed)}

Addresses are those of the original; `prune.json` tells every step of the search.

## What it costs

{table(outcome.costs)}

Latency is the median of at least 20 forecasts, both networks in turns, on {_about(outcome)}.
"""


def _upstream(outcome: Outcome) -> str:
    if not outcome.smaller.kept:
        return "Only whole layers were cut: the library of the family loads the folder unchanged."
    return (
        "Heads, parts of layers or neurons were cut, for which the family's library has no net: "
        "load it as above. For Chronos, `model.upstream()` is the pipeline of that library around "
        "this network (`predict_quantiles`, `predict_df`)."
    )


def _about(outcome: Outcome) -> str:
    threads = outcome.costs.attrs.get("threads", "?")
    noun = "thread" if threads == 1 else "threads"
    return f"{outcome.about.get('machine', 'this machine')}, {threads} {noun}"


def table(costs: pd.DataFrame) -> str:
    """The costs as a table in Markdown."""
    lines = ["| | series at once | original | pruned | left |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows_of(costs))])


def rows_of(costs: pd.DataFrame) -> list[list[str]]:
    """The costs as text: quantity, series at once, original, pruned, what is left."""
    rows = []
    for row in costs.to_dict("records"):
        factor, unit = UNITS.get(str(row["unit"]), (1, str(row["unit"])))
        numbers = (f"{_number(factor * row[name])} {unit}" for name in ("original", "pruned"))
        left = f"{100 * row['ratio']:.0f} %"
        if pd.notna(row["low"]):
            left += f" ({100 * row['low']:.0f} to {100 * row['high']:.0f})"
        rows.append([str(row["quantity"]), str(row["batch"] or ""), *map(str.strip, numbers), left])
    return rows


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
