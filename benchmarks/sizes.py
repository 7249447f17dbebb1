"""Every published size that fits in memory: parameters, load time, peak memory, forecast time.

    python benchmarks/sizes.py [NAME ...]

For each known name a random network of the published shape is written in the published format and
read in a fresh process, which forecasts one series of 512 values 64 steps ahead. Peak memory is
that of the process above what it had before loading. Printed is a Markdown table; a network that
does not fit has dashes, with the reason on stderr. Nothing that is printed is a test.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from shapes import network

from tsfm_probe.data.synthetic import generated
from tsfm_probe.models import load
from tsfm_probe.models.names import KNOWN, Known

CONTEXT, HORIZON = 512, 64
COLUMNS = ("model", "parameters, M", "published, M", "file, MB", "load, s", "peak memory, GB",
           "forecast, s", "samples")  # fmt: skip


def measured(folder: str) -> dict[str, float]:
    """Load and forecast in this process; times in seconds, memory in bytes."""
    process = psutil.Process()
    contexts = [generated(1, CONTEXT, seed=0)[0].values]
    before = process.memory_info().rss
    begun = time.perf_counter()
    model = load(folder, "cpu", "float32")
    loaded = time.perf_counter() - begun
    begun = time.perf_counter()
    found = model.forecast(contexts, HORIZON).values
    forecast = time.perf_counter() - begun
    assert np.isfinite(found).all()
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    return {
        "parameters": model.parameters,
        "load": loaded,
        "forecast": forecast,
        "peak": peak - before,
        "samples": model.default_samples if model.draws_samples else 0,
    }


def row(known: Known) -> list[str]:
    """The table's line of one model."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with torch.no_grad():
            network(known.name).save_pretrained(folder)
        size = sum(one.stat().st_size for one in folder.glob("*.safetensors"))
        command = [sys.executable, __file__, "--folder", place]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        print(ran.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return [known.name, "-", f"{known.parameters:.4g}", f"{size / 1e6:.0f}"] + ["-"] * 4
    found = json.loads(ran.stdout.splitlines()[-1])
    return [
        known.name,
        f"{found['parameters'] / 1e6:.3f}",
        f"{known.parameters:.4g}",
        f"{size / 1e6:.0f}",
        f"{found['load']:.2f}",
        f"{found['peak'] / 1e9:.2f}",
        f"{found['forecast']:.2f}",
        str(found["samples"] or "-"),
    ]


def main() -> None:
    """Print the table, one line as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="known names; all that are published if none")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.folder:
        print(json.dumps(measured(asked.folder)))
        return
    published = [one for one in KNOWN.values() if one.hub_id]
    chosen = [KNOWN[name] for name in asked.names] or published
    print("|" + "|".join(COLUMNS) + "|\n|" + "---|" * len(COLUMNS), flush=True)
    for known in chosen:
        print("|" + "|".join(row(known)) + "|", flush=True)


if __name__ == "__main__":
    main()
