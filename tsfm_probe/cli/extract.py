"""`tsfm-probe extract` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from tsfm_probe.cli.options import (
    AsJson,
    Context,
    Data,
    Device,
    Frequency,
    Horizon,
    ItemColumn,
    Limit,
    ModelName,
    Quiet,
    TargetColumn,
    TimeColumn,
    Windows,
)


def extract(
    model: ModelName = "nano-chronos-bolt",
    data: Data = None,
    what: Annotated[
        str,
        typer.Option(
            help="Separated by commas: stream (between layers), heads (what each mixed), "
            "attention (maps)."
        ),
    ] = "stream",
    only: Annotated[
        str, typer.Option(help="Only what matches, such as 'decoder.*.cross.*' or 'encoder.0-2'.")
    ] = "",
    form: Annotated[str, typer.Option("--format", help="safetensors or parquet.")] = "safetensors",
    horizon: Horizon = 24,
    windows: Windows = 4,
    context: Context = 0,
    limit: Limit = 0,
    seed: Annotated[int, typer.Option(help="Of generated series.")] = 0,
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = "timestamp",
    target_column: TargetColumn = "target",
    freq: Frequency = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; default: runs/<model>-<data>-extract-<hash>. "
            "The same command again continues."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the activations of MODEL to files.

    Beside them: what every token stands for (values, padding, register, end, future), and which
    window every row is.
    """
    from tsfm_probe.commands.ablate import Columns
    from tsfm_probe.commands.extract import Request, execute
    from tsfm_probe.commands.terminal import Terminal
    from tsfm_probe.probes.ablation import Setting
    from tsfm_probe.probes.activations import Wanted

    setting = Setting("head", only, "zero", horizon, windows, context, 0, seed, limit)
    wanted = Wanted(tuple(one.strip() for one in what.split(",") if one.strip()), only, horizon)
    columns = Columns(item_column, time_column, target_column, freq)
    asked = Request(model, device, wanted, form, setting, data or [], columns, out)
    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    execute(asked, terminal)
