"""A named set of series, and what was left out of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from tsfm_probe.data.series import Series
from tsfm_probe.errors import DataError


@dataclass(frozen=True)
class Skipped:
    """A series (or some of its windows) that was left out.

    series: its name.
    reason: one line; what stands before the first colon is the kind of the reason.
    """

    series: str
    reason: str

    @property
    def kind(self) -> str:
        """The reason without its particulars, the same for all series that share it."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, eq=False)
class Dataset:
    """The series of one or several files, or of a generator.

    series: in the order of the files and of first appearance in a file; their names differ.
    skipped: the series that could not be used.
    name: a short name for tables and reports.
    hash: SHA-256 over the names, starts, frequencies and values of `series`, as hexadecimal
        digits. It does not depend on the file format nor on how a missing value is written.
    """

    series: tuple[Series, ...]
    skipped: tuple[Skipped, ...]
    name: str
    hash: str

    @classmethod
    def of(cls, series: Iterable[Series], name: str, skipped: Iterable[Skipped] = ()) -> "Dataset":
        """Gather series, for example generated ones; DataError if none is left or names repeat."""
        kept, left_out = tuple(series), tuple(skipped)
        if not kept:
            raise DataError(f"no usable series in {name!r}", counted(left_out))
        name_seen, times = Counter(one.name for one in kept).most_common(1)[0]
        if times > 1:
            raise DataError(
                f"{times} series of {name!r} are named {name_seen!r}",
                allowed="names of series must differ: rename a file or an item",
            )
        return cls(kept, left_out, name, _hash(kept))


def counted(skipped: Iterable[Skipped]) -> str:
    """How often each kind of reason occurs, with one example each, as words for an error."""
    examples: dict[str, list[Skipped]] = {}
    for one in skipped:
        examples.setdefault(one.kind, []).append(one)
    return ", ".join(
        f"{len(group)} skipped for {kind} (such as {group[0].series[:60]!r}: {group[0].reason})"
        for kind, group in examples.items()
    )


def _hash(series: Iterable[Series]) -> str:
    digest = sha256()
    for one in series:
        head = (one.name, one.start.isoformat(), one.freq, str(len(one.values)))
        digest.update("\0".join((*head, "")).encode())
        values = np.asarray(one.values, dtype="<f8") + 0.0  # a copy, in which -0.0 is 0.0
        values[np.isnan(values)] = np.nan  # one of the many bit patterns of NaN
        digest.update(values.tobytes())
    return digest.hexdigest()
