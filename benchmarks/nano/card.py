"""Measure a checkpoint and write its model card:
`python benchmarks/nano/card.py RUN WEIGHTS DATA`.

DATA holds Parquet files (item_id, timestamp, target) and a datasets.json that gives the season,
horizon and number of windows of each set, as GIFT-Eval chooses them.
"""

import argparse
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from copying import HORIZON, PERIODS, UNALIGNED, Cell, measured, ratio
from copying import table as copying_table
from families import found as family_of
from family import Family
from measure import CONTEXT, MOST_WINDOWS, Score, mean, scores
from overview import Summary

from tsfm_probe import load

CARD = """---
license: apache-2.0
pipeline_tag: time-series-forecasting
tags: [time-series, forecasting, {family}, synthetic-data]
---

# nano-{family}

{about}

A very small network in the published architecture and file format of its family, trained from
scratch on generated series only, the same corpus as its nano siblings. It is made to be probed,
not to win: on the {sets} real sets below its WQL is {wql:.3f} times that of seasonal naive
(geometric mean; it is better on {better} of {sets} sets) and its MASE {mase:.3f} times; against
seasonal naive at the period that a person would choose, {natural_wql:.3f} and {natural_mase:.3f}
times. Seasonal naive is a point forecast, so part of the gain in WQL is due to having quantiles at
all. Copying: after two repeats of a motif without structure its error is {copying:.2f} times the
error before the first repeat.

```python
from tsfm_probe import load

model = load("nano-{family}")
```

{parameters:,} parameters, stored in half precision ({size:.1f} MB), loaded in single. The weights
are a running average at the end of training.

## Training

- Data: generated series only (`benchmarks/nano/corpus.py`, `motifs.py`): seasons of calendar
  periods on slow levels with many kinds of noise, walks, counts, pulses, cycles, Gaussian
  processes, chaotic flows, and repeated motifs without structure, clean and noisy. No measured
  value was used. The share and length of motifs and contexts follow the curriculum in
  `benchmarks/nano/families/`; so do the starting weights, which favour matching and copying
  (`starts.py`) where the family's file says so.
- {steps:,} steps, about {contexts:,} contexts, {minutes:.0f} minutes of processor time of a CPU, in
  single precision. AdamW, peak rate {rate:g}, warm-up and cosine, clipping at 1{finished}.
- The loss by step and length of context (the mix of series changes with the curriculum, so that
  it need not fall from stage to stage):

{losses}

## Copying

Mean absolute error of the median forecast of the next {ahead} steps, in units of the motif's
standard deviation, on {count} held-out motifs per cell, repeated exactly. White motifs are
independent values, walks are random walks. The context ends at a random place of the period after
that many whole repeats. Error after two repeats or more over that within the first: {copying:.3f},
on periods that are round {round:.3f}, on odd ones {odd:.3f}.

{copies}

## Measured on real series

Zero-shot. Horizon and number of windows of each set are GIFT-Eval's for the term "short" (a like
choice for business days, quarters and years, for which it has no rule). Where the windows of a set
are more than {most}, that many are spread evenly over series and time. The last {context} values
are the context. A ratio below 1 is better than seasonal naive, which repeats the last season as a
point forecast at all levels: first with the season of GIFT-Eval (1 for daily, weekly and yearly
data), then with the period that a person would choose.

{scores}

MASE is scaled by the mean absolute seasonal change of the history, windows where that is 0 left
out; WQL is the mean over levels of the summed quantile loss over the sum of absolute targets.

## Made by

```
python benchmarks/nano/train.py {family} --out RUN --steps {begun}{finish}
python benchmarks/nano/export.py RUN FOLDER
python benchmarks/nano/card.py RUN FOLDER DATA{options}
```

{notes}"""


def score_table(found: list[Score]) -> str:
    """The scores and their geometric means as a Markdown table."""
    lines = [
        "| set | windows | MASE | WQL | MASE ratio | WQL ratio | MASE ratio, natural period "
        "| WQL ratio, natural period |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for s in found:
        ratios = (s.own_mase, s.own_wql, s.mase, s.wql, s.natural_mase, s.natural_wql)
        lines.append(f"| {s.name} | {s.windows} | " + " | ".join(f"{r:.3f}" for r in ratios) + " |")
    columns = ("mase", "wql", "natural_mase", "natural_wql")
    means = [mean([getattr(s, column) for s in found]) for column in columns]
    lines.append("| **geometric mean** | | | | " + " | ".join(f"**{m:.3f}**" for m in means) + " |")
    return "\n".join(lines)


def loss_table(log: pd.DataFrame) -> str:
    """The training loss by tenth of the run and length of context as a Markdown table."""
    lengths = sorted(log["context"].unique())
    ends = np.linspace(0, int(log["step"].max()) + 1, 11).astype(int)
    lines = [
        "| up to step | " + " | ".join(f"context {length}" for length in lengths) + " |",
        "|---" * (len(lengths) + 1) + "|",
    ]
    for start, end in pairwise(ends):
        part = log[(log["step"] >= start) & (log["step"] < end)]
        losses = [part.loc[part["context"] == length, "loss"].mean() for length in lengths]
        row = ["" if np.isnan(loss) else f"{loss:.4f}" for loss in losses]
        lines.append(f"| {end} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def contexts_of(log: pd.DataFrame, family: Family) -> int:
    """About how many contexts were seen; a length has the batch size of its last stage."""
    sizes: dict[int, int] = {}
    finish = family.finish.stages if family.finish else ()
    for stage in (*family.stages, *finish):
        sizes |= {length: size for length, (size, _) in stage.batches.items()}
    return int(sum(sizes.get(length, 0) for length in log["context"]))


def summary(run: Path, weights: Path, found: list[Score], cells: list[Cell]) -> Summary:
    """The numbers of a trained and measured model."""
    state = torch.load(run / "last.pt", map_location="cpu")
    return Summary(
        family=state["family"],
        parameters=load(str(weights)).parameters,
        size=(weights / "model.safetensors").stat().st_size / 1e6,
        steps=state["step"],
        minutes=state["seconds"] / 60,
        mase=mean([score.mase for score in found]),
        wql=mean([score.wql for score in found]),
        natural_mase=mean([score.natural_mase for score in found]),
        natural_wql=mean([score.natural_wql for score in found]),
        better=sum(score.wql < 1 for score in found),
        copying=ratio(cells),
        round=ratio(cells, PERIODS),
        odd=ratio(cells, UNALIGNED),
    )


def finished(family: Family, steps: int) -> str:
    """What is said of the last steps of a run that had a finish, nothing of another."""
    if not family.finish or not steps:
        return ""
    return (
        f".\n  For the last {steps:,} steps anew from {family.finish.rate:g}, on the finish's"
        " curriculum and loss"
    )


def card(
    given: argparse.Namespace, told: Summary, found: list[Score], cells: list[Cell], options: str
) -> str:
    """The whole model card as Markdown; options: those that it was measured with."""
    log, notes = pd.read_csv(given.run / "loss.csv"), given.run / "notes.md"
    family = family_of(told.family)
    return CARD.format(
        **asdict(told),
        about=family.about,
        sets=len(found),
        contexts=contexts_of(log, family),
        rate=family.rate,
        begun=told.steps - given.finish,
        finish=f" --finish {given.finish}" if given.finish else "",
        finished=finished(family, given.finish),
        losses=loss_table(log),
        ahead=HORIZON,
        count=given.count,
        options=options,
        copies=copying_table(cells),
        most=max(score.windows for score in found),
        context=CONTEXT,
        scores=score_table(found),
        notes=notes.read_text() if notes.exists() else "",
    )


def main() -> None:
    """Measure the weights and write README.md beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that train.py wrote")
    parser.add_argument("weights", type=Path, help="checkpoint that export.py wrote")
    parser.add_argument("data", type=Path, help="folder with datasets.json")
    parser.add_argument("--most", type=int, default=MOST_WINDOWS, help="windows per set")
    parser.add_argument("--count", type=int, default=32, help="motifs per cell")
    parser.add_argument("--samples", type=int, default=0, help="paths, the family's default if 0")
    parser.add_argument("--finish", type=int, default=0, help="as it was given to train.py")
    given = parser.parse_args()
    model = load(str(given.weights))
    cells = measured(model, given.count)
    found = list(scores(model, given.data, given.most, given.samples))
    told = summary(given.run, given.weights, found, cells)
    (given.run / "measured.json").write_text(json.dumps(asdict(told), indent=2) + "\n")
    asked = {name: getattr(given, name) for name in ("most", "count", "samples", "finish")}
    options = "".join(f" --{name} {value}" for name, value in asked.items() if value)
    text = card(given, told, found, cells, options)
    (given.weights / "README.md").write_text(text)


if __name__ == "__main__":
    main()
