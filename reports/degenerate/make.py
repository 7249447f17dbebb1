"""Make this report: what the nano models copy, what seasons they see, and which heads do it.

    python reports/degenerate/make.py [--snapshots FOLDER] [options of `tsfm-probe diagnose`]

Every model that ships is diagnosed; each run has a folder here with run.json, its tables as CSV and
figures, and README.md says what came out, after reading.md, which is written by hand. A second
call goes on where the first one stopped.
FOLDER holds one checkpoint per snapshot of the training of nano-chronos-t5, in folders whose names
end in the training step; see benchmarks/nano/README.md.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from tsfm_probe.diagnosis.emergence import RANK, emerged, emergence
from tsfm_probe.models import load
from tsfm_probe.models.names import KNOWN

HERE = Path(os.path.relpath(Path(__file__).parent))  # run.json is to name no machine's folders
LARGE = ("report.html", "examples.csv", "heads.csv", "steps.csv", "seasons.csv")
REPAIRED = "nano-chronos-bolt"
LESS = "behaviour,heads,causal,flags,order"
"""What is made of the others, of which repair would take more than minutes."""
PROMPTS = 8
"""Contexts of each set and prompts of each kind, for a snapshot."""
FIGURES = ("validation", "repair", "order")
HEAD = """# What the nano models copy, and what seasons they see

The networks that ship, each beside its random twin and known forecasters; every head ablated, what
it attends to, and the flags from weights alone held against what ablation does; made by

```
{command}
```

`run.json` in each folder says with what; the tables are CSV files. Repair is for nano-chronos-bolt
alone. These are small networks, trained on generated series: this shows the tool, and says nothing
of published models.
"""


def main() -> None:
    """Diagnose every model that ships, and write README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshots", type=Path)
    given, options = parser.parse_known_args()
    shown = ["--snapshots", "SNAPSHOTS"] if given.snapshots else []
    command = shlex.join(["python", "reports/degenerate/make.py", *shown, *options])
    parts = [HEAD.format(command=command), (HERE / "reading.md").read_text(encoding="utf-8")]
    for name in (one.name for one in KNOWN.values() if not one.hub_id):
        parts += [f"## {name}\n", told(name, options)]
    if given.snapshots:
        parts += ["## How copying came about in nano-chronos-t5\n", grown(given.snapshots)]
    (HERE / "README.md").write_text("\n".join(parts), encoding="utf-8")


def told(model: str, options: list[str]) -> str:
    """Diagnose a model, and say what came out."""
    out = HERE / model
    words = ["diagnose", model, *options, "--what", "all" if model == REPAIRED else LESS]
    words += ["--out", str(out), "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "tsfm_probe", *words], check=True, stdout=subprocess.PIPE
    )
    for name in LARGE:  # made again by the same command
        (out / name).unlink(missing_ok=True)
    pictures = sorted(out.glob("figures/*.png"))
    kept = [one for one in pictures if one.stem in FIGURES]
    for other in out.glob("figures/*"):
        if other not in kept:
            other.unlink()
    lines = [f"- {sentence}" for sentence in json.loads(ran.stdout)["summary"]]
    lines += [f"\n![{one.stem} of {model}]({one.relative_to(HERE)})" for one in kept]
    return "\n".join([*lines, ""])


def grown(snapshots: Path) -> str:
    """Measure every snapshot, and say what comes about when."""
    found = {
        int(end[0]): partial(load, str(one))
        for one in sorted(snapshots.iterdir())
        if (end := re.search(r"(\d+)$", one.name)) is not None
    }
    path = HERE / "emergence.csv"
    table = pd.read_csv(path) if path.exists() else emergence(found, count=PROMPTS)
    table.to_csv(path, index=False)
    drawn(table)
    lines = [
        f"Means over {PROMPTS} contexts of a set; a score of heads is that of the head which has "
        "most of it in the snapshot.\n"
    ]
    for measure, step in emerged(table).items():
        when = "does not come about" if step is None else f"comes about by step {step:,}"
        lines.append(f"- {measure} {when} (above half of its last value for good).")
    ranks = table.loc[table["measure"] == RANK]
    lines.append(
        f"- The lowest stable rank of any head goes from {ranks['value'].iloc[0]:.2f} to "
        f"{ranks['value'].iloc[-1]:.2f}."
    )
    return "\n".join([*lines, "\n![Measures by training step](emergence.png)\n"])


def drawn(table: pd.DataFrame) -> None:
    """Write emergence.png."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    for measure in dict.fromkeys(table["measure"]):
        rows = table.loc[table["measure"] == measure].sort_values("step")
        scale = 1 / rows["value"].iloc[0] if measure == RANK else 1.0
        label = f"{measure}, over its first value" if measure == RANK else str(measure)
        (line,) = axes.plot(rows["step"], scale * rows["value"], marker="o", label=label)
        if measure != RANK:
            axes.fill_between(
                rows["step"], rows["low"], rows["high"], alpha=0.15, color=line.get_color()
            )
    axes.set_xscale("log")
    steps = sorted(set(table["step"]))
    axes.set_xticks(steps, [f"{one:,}" for one in steps], rotation=45, fontsize=8)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("Training step")
    axes.set_ylim(-0.6, 1.15)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(HERE / "emergence.png", dpi=120)


if __name__ == "__main__":
    main()
