"""GIFT-Eval's protocol: which windows of a data set are forecast, and how they are scored.

Aksu et al. 2024, "GIFT-Eval: A Benchmark For General Time Series Forecasting Model Evaluation".
"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from gluonts.dataset.split import TestData, split
from pandas.tseries.frequencies import to_offset

from tsfm_probe.data.frequency import frequency, season
from tsfm_probe.errors import DataError, ProbeError, UsageError, nearest
from tsfm_probe.evaluate.gift_eval_sets import TERMS, Configuration, official

VARIABLE = "GIFT_EVAL"
HORIZONS = {"M": 12, "W": 8, "D": 30, "h": 48, "min": 48, "s": 60}
M4_HORIZONS = {"Y": 6, "Q": 8, "M": 18, "W": 13, "D": 14, "h": 48}
TEST_SHARE = 0.1
MOST_WINDOWS = 20
BLOCK = 12_288
FEWEST, MOST = 64, 512
"""Steps that a unit of work forecasts, about, and the bounds of its windows."""
HOW = (
    "download it with `hf download Salesforce/GiftEval --repo-type dataset --local-dir DIR` and "
    f"give the folder with --data DIR or in the environment variable {VARIABLE}"
)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The data of one configuration and the windows of it that are forecast.

    rows: the Hugging Face data set, in numpy format. joint: whether a [dim, time] target stays one
    series, instead of becoming one for each dimension.
    """

    configuration: Configuration
    rows: Any
    joint: bool = False

    @classmethod
    def open(cls, folder: Path, configuration: Configuration, joint: bool = False) -> "Evaluation":
        """Read the data; DataError if they are not what GIFT-Eval reads."""
        path = folder / configuration.folder
        try:
            rows = _library().load_from_disk(str(path)).with_format("numpy")
            found = cls(configuration, rows, joint)
            found._check(path)
        except ProbeError:
            raise
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            said = " ".join(str(error).split())[:200]
            raise DataError(f"{configuration.key} was to be read from {path}", said, HOW) from error
        return found

    def _check(self, path: Path) -> None:
        least = self.horizon * self.windows + 1
        if self._shortest < least:
            raise DataError(
                f"{self.configuration.key} was to be read from {path}",
                f"its shortest series has {self._shortest} values",
                f"{self.windows} windows of {self.horizon} steps need {least}",
            )

    @cached_property
    def freq(self) -> str:
        """The spacing as the data state it, in today's spelling."""
        return frequency(str(self.rows[0]["freq"]))

    @property
    def seasonality(self) -> int:
        """Steps of one season, for the seasonal naive forecast and for MASE."""
        return season(self.freq)

    @cached_property
    def horizon(self) -> int:
        """Steps of one window."""
        name = to_offset(self.freq).name.partition("-")[0]
        kind = name.removesuffix("E") if name in ("ME", "QE", "YE") else name
        known = M4_HORIZONS if "m4" in self.configuration.folder else HORIZONS
        if kind not in known:
            raise DataError(
                f"the horizon of {self.configuration.key}",
                f"its frequency is {self.freq}",
                f"GIFT-Eval has one for {', '.join(known)}",
            )
        return TERMS[self.configuration.term] * known[kind]

    @cached_property
    def windows(self) -> int:
        """Windows of each series, one horizon apart."""
        if "m4" in self.configuration.folder:
            return 1
        share = math.ceil(TEST_SHARE * self._shortest / self.horizon)
        return min(max(1, share), MOST_WINDOWS)

    @cached_property
    def variates(self) -> int:
        """Dimensions of a target; 1 for a [time] one."""
        return len(self.rows[0]["target"]) if self._nested else 1

    @cached_property
    def _nested(self) -> bool:
        return np.asarray(self.rows[0]["target"]).ndim > 1

    @property
    def _shortest(self) -> int:
        return int(self._counts.min())

    @property
    def series(self) -> int:
        """How many series are forecast."""
        return len(self.rows) * (1 if self.joint else self.variates)

    @property
    def blocks(self) -> int:
        """How many units of work the windows make."""
        return math.ceil(self.series / self._per_block)

    @property
    def _per_block(self) -> int:
        wanted = min(max(FEWEST, BLOCK // self.horizon), MOST)
        return max(1, wanted // self.windows)

    def block(self, number: int) -> TestData:
        """The windows of some series, as GluonTS cuts them."""
        first = number * self._per_block
        return self.data(range(first, min(first + self._per_block, self.series)))

    def data(self, places: Sequence[int] | None = None) -> TestData:
        """The windows of the series at these places, of all if there are none."""
        chosen = range(self.series) if places is None else places
        _, template = split(_Series(self, chosen), offset=-self.horizon * self.windows)  # pyright: ignore[reportArgumentType]
        return template.generate_instances(
            self.horizon, windows=self.windows, distance=self.horizon
        )

    def lengths(self) -> np.ndarray:
        """How many values stand before the last window's target in each row of the data: [row]."""
        return self._counts - self.horizon

    @cached_property
    def _counts(self) -> np.ndarray:
        chunks = self.rows.data.column("target").chunks
        lists = [one.flatten() if self._nested else one for one in chunks]
        counts = np.concatenate([np.asarray(one.value_lengths()) for one in lists])
        return counts[:: self.variates]  # the dimensions of a target are of one length

    def hash(self) -> str:
        """SHA-256 of the data's files."""
        digest = sha256()
        for one in self.rows.cache_files:
            with Path(one["filename"]).open("rb") as file:
                while part := file.read(1 << 20):
                    digest.update(part)
        return digest.hexdigest()


class _Series:
    """GluonTS entries of the series at some places, read when they are asked for."""

    def __init__(self, test: Evaluation, places: Sequence[int]) -> None:
        self.test = test
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        dims = 1 if self.test.joint else self.test.variates
        step, last, row = to_offset(self.test.freq), -1, {}
        for place in self.places:
            number, dim = divmod(place, dims)
            if number != last:
                last, row = number, self.test.rows[number]
            target, start = np.asarray(row["target"], dtype=np.float32), np.asarray(row["start"])
            name = str(row["item_id"])
            yield {
                "item_id": f"{name}_dim{dim}" if dims > 1 else name,
                "start": pd.Period(pd.Timestamp(start.astype("datetime64[s]").item()), step),
                "target": target[dim] if dims > 1 else target,
            }


def folder_of(given: Path | None) -> Path:
    """The folder of the benchmark's data: as given, or as the environment says."""
    text = given or os.environ.get(VARIABLE)
    if not text:
        raise UsageError("the data of GIFT-Eval", "no folder was named", HOW)
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise UsageError(f"the data of GIFT-Eval in {folder}", "there is no such folder", HOW)
    return folder


def chosen(folder: Path, patterns: Sequence[str], term: str) -> tuple[Configuration, ...]:
    """The configurations that are asked for: those whose data are there, if none is named.

    patterns: keys such as "m4_hourly/H/short", in which * stands for anything. term: of TERMS, or
    "all". UsageError for a pattern that means none, DataError if the data are not there.
    """
    if term not in (*TERMS, "all"):
        raise UsageError(f"term {term!r} was asked for", allowed=nearest(term, (*TERMS, "all")))
    known = [one for one in official() if term in ("all", one.term)]
    here = [one for one in known if (folder / one.folder / "state.json").is_file()]
    if not patterns:
        if not here:
            raise DataError(f"the data of GIFT-Eval in {folder}", "none of them is there", HOW)
        return tuple(here)
    wanted: dict[Configuration, None] = {}
    for pattern in patterns:
        found = [one for one in known if fnmatchcase(one.key.lower(), pattern.lower())]
        if not found:
            raise UsageError(
                f"the configuration {pattern!r} was asked for",
                f"GIFT-Eval has none of that name{_of(term)}",
                nearest(pattern, [one.key for one in known]),
            )
        there = [one for one in found if one in here]
        if not there:
            raise DataError(f"the data of {pattern} in {folder}", "they are not there", HOW)
        wanted |= dict.fromkeys(there)
    return tuple(one for one in known if one in wanted)


def _of(term: str) -> str:
    return "" if term == "all" else f" of term {term}"


def _library() -> Any:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise UsageError(
            "the data of GIFT-Eval were to be read",
            "the package datasets is not installed",
            "pip install 'tsfm-probe[bench]'",
        ) from error
