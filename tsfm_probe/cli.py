"""The command line: one function per command, errors as one line with an exit code."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tsfm_probe.errors import PartlyDone, ProbeError, UsageError

app = typer.Typer(
    name="tsfm-probe",
    help="Find which parts of a time-series foundation model do the work.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# A mistake in a command line: a class of click, of which newer versions of typer bring their own.
Mistake: Any = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "UsageError")
INTERRUPTED = 130  # newer versions of typer return this for a KeyboardInterrupt

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


@app.command()
def ablate(
    model: ModelName = "nano-chronos-bolt",
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="A CSV or Parquet file, or a folder of them; may be given several "
            "times. Without it series are generated."
        ),
    ] = None,
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
    horizon: Annotated[int, typer.Option(help="Steps to forecast.")] = 24,
    windows: Annotated[int, typer.Option(help="Windows per series at most, from its end.")] = 4,
    context: Annotated[
        int, typer.Option(help="Values that the model sees; 0: as many as it can read.")
    ] = 0,
    samples: Annotated[
        int, typer.Option(help="Sample paths of a sampling model; 0: as its checkpoint says.")
    ] = 0,
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
    limit: Annotated[int, typer.Option(help="Series at most, the first ones; 0: all.")] = 0,
    joint: Annotated[
        bool,
        typer.Option(
            "--joint",
            help="Forecast a wide file's series jointly (families that attend between series).",
        ),
    ] = False,
    item_column: Annotated[str, typer.Option(help="Long form: names of series.")] = "item_id",
    time_column: Annotated[str, typer.Option(help="Time stamps.")] = "timestamp",
    target_column: Annotated[str, typer.Option(help="Long form: values.")] = "target",
    freq: Annotated[
        str | None, typer.Option(help="Spacing as a pandas alias (h, D, MS); default: inferred.")
    ] = None,
    device: Device = "auto",
    dtype: Annotated[
        str, typer.Option(help="auto (float32 on the CPU), float32, bfloat16 or float16.")
    ] = "auto",
    batch_size: Annotated[
        str, typer.Option(help="Windows at once; auto is halved when memory runs out.")
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; default: runs/<model>-<data>-<by>-<hash>. "
            "The same command again continues."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell the plan and its cost, run nothing.")
    ] = False,
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
    size = _batch_size(batch_size)
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


@app.command()
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


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the known models.

    Told are family, hub id, layers x heads, parameters, and whether the weights are here.
    """
    from tsfm_probe.commands.models import tell
    from tsfm_probe.commands.terminal import Terminal

    tell(Terminal(as_json=as_json))


@app.command()
def check(
    model: ModelName, device: Device = "auto", as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Try the laws on MODEL; exit with 3 if one fails.

    They say that forecasts, edits, weights and streams are what they are taken for.
    """
    from tsfm_probe.commands.check import execute
    from tsfm_probe.commands.terminal import Terminal

    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    execute(model, device, terminal)


@app.command()
def version() -> None:
    """Print the version."""
    from tsfm_probe import __version__

    print(__version__)


def _batch_size(text: str) -> int:
    if text == "auto":
        return 0
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"--batch-size {text!r}", allowed="allowed is auto or a number from 1")
    return int(text)


def main() -> None:
    """Run the command line; a mistake of the user becomes one line and an exit code."""
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="tsfm-probe", standalone_mode=False)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    except Mistake as error:
        words = error.format_message().rstrip(".")
        help_of = error.ctx.command_path if error.ctx else "tsfm-probe"
        code = _fail(f"{words}; allowed is what {help_of} --help shows", UsageError.exit_code)
    except ProbeError as error:
        code = _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail(
            "stopped; what is done is kept, the same command continues", PartlyDone.exit_code
        )
    except OSError as error:
        code = _fail(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    sys.exit(code or 0)


def _fail(message: str, code: int) -> int:
    print("tsfm-probe: " + " ".join(message.split()), file=sys.stderr)
    return code
