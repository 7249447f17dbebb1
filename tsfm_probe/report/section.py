"""A section that a run adds to its page: sentences, figures, a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tsfm_probe.report.plates import Plate


@dataclass(frozen=True, eq=False)
class Section:
    """One section; everything in it is plain text, which the page escapes.

    name: letters and hyphens, unique on the page.
    plates: figures by the metric that they show, which the page's switch chooses between; under
    "" those that are always shown.
    columns, rows: a table, none if there are no rows; columns after the first hold numbers.
    """

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    plates: Mapping[str, tuple[Plate, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    @property
    def every(self) -> tuple[Plate, ...]:
        """All figures."""
        return tuple(plate for found in self.plates.values() for plate in found)

    @property
    def by_metric(self) -> bool:
        """Whether there are figures that the page's switch chooses between."""
        return any(self.plates)
