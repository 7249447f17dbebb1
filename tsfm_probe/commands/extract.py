"""`tsfm-probe extract`: activations as files, with what every token and every row stands for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from safetensors.torch import save
from torch import Tensor

from tsfm_probe.commands.ablate import Columns, note_left_out, say_left_out, series_of
from tsfm_probe.commands.origin import identity, origin, short_name
from tsfm_probe.commands.tables import keep
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.data.series import Window
from tsfm_probe.durable import write_atomically
from tsfm_probe.errors import UsageError, nearest
from tsfm_probe.models import load
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.probes.activations import Wanted, activations, tokens
from tsfm_probe.probes.batches import Batch, batches, seen
from tsfm_probe.run_folder import RunRecord
from tsfm_probe.shard import to_parquet

ROWS = 16
"""Windows in one file."""
UNUSED = ("by", "method", "samples", "joint", "seed")
WINDOWS = ("file", "row", "series", "window", "length", "context_start", "forecast_start", "freq")


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device: see models.load. wanted: which activations. form: of FORMS. setting: which
    windows. paths, columns: the data. out: the run folder, None to choose.
    """

    model: str
    device: str
    wanted: Wanted
    form: str
    setting: Setting
    paths: list[Path]
    columns: Columns
    out: Path | None

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UsageError(f"--format {self.form!r}", allowed=nearest(self.form, FORMS))


def execute(asked: Request, terminal: Terminal) -> None:
    """Write the files that are not there yet, and tell where everything is."""
    data = series_of(asked.paths, asked.columns, asked.setting.seed)
    terminal.say(f"loading {asked.model}")
    model = load(asked.model, asked.device, "float32")
    job = Job.of(model, data.series, asked.setting)
    asked.wanted.heads(model.anatomy)
    say_left_out(job, data, terminal)
    known = {key: text for key, text in identity(job, data).items() if key not in UNUSED}
    what = ", ".join(asked.wanted.what)
    same = known | {"probe": "extract", "what": what, "format": asked.form}
    facts = same | origin(model, data)
    folder = asked.out or Path("runs") / short_name(model, data, "extract", same)
    record = RunRecord.begun(folder, same, facts).noted(folder, status="running")
    note_left_out(job, data, folder)
    cut = batches(seen(job.windows), ROWS)
    keep(folder, _described(job, asked, cut))
    with terminal.progress("extracting") as progress:
        for number, batch in enumerate(cut):
            path = folder / _file(number, asked.form)
            if not path.exists():
                found = activations(model, batch.contexts, asked.wanted)
                write_atomically(path, FORMS[asked.form](found))
            progress(number + 1, len(cut), path.name)
    record.noted(folder, status="done")
    files = [_file(number, asked.form) for number in range(len(cut))]
    _tell(terminal, folder, files, facts)


def _file(number: int, form: str) -> str:
    return f"activations-{number:05d}.{form}"


def _described(job: Job, asked: Request, cut: Sequence[Batch]) -> dict[str, pd.DataFrame]:
    """windows: what each row of each file is. tokens: what each token is, by length of context."""
    rows = [
        (_file(number, asked.form), row, *_window(job.windows[place], len(context)))
        for number, batch in enumerate(cut)
        for row, (place, context) in enumerate(zip(batch.places, batch.contexts, strict=True))
    ]
    lengths = sorted({len(context) for batch in cut for context in batch.contexts})
    told = [
        tokens(job.model, length, asked.setting.horizon).assign(length=length) for length in lengths
    ]
    windows = pd.DataFrame(rows, columns=pd.Index(WINDOWS))
    return {"windows": windows, "tokens": pd.concat(told, ignore_index=True)}


def _window(window: Window, length: int) -> tuple[object, ...]:
    step = pd.tseries.frequencies.to_offset(window.freq)
    start = window.start - length * step
    return window.series, window.index, length, start, window.start, window.freq


def _safetensors(found: Mapping[str, Tensor]) -> bytes:
    return save(dict(found))


def _parquet(found: Mapping[str, Tensor]) -> bytes:
    """One row for each name, row and token (or query), with its numbers as a list."""
    parts = []
    for name, value in found.items():
        count, length, width = value.shape
        offsets = np.arange(0, value.numel() + 1, width, dtype=np.int64)
        numbers = pa.array(value.numpy().reshape(-1))
        columns = {
            "name": pa.array([name] * (count * length)).dictionary_encode(),
            "row": pa.array(np.repeat(np.arange(count), length)),
            "token": pa.array(np.tile(np.arange(length), count)),
            "values": pa.LargeListArray.from_arrays(pa.array(offsets), numbers),
        }
        parts.append(pa.table(columns))
    return to_parquet(pa.concat_tables(parts).unify_dictionaries())


FORMS: Mapping[str, Callable[[Mapping[str, Tensor]], bytes]] = {
    "safetensors": _safetensors,
    "parquet": _parquet,
}


def _tell(terminal: Terminal, folder: Path, files: Sequence[str], facts: Mapping[str, str]) -> None:
    size = sum((folder / one).stat().st_size for one in files)
    if terminal.as_json:
        told = {"about": dict(facts), "folder": str(folder), "files": list(files), "bytes": size}
        terminal.print_json(told)
        return
    terminal.out.print(
        f"{len(files)} files of activations, {size / 2**20:.1f} MB, in {folder.resolve()}; "
        "windows.csv tells what their rows are, tokens.csv what their tokens are.",
        markup=False,
    )
