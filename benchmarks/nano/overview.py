"""One table over all nano models: `python benchmarks/nano/overview.py RUN RUN ...`."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

COLUMNS = (
    "model | parameters | MB | steps | minutes | WQL ratio | MASE ratio | WQL ratio, natural "
    "| MASE ratio, natural | error after two repeats over before | at round periods | at odd ones "
    "| bars not met"
)
# What is asked of a model that ships: `Summary` field -> the value it must not be above.
BARS = {"wql": 1.0, "mase": 1.0, "copying": 0.5}


@dataclass(frozen=True)
class Summary:
    """What card.py measured of one model, as it stands in measured.json of its run.

    size: megabytes. mase to natural_wql: geometric means of ratios to seasonal naive. better: sets
    on which WQL is better than that. copying, round, odd: error after two repeats of a motif over
    the error within the first, at all, round and odd periods.
    """

    family: str
    parameters: int
    size: float
    steps: int
    minutes: float
    mase: float
    wql: float
    natural_mase: float
    natural_wql: float
    better: int
    copying: float
    round: float
    odd: float


def table(found: list[Summary]) -> str:
    """The models as a Markdown table."""
    lines = [f"| {COLUMNS} |", "|---" * len(COLUMNS.split(" | ")) + "|"]
    for one in found:
        ratios = (one.wql, one.mase, one.natural_wql, one.natural_mase)
        copying = (one.copying, one.round, one.odd)
        size = f"nano-{one.family} | {one.parameters:,} | {one.size:.1f} | {one.steps:,}"
        numbers = " | ".join(f"{number:.3f}" for number in (*ratios, *copying))
        missed = ", ".join(name for name, bar in BARS.items() if getattr(one, name) > bar) or "none"
        lines.append(f"| {size} | {one.minutes:.0f} | {numbers} | {missed} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table of the runs given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that card.py measured")
    given = parser.parse_args()
    told = [json.loads((run / "measured.json").read_text()) for run in given.runs]
    print(table([Summary(**one) for one in told]))


if __name__ == "__main__":
    main()
