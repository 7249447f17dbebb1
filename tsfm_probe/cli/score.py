"""`tsfm-probe score` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from tsfm_probe.cli.options import AsJson, Device, ModelName, Quiet


def score(
    model: ModelName = "nano-chronos-bolt",
    method: Annotated[
        str,
        typer.Option(help="Scores, separated by commas, or all; the first one makes the order."),
    ] = "",
    variant: Annotated[
        str,
        typer.Option(help="plain, folded (with gains and factors) or rotary (folded, at lags)."),
    ] = "plain",
    lags: Annotated[
        str, typer.Option(help="With --variant rotary: numbers of tokens, such as 0,1,16.")
    ] = "",
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default: runs/<model>-scores-<hash>.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score every head of MODEL from its weights alone.

    No data and no forecast: a table, a page and an order in which to cut heads.
    """
    from tsfm_probe.commands.score import Request, execute
    from tsfm_probe.commands.terminal import Terminal

    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    execute(Request.parsed(model, device, method, variant, lags, out), terminal)
