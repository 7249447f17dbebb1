"""`tsfm-probe attribute` on the command line."""

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


def attribute(
    model: ModelName = "nano-chronos-bolt",
    data: Data = None,
    target: Annotated[
        str,
        typer.Option(
            help="The number of a forecast that effects are told on: auto, median, bin (the most "
            "likely one), truth, centre (of a mixture) or a level such as 0.9, as the family has."
        ),
    ] = "auto",
    step: Annotated[int, typer.Option(help="Only this step of the horizon, from 1; 0: all.")] = 0,
    what: Annotated[
        str,
        typer.Option(
            help="What is made, separated by commas: effects, encoder, lens, heads, totals, "
            "overthinking; or all."
        ),
    ] = "all",
    only: Annotated[
        str,
        typer.Option(help="Heads whose total effect is measured, such as 'decoder.*.cross.*'."),
    ] = "",
    horizon: Horizon = 24,
    windows: Windows = 4,
    context: Context = 0,
    limit: Limit = 0,
    seed: Annotated[int, typer.Option(help="Of generated series, made-up motifs, intervals.")] = 0,
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = "timestamp",
    target_column: TargetColumn = "target",
    freq: Frequency = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; default: runs/<model>-<data>-attribute-<hash>. "
            "The same command again continues."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tell what every part of MODEL writes towards its forecasts.

    It ends with tables, a page and an answer: which parts write most, and from which layer on the
    forecast stands.
    """
    from tsfm_probe.commands.ablate import Columns
    from tsfm_probe.commands.attribute import Request, execute
    from tsfm_probe.commands.terminal import Terminal
    from tsfm_probe.probes.ablation import Setting

    setting = Setting("head", only, "zero", horizon, windows, context, 0, seed, limit)
    columns = Columns(item_column, time_column, target_column, freq)
    asked = Request.parsed(model, device, target, step, what, setting, data or [], columns, out)
    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    execute(asked, terminal)
