"""What a person at a terminal sees: log and progress on stderr, results on stdout."""

import json
import logging
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import transformers
from huggingface_hub.utils import disable_progress_bars
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from tsfm_probe.probes.ablation import Progress as Report

PIPED = 160
SHORT = 10


@dataclass(frozen=True)
class Terminal:
    """Where a command writes.

    quiet: no log and no progress. as_json: the result is JSON on stdout and nothing else is.
    """

    quiet: bool = False
    as_json: bool = False

    @property
    def err(self) -> Console:
        """Log and progress."""
        return Console(stderr=True, quiet=self.quiet, highlight=False)

    @property
    def out(self) -> Console:
        """Results for a person, wide where no terminal limits them; silent with --json."""
        width = None if sys.stdout.isatty() else PIPED
        return Console(quiet=self.as_json, highlight=False, soft_wrap=True, width=width)

    def set_up(self) -> None:
        """Show the warnings of this package, not the words of the libraries it stands on."""
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity(logging.CRITICAL)
        if self.quiet:
            disable_progress_bars()
        warnings.simplefilter("ignore")
        handler = RichHandler(console=self.err, show_time=False, show_path=False)
        own = logging.getLogger("tsfm_probe")
        own.handlers, own.propagate = [handler], False
        own.setLevel(logging.WARNING)
        logging.getLogger().setLevel(logging.CRITICAL)

    def say(self, text: str) -> None:
        """One line of log."""
        self.err.print(escape(text))

    def print_json(self, value: Any) -> None:
        """The result as JSON, NaN as null."""
        print(json.dumps(_plain(value), indent=2, allow_nan=False))

    def grid(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A table of results."""
        grid = Grid(title=escape(title), title_justify="left", header_style="bold")
        for number, name in enumerate(columns):
            whole = not number or all(len(row[number]) <= SHORT for row in rows)
            side = "right" if number else "left"
            grid.add_column(escape(name), justify=side, no_wrap=whole, overflow="fold")
        for row in rows:
            grid.add_row(*(escape(cell) for cell in row))
        self.out.print(grid)

    @contextmanager
    def progress(self, verb: str) -> Iterator[Report]:
        """A progress bar; what it yields takes (done, total, name of what is being done)."""
        bar = Progress(
            TextColumn(verb),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[name]}"),
            console=self.err,
            disable=self.quiet,
        )
        with bar:
            task = bar.add_task(verb, total=None, name="")
            yield lambda done, total, name: bar.update(
                task, completed=done, total=total, name=escape(name)
            )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
