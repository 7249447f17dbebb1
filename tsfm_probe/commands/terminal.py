"""What a person at a terminal sees: log and progress on stderr, results on stdout."""

import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import transformers
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from tsfm_probe.probes.ablation import Progress as Report


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
        """Results for a person; silent when they are asked for as JSON."""
        return Console(quiet=self.as_json, highlight=False, soft_wrap=True)

    def set_up(self) -> None:
        """Show the warnings of this package, not the words of the libraries it stands on."""
        transformers.utils.logging.disable_progress_bar()
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
        print(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))

    def grid(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A table of results."""
        grid = Grid(title=escape(title), title_justify="left", header_style="bold")
        for number, name in enumerate(columns):
            grid.add_column(escape(name), justify="right" if number else "left", no_wrap=not number)
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
