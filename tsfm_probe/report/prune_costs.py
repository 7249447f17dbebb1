"""What the original and the pruned network cost, as a table."""

from math import isfinite

import pandas as pd

COLUMNS = ("", "original", "pruned", "left", "95 % interval")
UNITS = {"s": (1e3, "ms"), "byte": (1e-6, "MB"), "multiply-add": (1e-6, "M")}
QUARTILES = ("25 %", "75 %")


def rows(costs: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """One row a quantity; quartiles stand in brackets behind the median that they belong to.

    costs: quantity, batch, original, pruned, ratio, low, high, unit.
    """
    every = {(str(row["quantity"]), int(row["batch"])): row for row in costs.to_dict("records")}
    found = []
    for (quantity, batch), row in every.items():
        if quantity.endswith(QUARTILES):
            continue
        ends = [every.get((f"{quantity}, {one}", batch)) for one in QUARTILES]
        numbers = []
        for who in ("original", "pruned"):
            text = amount(row[who], row["unit"])
            if all(ends):
                low, high = (amount(one[who], row["unit"]) for one in ends if one)
                text += f" ({low.split()[0]} to {high.split()[0]})"
            numbers.append(text)
        together = f", {batch} series at once" if batch > 1 else ", one series" if batch else ""
        low, high = row["low"], row["high"]
        interval = f"{100 * low:.0f} to {100 * high:.0f}\u00a0%" if isfinite(low) else ""
        found.append((quantity + together, *numbers, f"{100 * row['ratio']:.0f}\u00a0%", interval))
    return tuple(found)


def amount(value: float, unit: str) -> str:
    """A number with its unit: weights as they are, all else with three digits."""
    factor, name = UNITS.get(unit, (1.0, ""))
    scaled = factor * value
    text = f"{scaled:,.0f}" if not name or scaled >= 100 else f"{scaled:#.3g}"
    return f"{text}\u00a0{name}".strip()
