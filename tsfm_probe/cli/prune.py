"""`tsfm-probe prune` on the command line."""

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
    Quiet,
    Samples,
    TargetColumn,
    TimeColumn,
    Windows,
    batch_size_of,
)
from tsfm_probe.errors import UsageError


def prune(
    model: ModelName = "nano-chronos-bolt",
    data: Data = None,
    budget_pp: Annotated[
        float | None,
        typer.Option(
            help="By how many percent MASE and WQL may rise; 1 if no target is given.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the pruned model.")] = Path("pruned"),
    what: Annotated[
        str,
        typer.Option(
            help="What may be cut: all, layers, parts, mlps or heads; with all and mlps also "
            "neurons of the MLPs that stay."
        ),
    ] = "all",
    order: Annotated[
        str,
        typer.Option(
            help="What is tried first: measured (least harmful alone), stable-rank, "
            "stable-rank-desc, gradient, random, or a file with one address in each line."
        ),
    ] = "measured",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="What must stay, such as 'decoder.*.cross.*'; several times."),
    ] = None,
    target_size: Annotated[
        float | None,
        typer.Option(help="Cut until this share of the parameters is left, such as 0.5."),
    ] = None,
    target_latency: Annotated[
        float | None,
        typer.Option(help="Cut until a forecast takes this share of the time, such as 0.6."),
    ] = None,
    heal: Annotated[
        float, typer.Option(help="Minutes in which the cut network learns from the original.")
    ] = 0.0,
    heal_on: Annotated[
        str, typer.Option(help="What it learns on: generated series, or data (the file's).")
    ] = "generated",
    curve: Annotated[
        bool, typer.Option(help="Search larger budgets too, to 5 %, and show what each would give.")
    ] = True,
    horizon: Horizon = 24,
    windows: Windows = 8,
    context: Context = 0,
    samples: Samples = 0,
    seed: Annotated[int, typer.Option(help="Of samples, orders, healing, intervals.")] = 0,
    limit: Limit = 0,
    item_column: ItemColumn = "item_id",
    time_column: TimeColumn = "timestamp",
    target_column: TargetColumn = "target",
    freq: Frequency = None,
    device: Device = "auto",
    batch_size: BatchSize = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier pruned model in --out.")
    ] = False,
    run_folder: Annotated[
        Path | None,
        typer.Option(help="Tables and page; default: runs/<model>-<data>-prune-<hash>."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Cut from MODEL what forecasts of your series can do without.

    Half of the windows are searched, the other half confirms. The pruned model is smaller matrices
    and fewer layers, and forecasts exactly as the ablated one. The same command goes on.
    """
    from tsfm_probe.commands import prune as command
    from tsfm_probe.commands.ablate import Columns
    from tsfm_probe.commands.terminal import Terminal
    from tsfm_probe.probes.ablation import Setting
    from tsfm_probe.prune.budget import Budget
    from tsfm_probe.prune.making import Healing
    from tsfm_probe.prune.units import Choice

    if heal_on not in ("generated", "data") or not 0 <= heal < float("inf"):
        raise UsageError(
            f"--heal {heal:g} --heal-on {heal_on!r}", allowed="0 or more minutes, generated or data"
        )
    asked = command.Request(
        model,
        device,
        Setting("head", "", "zero", horizon, windows, context, samples, seed, limit),
        data or [],
        Columns(item_column, time_column, target_column, freq),
        Choice(what, order, tuple(keep or ())),
        Budget(budget_pp, target_size, target_latency, curve),
        Healing(heal, heal_on == "data"),
        out,
        overwrite,
        run_folder,
        batch_size_of(batch_size),
    )
    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    (command.dry_run if dry_run else command.execute)(asked, terminal)
