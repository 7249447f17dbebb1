"""`tsfm-probe diagnose` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from tsfm_probe.cli.options import (
    AsJson,
    Data,
    Device,
    Frequency,
    Horizon,
    ItemColumn,
    Limit,
    ModelName,
    Quiet,
    Samples,
    TargetColumn,
    TimeColumn,
    Windows,
)


def diagnose(
    model: ModelName = "nano-chronos-bolt",
    data: Data = None,
    what: Annotated[
        str,
        typer.Option(
            help="What is made, separated by commas: behaviour, heads, causal, flags, repair, "
            "order; or all."
        ),
    ] = "all",
    count: Annotated[int, typer.Option(help="Generated contexts of each set.")] = 32,
    context: Annotated[
        int,
        typer.Option(
            help="Values that the model sees; 0: 512 of generated contexts, of your series as many "
            "as it can read."
        ),
    ] = 0,
    horizon: Horizon = 24,
    samples: Samples = 0,
    scale: Annotated[
        str,
        typer.Option(help="What repair multiplies heads with, separated by commas; 0 cuts them."),
    ] = "0,0.5",
    season: Annotated[
        int,
        typer.Option(help="Measure the seasonality bias at this period; 0: that of each context."),
    ] = 0,
    windows: Windows = 4,
    limit: Limit = 0,
    seed: Annotated[int, typer.Option(help="Of generated contexts, samples, intervals.")] = 0,
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = "timestamp",
    target_column: TargetColumn = "target",
    freq: Frequency = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; default: runs/<model>-<data>-diagnose-<hash>. "
            "The same command again continues."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether MODEL parrots or sees seasons, and by which heads.

    It ends with tables, a page and an answer: how it behaves beside known forecasters, what each
    head does to that, whether weights alone tell them, and what repair costs.
    """
    from tsfm_probe.commands.ablate import Columns
    from tsfm_probe.commands.diagnose import Request, execute
    from tsfm_probe.commands.terminal import Terminal
    from tsfm_probe.probes.ablation import Setting

    setting = Setting("head", "", "zero", horizon, windows, context, samples, seed, limit)
    columns = Columns(item_column, time_column, target_column, freq)
    asked = Request.parsed(
        model, device, what, count, context, scale, season, setting, data or [], columns, out
    )
    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    execute(asked, terminal)
