"""The command line: one function per command, errors as one line with an exit code."""

import sys
from typing import Any

import typer

from tsfm_probe.cli.ablate import ablate
from tsfm_probe.cli.about import check, models, version
from tsfm_probe.cli.attribute import attribute
from tsfm_probe.cli.bench import bench
from tsfm_probe.cli.bench_dysts import dysts
from tsfm_probe.cli.bench_fev import fev
from tsfm_probe.cli.diagnose import diagnose
from tsfm_probe.cli.extract import extract
from tsfm_probe.cli.prune import prune
from tsfm_probe.cli.score import score
from tsfm_probe.errors import PartlyDone, ProbeError, UsageError

app = typer.Typer(
    name="tsfm-probe",
    help="Find which parts of a time-series foundation model do the work.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (ablate, score, attribute, diagnose, prune, extract, models, check, version):
    app.command()(command)
bench.command("fev")(fev)
bench.command("dysts")(dysts)
app.add_typer(bench)

# A mistake in a command line: a class of click, of which newer versions of typer bring their own.
Mistake: Any = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "UsageError")
INTERRUPTED = 130  # newer versions of typer return this for a KeyboardInterrupt


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
