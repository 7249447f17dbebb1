"""Run the command line with `python -m tsfm_probe`."""

from tsfm_probe.cli import main

main()
