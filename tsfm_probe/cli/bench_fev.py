"""`tsfm-probe bench fev` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from tsfm_probe.cli.bench import Ablate, Devices, Out, Plan, Prune, Ray
from tsfm_probe.cli.options import (
    AsJson,
    BatchSize,
    Context,
    Device,
    DryRun,
    ModelName,
    Precision,
    Quiet,
    Samples,
    batch_size_of,
)
from tsfm_probe.errors import UsageError


def fev(
    model: ModelName = "nano-chronos-bolt",
    tasks: Annotated[
        str,
        typer.Option(help="A tasks.yaml in fev's form, or its address; local data work offline."),
    ] = "",
    benchmark: Annotated[
        str,
        typer.Option(
            help="A published benchmark, which is fetched: fev-bench, fev-bench-mini or "
            "chronos-ii (benchmark II of Chronos)."
        ),
    ] = "",
    configs: Annotated[
        str, typer.Option(help="Only the tasks of these names, such as 'm4_*,ETT_1H'.")
    ] = "",
    ablate: Ablate = None,
    prune: Prune = None,
    plan: Plan = None,
    context: Context = 0,
    samples: Samples = 0,
    seed: Annotated[int, typer.Option(help="Of sample paths and intervals.")] = 0,
    joint: Annotated[
        bool,
        typer.Option("--joint", help="Forecast the targets of an item jointly, not one by one."),
    ] = False,
    naive: Annotated[
        str,
        typer.Option(
            help="The seasonal naive forecast: normal, as fev-bench has it, or plain, as "
            "chronos-ii has it; default: as the benchmark has it, else normal."
        ),
    ] = "",
    leaderboard: Annotated[
        list[Path] | None,
        typer.Option(
            help="A CSV file of published lines of evaluation, as fev's repository has them; may "
            "be given several times."
        ),
    ] = None,
    device: Device = "auto",
    dtype: Precision = "auto",
    batch_size: BatchSize = "auto",
    devices: Devices = "",
    ray: Ray = "",
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Evaluate MODEL on fev tasks, whole and ablated or pruned, beside the seasonal naive forecast.

    A run that is stopped goes on with the same command. It ends with a table, the scores, the
    lines of evaluation that fev takes (evaluation_summaries.csv), and fev's own leaderboard of
    them. Covariates are not looked at, and the point forecast is the median.
    """
    from tsfm_probe.commands.terminal import Terminal

    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    try:
        from tsfm_probe.commands import bench_fev as command
    except ModuleNotFoundError as error:
        if error.name not in ("fev", "datasets"):
            raise
        raise UsageError(
            "the tasks of fev", f"{error.name} is not installed", "pip install 'tsfm-probe[bench]'"
        ) from error
    from tsfm_probe.evaluate.forecasting import Forecasting
    from tsfm_probe.evaluate.spread import Workers

    how = Forecasting(samples, seed, context, joint, batch_size_of(batch_size))
    patterns = [one.strip() for one in configs.split(",") if one.strip()]
    asked = command.Request(
        *(model, device, dtype, tasks, benchmark, patterns),
        *(
            ablate or [],
            prune or [],
            plan,
            how,
            naive,
            leaderboard or [],
            out,
            Workers.of(devices, ray),
        ),
    )
    (command.dry_run if dry_run else command.execute)(asked, terminal)
