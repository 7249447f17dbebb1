"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from tsfm_probe.errors import UsageError

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A known name (see `tsfm-probe models`), a local folder, or a hub id org/name[@rev].",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda (cuda:1, ...).")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No log, no progress.")]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        help="A CSV or Parquet file, or a folder of them; may be given several "
        "times. Without it series are generated."
    ),
]
Horizon = Annotated[int, typer.Option(help="Steps to forecast.")]
Windows = Annotated[int, typer.Option(help="Windows per series at most, from its end.")]
Context = Annotated[
    int, typer.Option(help="Values that the model sees; 0: as many as it can read.")
]
Samples = Annotated[
    int, typer.Option(help="Sample paths of a sampling model; 0: as its checkpoint says.")
]
Limit = Annotated[int, typer.Option(help="Series at most, the first ones; 0: all.")]
ItemColumn = Annotated[str, typer.Option(help="Long form: names of series.")]
TimeColumn = Annotated[str, typer.Option(help="Time stamps.")]
TargetColumn = Annotated[str, typer.Option(help="Long form: values.")]
Frequency = Annotated[
    str | None, typer.Option(help="Spacing as a pandas alias (h, D, MS); default: inferred.")
]
Precision = Annotated[
    str, typer.Option(help="auto (float32 on the CPU), float32, bfloat16 or float16.")
]
BatchSize = Annotated[
    str, typer.Option(help="Windows at once; auto is halved when memory runs out.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell the plan and its cost, run nothing.")]


def batch_size_of(text: str) -> int:
    """The number of --batch-size, 0 for auto; UsageError if it is neither."""
    if text == "auto":
        return 0
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"--batch-size {text!r}", allowed="allowed is auto or a number from 1")
    return int(text)
