"""Lint, types and tests, one after the other; the exit code is that of the first that fails."""

import os
import subprocess
import sys

STEPS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("pyright", "--pythonpath", sys.executable),
    ("pytest", "-n", str(min(os.cpu_count() or 1, 8))),
)


def main() -> int:
    """Run every step; stop at the first that fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    for step in STEPS:
        print("+", *step, flush=True)
        done = subprocess.run([sys.executable, "-m", *step], env=environment, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
