"""Make this report: what the nano models that ship can do without.

    python reports/redundancy/make.py [options of `tsfm-probe ablate`]

Every model is cut along several orders; each run has a folder here with run.json, table.parquet,
curves.csv and figures, and README.md says what came out. A second call makes all of it anew.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tsfm_probe.models.names import KNOWN

HERE = Path(os.path.relpath(Path(__file__).parent))  # run.json is to name no machine's folders
STUDIES = {
    "stable-rank": "--order stable-rank",
    "gradient": "--order gradient",
    "measured": "--order measured",
    "by-attention": "--order stable-rank --per-layer",
    "layers": "--by layer --order measured",
    "predictors": "--predictors",
}
HEAD = """# What the nano models can do without

Heads and layers of the networks that ship, cut together along several orders, with random orders
beside each as a control; made by

```
{command}
```

`run.json` in each folder says with what, `table.parquet` holds a row per trial, series, window and
metric, `curves.csv` each number cut, `index.csv` R@x, `agreement.csv` what cheap guesses are worth.
These are small networks: this shows the tool, and says nothing of published models.
"""


def main() -> None:
    """Run every study of every model that ships, and write README.md."""
    command = shlex.join(["python", "reports/redundancy/make.py", *sys.argv[1:]])
    parts = [HEAD.format(command=command)]
    for name in (one.name for one in KNOWN.values() if not one.hub_id):
        parts.append(f"## {name}\n")
        parts += [told(name, study) for study in STUDIES]
    (HERE / "README.md").write_text("\n".join(parts), encoding="utf-8")


def told(model: str, study: str) -> str:
    """Run one study of a model, and say what came out."""
    out = HERE / model / study
    words = ["ablate", model, *STUDIES[study].split(), *sys.argv[1:], "--out", str(out), "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "tsfm_probe", *words], check=True, stdout=subprocess.PIPE
    )
    for made in ("report.html", "answer.parquet"):  # large, and made again by the same command
        (out / made).unlink()
    shutil.rmtree(out / "shards")
    pictures = [*(out / "figures").glob("c*-mase.png"), *(out / "figures").glob("predictors.png")]
    picture = min(pictures)
    for other in (out / "figures").iterdir():  # large as well, and drawn again by the same command
        if other != picture:
            other.unlink()
    lines = [f"**`{STUDIES[study]}`**\n"]
    lines += [f"- {sentence}" for sentence in json.loads(ran.stdout)["summary"]]
    if (out / "agreement.csv").exists():
        lines += [f"- {sentence}" for sentence in agreed(pd.read_csv(out / "agreement.csv"))]
    lines.append(f"\n![{study} of {model}]({picture.relative_to(HERE)})\n")
    return "\n".join(lines)


def agreed(table: pd.DataFrame) -> list[str]:
    """The best guesses of a head's effect, and the paper's, with their correlation to it."""
    heads = table[table["level"] == "head"].sort_values("spearman", ascending=False)
    paper = heads[heads["predictor"] == "stable-rank (plain)"]
    return [
        f"{row.predictor}: Spearman correlation {row.spearman:+.2f} ({row.low:+.2f} to "
        f"{row.high:+.2f}) with the measured change, over {row.count_} heads."
        for row in pd.concat([heads.head(3), paper])
        .rename(columns={"count": "count_"})
        .itertuples(index=False)
    ]


if __name__ == "__main__":
    main()
