"""Is redundancy universal? The study of benchmarks/universal.yaml, from the runs to the page.

    python benchmarks/universal.py --data DIR [--scale nano] [--only MODEL] [--dry-run]
        [--devices cpu,cpu | --ray local] [--out runs/universal-nano] [--report DIR]

Every model of a scale is evaluated by GIFT-Eval's protocol whole and cut, each in its own folder of
--out with plan.json; what that costs is told before it starts. A second call goes on where the
first one stopped, and a model or trial that was added to the file is all that is run then. At the
end --report holds tables, pictures, report.html and README.md.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from universality.report import report
from universality.running import Way, estimate, planned, run
from universality.study import Scale, Study, read

from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.errors import PartlyDone, ProbeError, UsageError, nearest
from tsfm_probe.evaluate.gift_eval import chosen, folder_of
from tsfm_probe.evaluate.spread import Workers

FILE = Path(__file__).with_suffix(".yaml")


def main(words: Sequence[str] | None = None) -> int:
    """Run the study; a mistake of the user becomes one line and an exit code."""
    try:
        _follow(_parser().parse_args(words))
    except ProbeError as error:
        return _fail(" ".join(str(error).split()), error.exit_code)
    except KeyboardInterrupt:
        told = "stopped; what is done is kept, the same command continues"
        return _fail(told, PartlyDone.exit_code)
    return 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--study", type=Path, default=FILE, help="another file like universal.yaml")
    made.add_argument("--scale", default="nano", help="one of the file's scales")
    made.add_argument("--data", type=Path, help="GIFT-Eval's folder; default: as GIFT_EVAL says")
    made.add_argument("--only", default="", metavar="MODEL", help="run this model alone")
    made.add_argument("--device", default="auto")
    made.add_argument("--dtype", default="auto")
    made.add_argument("--devices", default="", help="a process for each, such as cuda:0,cuda:1")
    made.add_argument("--ray", default="", help="spread over a Ray cluster: local, auto, address")
    made.add_argument("--out", type=Path, help="run folder; default: runs/universal-SCALE")
    made.add_argument("--report", type=Path, help="default: the folder report of --out")
    made.add_argument("--quiet", action="store_true")
    made.add_argument("--dry-run", action="store_true", help="tell plan and cost, keep nothing")
    return made


def _follow(given: argparse.Namespace) -> None:
    study = read(given.study)
    scale = study.scale(given.scale)
    if given.only and given.only not in scale.models:
        raise UsageError(f"--only {given.only}", allowed=nearest(given.only, scale.models))
    way = _way(given)
    chosen(way.data, scale.configurations, scale.term)  # told before a model is loaded
    terminal = Terminal(given.quiet)
    terminal.set_up()
    models = (given.only,) if given.only else scale.models
    if given.dry_run:
        _dry_run(models, study, scale, way, terminal)
        return
    out = given.out or Path("runs") / f"universal-{given.scale}"
    for model in models:
        run(out, model, study, scale, way, terminal)
    page = report(given.report or out / "report", out, study, scale, way.command)
    terminal.out.print(f"report: {page}", markup=False)


def _way(given: argparse.Namespace) -> Way:
    """Who runs it; the command names no folders of this machine."""
    kept = [] if given.scale == "nano" else ["--scale", given.scale]
    kept += (
        ["--report", str(given.report)] if given.report and not given.report.is_absolute() else []
    )
    command = shlex.join(["python", "benchmarks/universal.py", "--data", "DIR", *kept])
    workers = Workers.of(given.devices, given.ray)
    return Way(folder_of(given.data), given.device, given.dtype, workers, command)


def _dry_run(
    models: Sequence[str], study: Study, scale: Scale, way: Way, terminal: Terminal
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            job = planned(Path(folder), model, study, scale, way, terminal)
            terminal.out.print(estimate(job, job.units), markup=False)
            for trial in job.task.trials:
                terminal.out.print(f"  {trial.name}", markup=False)
    terminal.out.print("Nothing was kept.", markup=False)


def _fail(message: str, code: int) -> int:
    print(f"universal: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
