"""What the runs of one model measured, and what follows for each cut."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tsfm_probe.bootstrap import adjusted, judged, log_ratios, summed
from tsfm_probe.evaluate.paired import DRAWS
from tsfm_probe.evaluate.trials import NAIVE, UNTOUCHED
from tsfm_probe.verdict import RATE

from .frames import groups, where
from .running import MEASURED, NOISE, RUN, folder_of

FEWEST = 5
"""Series that a configuration must have for an interval over them."""
ALL = "all configurations"


@dataclass(frozen=True)
class Measured:
    """The tables of one model's folder.

    cuts: see cuts.write. errors: trial, configuration, metric ("MASE", "CRPS"), value, naive.
    series: see running.by_series. noise: see running; without rows where no sample is drawn.
    record: run.json.
    """

    model: str
    cuts: pd.DataFrame
    errors: pd.DataFrame
    series: pd.DataFrame
    noise: pd.DataFrame
    record: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, out: Path, model: str) -> "Measured | None":
        """Those below a run folder; None where the model's run is not done."""
        folder = folder_of(out, model)
        run = folder / RUN
        if not (run / "table.csv").is_file() or not (folder / "series.csv").is_file():
            return None
        names = {official: name for name, official in MEASURED.items()}
        table = pd.read_csv(run / "table.csv")
        table = table[table["metric"].isin(names)].replace({"metric": names})
        columns = ["trial", "configuration", "metric", "value", "naive"]
        noise = folder / "noise.csv"
        sampled = (folder / NOISE).is_dir()
        if sampled and not noise.is_file():
            return None
        return cls(
            folder.name,
            pd.read_csv(folder / "cuts.csv").fillna({"stack": "", "order": ""}),
            table.loc[:, columns].reset_index(drop=True),
            pd.read_csv(folder / "series.csv", dtype={"series": str}),
            pd.read_csv(noise)
            if sampled
            else pd.DataFrame(columns=pd.Index(["configuration", "metric", "value", "base"])),
            json.loads((run / "run.json").read_text(encoding="utf-8")),
        )

    def levels(self, metric: str) -> dict[str, pd.DataFrame]:
        """Errors of the model's trials by one metric, as `over` takes them, at each level.

        A level is what its groups are drawn from: ALL, whose groups are the configurations, and
        each configuration that has FEWEST series or more, whose groups are its series.
        """
        rows = where(self.errors, {"metric": metric})
        tried = rows.loc[rows["trial"] != NAIVE.name, :]
        found = {ALL: tried.rename(columns={"configuration": "group"})}
        series = where(self.series, {"metric": metric}).rename(columns={"series": "group"})
        for (name,), own in groups(series, ("configuration",)):
            if own["group"].nunique() >= FEWEST:
                found[name] = own
        return {name: one.loc[:, ["trial", "group", "value"]] for name, one in found.items()}

    def scores(self) -> dict[str, float]:
        """Geometric means of the untouched model's errors over the seasonal naive forecast's."""
        rows = where(self.errors, {"trial": UNTOUCHED.name})
        return {
            metric: float(np.exp(np.log(one["value"] / one["naive"]).mean()))
            for (metric,), one in groups(rows, ("metric",))
        }

    def reseeded(self) -> dict[str, float]:
        """By metric the ratio of the untouched model's errors under another seed; none if equal."""
        return {
            metric: float(np.exp(np.log(rows["value"] / rows["base"]).mean()))
            for (metric,), rows in groups(self.noise, ("metric",))
        }


def over(values: pd.DataFrame, base: str, limit: float) -> pd.DataFrame:
    """Each trial over the trial `base`, judged: one row for each, without the base.

    values: columns trial, group, value. limit: in percent.

    Columns: trial, ratio (of geometric means), low, high (the 95 % interval over groups, see
    bootstrap.judged), q_redundant, q_harmful (adjusted over the trials; Benjamini and Hochberg
    1995), verdict ("redundant", "harmful" or "uncertain", as verdict.answer has it), groups.
    """
    wide = values.pivot(index="group", columns="trial", values="value")
    names = [name for name in dict.fromkeys(values["trial"]) if name != base]
    found, known = wide[names].to_numpy(dtype=float), wide[[base]].to_numpy(dtype=float)
    logs = log_ratios(found, np.broadcast_to(known, found.shape))
    trial = np.tile(np.arange(len(names)), len(wide))
    group = np.repeat(np.arange(len(wide)), len(names))
    sums = summed(logs.reshape(-1), trial, group, (len(names), len(wide)))
    bound = np.log1p(limit / 100)
    ends = judged(sums, bound, 0, DRAWS)
    q = np.stack([adjusted(ends[:, 2]), adjusted(ends[:, 3])])
    broken = (~np.isfinite(found) & np.isfinite(known)).any(axis=0)
    redundant = (q[0] <= RATE) & (ends[:, 1] < bound) & ~broken
    harmful = (q[1] <= RATE) & (ends[:, 0] > bound)
    words = np.select([redundant, harmful], ["redundant", "harmful"], "uncertain")
    return pd.DataFrame(
        {
            "trial": names,
            "ratio": np.exp(sums.log_ratio),
            "low": np.exp(ends[:, 0]),
            "high": np.exp(ends[:, 1]),
            "q_redundant": q[0],
            "q_harmful": q[1],
            "verdict": words,
            "groups": sums.series,
        }
    )


def every_cut(found: Measured, limit: float) -> pd.DataFrame:
    """Every cut by every metric at every level.

    Columns: model, level, metric, those of `over`, those of cuts.csv.
    """
    rows = pd.concat(
        over(values, UNTOUCHED.name, limit).assign(level=level, metric=metric)
        for metric in MEASURED
        for level, values in found.levels(metric).items()
    )
    cuts = found.cuts.rename(columns={"name": "trial"})
    whole = rows.merge(cuts, on="trial", validate="many_to_one")
    whole.insert(0, "model", found.model)
    return whole
