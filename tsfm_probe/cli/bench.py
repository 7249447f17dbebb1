"""`tsfm-probe bench` on the command line: one function for each benchmark."""

from pathlib import Path
from typing import Annotated

import typer

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

bench = typer.Typer(
    name="bench", help="Standard benchmarks, by their authors' protocols.", rich_markup_mode=None
)

Ablate = Annotated[
    list[str] | None,
    typer.Option(
        help="A trial that ablates what this matches, such as 'decoder.*.cross' or "
        "'encoder.0.mlp,encoder.1.mlp'; may be given several times."
    ),
]
Prune = Annotated[
    list[Path] | None,
    typer.Option(help="A trial with the model in this folder; may be given several times."),
]
Plan = Annotated[
    Path | None,
    typer.Option(
        "--trials",
        help='Trials in a JSON file: a list of {"name": ..., "ablate": [patterns]} or '
        '{"name": ..., "prune": folder}.',
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Run folder; default: runs/<model>-<benchmark>-<hash>. The same command continues."
    ),
]


Devices = Annotated[
    str, typer.Option(help="One process for each, such as 'cuda:0,cuda:1' or 'cpu,cpu'.")
]
Ray = Annotated[
    str,
    typer.Option(
        help="Spread the work over a Ray cluster: local (started here), auto (that `ray start` "
        "began here), or its address."
    ),
]


@bench.callback()
def benchmarks() -> None:
    """Standard benchmarks, by their authors' protocols."""


@bench.command("gift-eval")
def gift_eval(
    model: ModelName = "nano-chronos-bolt",
    data: Annotated[
        Path | None,
        typer.Option(help="The folder of GIFT-Eval's data; default: as GIFT_EVAL names it."),
    ] = None,
    configs: Annotated[
        str,
        typer.Option(
            help="Configurations such as 'm4_hourly/H/short,ett1/*'; default: all whose data "
            "are there."
        ),
    ] = "",
    term: Annotated[str, typer.Option(help="short, medium, long or all.")] = "all",
    ablate: Ablate = None,
    prune: Prune = None,
    plan: Plan = None,
    context: Context = 0,
    samples: Samples = 0,
    seed: Annotated[int, typer.Option(help="Of sample paths.")] = 0,
    joint: Annotated[
        bool,
        typer.Option("--joint", help="Forecast the variates of a series jointly, not one by one."),
    ] = False,
    leaderboard: Annotated[
        Path | None,
        typer.Option(help="A CSV file of published scores: columns model, MASE, CRPS."),
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
    """Evaluate MODEL on GIFT-Eval, whole and ablated or pruned, beside the seasonal naive forecast.

    A run that is stopped goes on with the same command. It ends with a table, the scores, and for
    each trial the files that the leaderboard takes.
    """
    from tsfm_probe.commands.terminal import Terminal

    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    from tsfm_probe.commands import bench_gift_eval as command
    from tsfm_probe.evaluate.forecasting import Forecasting
    from tsfm_probe.evaluate.spread import Workers

    how = Forecasting(samples, seed, context, joint, batch_size_of(batch_size))
    patterns = [one.strip() for one in configs.split(",") if one.strip()]
    asked = command.Request(
        *(model, device, dtype, data, patterns, term),
        *(ablate or [], prune or [], plan, how, leaderboard, out, Workers.of(devices, ray)),
    )
    (command.dry_run if dry_run else command.execute)(asked, terminal)
