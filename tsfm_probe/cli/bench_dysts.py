"""`tsfm-probe bench dysts` on the command line."""

from typing import Annotated

import typer

from tsfm_probe.cli.bench import Ablate, Devices, Out, Plan, Prune, Ray
from tsfm_probe.cli.options import (
    AsJson,
    BatchSize,
    Device,
    DryRun,
    ModelName,
    Precision,
    Quiet,
    Samples,
    batch_size_of,
)


def dysts(
    model: ModelName = "nano-chronos-bolt",
    systems: Annotated[
        str, typer.Option(help="Names such as 'Lorenz,Rossler'; default: all there are.")
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            help="Of the systems: dysts (the package, an extra), built-in (eight flows), or auto: "
            "dysts where it is installed."
        ),
    ] = "auto",
    conditions: Annotated[int, typer.Option(help="Initial conditions of each system.")] = 20,
    context: Annotated[int, typer.Option(help="Values that the model sees.")] = 512,
    horizon: Annotated[int, typer.Option(help="Steps to forecast.")] = 512,
    granularity: Annotated[int, typer.Option(help="Values in one period.")] = 30,
    threshold: Annotated[
        float,
        typer.Option(help="Error, in standard deviations, up to which a forecast is valid."),
    ] = 0.4,
    ablate: Ablate = None,
    prune: Prune = None,
    plan: Plan = None,
    samples: Samples = 0,
    seed: Annotated[int, typer.Option(help="Of initial conditions, sample paths, intervals.")] = 0,
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
    """Evaluate MODEL on chaotic systems, whole and ablated or pruned, beside a parrot.

    Told are sMAPE, the rank correlation with the truth, and for how long a forecast is valid. A run
    that is stopped goes on with the same command.
    """
    from tsfm_probe.commands.terminal import Terminal

    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    from tsfm_probe.commands import bench_dysts as command
    from tsfm_probe.evaluate.dysts import Protocol
    from tsfm_probe.evaluate.forecasting import Forecasting
    from tsfm_probe.evaluate.spread import Workers

    protocol = Protocol(context, horizon, granularity, conditions, threshold, seed)
    how = Forecasting(samples, seed, batch_size=batch_size_of(batch_size))
    names = [one.strip() for one in systems.split(",") if one.strip()]
    asked = command.Request(
        *(model, device, dtype, names, source, protocol),
        *(ablate or [], prune or [], plan, how, out, Workers.of(devices, ray)),
    )
    (command.dry_run if dry_run else command.execute)(asked, terminal)
