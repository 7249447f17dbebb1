"""How much memory and time it takes to read 10 million rows of long Parquet.

    python benchmarks/reading.py

1,000 hourly series of 10,000 values, once ordered by item and once by time, each read in a fresh
process. Printed: peak memory over that before reading, as a multiple of the size in memory (the
three columns as an Arrow table with plain strings), and seconds. Linux only (/proc).
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

ITEMS, LENGTH = 1000, 10_000
READ = """
import sys, time
from pathlib import Path
from tsfm_probe.data.read import read
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
before, start = peak(), time.perf_counter()
data = read(sys.argv[1])
print(peak() - before, time.perf_counter() - start, len(data.series))
"""


def table(by_item: bool) -> pa.Table:
    """The rows, ordered by item or by time."""
    hours = np.datetime64("2020-01-01", "ns") + np.arange(LENGTH) * np.timedelta64(1, "h")
    names = pa.array([f"item_{number:05d}" for number in range(ITEMS)])
    codes = np.arange(ITEMS, dtype=np.int32)
    return pa.table(
        {
            "item_id": names.take(np.repeat(codes, LENGTH) if by_item else np.tile(codes, LENGTH)),
            "timestamp": np.tile(hours, ITEMS) if by_item else np.repeat(hours, ITEMS),
            "target": np.random.default_rng(0).normal(size=ITEMS * LENGTH),
        }
    )


def main() -> None:
    """Write, read, print."""
    with tempfile.TemporaryDirectory() as folder:
        for by_item in (True, False):
            rows, path = table(by_item), Path(folder) / "large.parquet"
            parquet.write_table(rows, path)
            size = rows.nbytes
            del rows
            words = [sys.executable, "-c", READ, str(path)]
            said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
            print(
                f"ordered by {'item' if by_item else 'time'}: {int(said[0]) / size:.2f} times "
                f"{size / 1e6:.0f} MB in {float(said[1]):.1f} s, {said[2]} series"
            )


if __name__ == "__main__":
    main()
