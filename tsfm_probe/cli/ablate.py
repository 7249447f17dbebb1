"""`tsfm-probe ablate` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from tsfm_probe.cli.options import (
    AsJson,
    BatchSize,
    Context,
    Data,
    Device,
    DryRun,
    Frequency,
    Horizon,
    ItemColumn,
    Limit,
    ModelName,
    Precision,
    Quiet,
    Samples,
    TargetColumn,
    TimeColumn,
    Windows,
    batch_size_of,
)
from tsfm_probe.errors import UsageError


def ablate(
    model: ModelName = "nano-chronos-bolt",
    data: Data = None,
    by: Annotated[str, typer.Option(help="What one trial ablates: head, part or layer.")] = "head",
    only: Annotated[
        str, typer.Option(help="Only what matches, such as 'decoder.*.cross.*' or 'encoder.0-2'.")
    ] = "",
    method: Annotated[
        str,
        typer.Option(
            help="What is written instead: zero, mean (over the windows) or "
            "resample (the value on another window)."
        ),
    ] = "zero",
    horizon: Horizon = 24,
    windows: Windows = 4,
    context: Context = 0,
    samples: Samples = 0,
    seed: Annotated[int, typer.Option(help="Of samples, controls, resampling, intervals.")] = 0,
    order: Annotated[
        str,
        typer.Option(
            help="Cut the first ones of an order together: stable-rank, stable-rank-desc, "
            "random, measured, gradient, or a file with one address in each line."
        ),
    ] = "",
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="With --order: within each attention.")
    ] = False,
    up_to: Annotated[
        str, typer.Option(help="Cut together at most: a number (12) or a share (0.5, 50%).")
    ] = "",
    sets: Annotated[
        str, typer.Option(help="With --by layer, cut together: blocks, pairs or single ones.")
    ] = "single",
    predictors: Annotated[
        bool, typer.Option("--predictors", help="Compare cheap guesses with what is measured.")
    ] = False,
    threshold_pp: Annotated[
        float, typer.Option(help="Redundant means: error rises by less than this, in percent.")
    ] = 1.0,
    limit: Limit = 0,
    joint: Annotated[
        bool,
        typer.Option(
            "--joint",
            help="Forecast a wide file's series jointly (families that attend between series).",
        ),
    ] = False,
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = "timestamp",
    target_column: TargetColumn = "target",
    freq: Frequency = None,
    device: Device = "auto",
    dtype: Precision = "auto",
    batch_size: BatchSize = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; default: runs/<model>-<data>-<by>-<hash>. "
            "The same command again continues."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Ablate each head, part or layer of MODEL in turn.

    It ends with a table, a page and an answer: what the model can do without.
    """
    from tsfm_probe.commands import ablate as command
    from tsfm_probe.commands import together as several
    from tsfm_probe.commands.terminal import Terminal
    from tsfm_probe.probes.ablation import Setting

    setting = Setting(by, only, method, horizon, windows, context, samples, seed, limit, joint)
    columns = command.Columns(item_column, time_column, target_column, freq)
    size = batch_size_of(batch_size)
    asked = command.Request(
        model, device, dtype, setting, data or [], columns, threshold_pp, size, out, predictors
    )
    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    together = several.Together(order, per_layer, up_to, sets)
    if together.asked and predictors:
        raise UsageError("--predictors with --order or --sets", allowed="one of them")
    if together.asked:
        (several.dry_run if dry_run else several.execute)(asked, together, terminal)
    else:
        (command.dry_run if dry_run else command.execute)(asked, terminal)
