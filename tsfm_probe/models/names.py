"""The models that are known by a short name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A published or shipped model.

    hub_id: where it is published; "" for a model that ships with the package.
    layers, heads: as text, for example "6+6 x 8" stands for 6 encoder and 6 decoder layers.
    parameters: in millions, counted from the published shape; 0 where not known.
    """

    name: str
    family: str
    hub_id: str
    layers: str
    heads: int
    parameters: float


_LIST = (
    Known("nano-chronos-bolt", "chronos-bolt", "", "6+6", 4, 2.769),
    Known("nano-chronos-t5", "chronos-t5", "", "6+6", 4, 2.495),
    Known("nano-chronos-2", "chronos-2", "", "6", 4, 1.528),
    Known("nano-timesfm-2.5", "timesfm-2.5", "", "6", 4, 1.204),
    Known("nano-toto-1", "toto-1", "", "6", 4, 1.127),
    Known("nano-moirai-1.1", "moirai-1.1", "", "6", 4, 4.775),
    Known("chronos-t5-tiny", "chronos-t5", "amazon/chronos-t5-tiny", "4+4", 4, 8.39),
    Known("chronos-t5-mini", "chronos-t5", "amazon/chronos-t5-mini", "4+4", 8, 20.46),
    Known("chronos-t5-small", "chronos-t5", "amazon/chronos-t5-small", "6+6", 8, 46.15),
    Known("chronos-t5-base", "chronos-t5", "amazon/chronos-t5-base", "12+12", 12, 201.4),
    Known("chronos-t5-large", "chronos-t5", "amazon/chronos-t5-large", "24+24", 16, 709.0),
    Known("chronos-bolt-tiny", "chronos-bolt", "amazon/chronos-bolt-tiny", "4+4", 4, 8.65),
    Known("chronos-bolt-mini", "chronos-bolt", "amazon/chronos-bolt-mini", "4+4", 8, 21.24),
    Known("chronos-bolt-small", "chronos-bolt", "amazon/chronos-bolt-small", "6+6", 8, 47.72),
    Known("chronos-bolt-base", "chronos-bolt", "amazon/chronos-bolt-base", "12+12", 12, 205.3),
    Known("chronos-2", "chronos-2", "amazon/chronos-2", "12", 12, 119.48),
    Known("chronos-2-synth", "chronos-2", "autogluon/chronos-2-synth", "12", 12, 119.48),
    Known("chronos-2-small", "chronos-2", "autogluon/chronos-2-small", "6", 8, 28.26),
    Known("timesfm-2.5", "timesfm-2.5", "google/timesfm-2.5-200m-transformers", "20", 16, 231.29),
    Known("timesfm-3", "timesfm-3", "google/timesfm-3.0-pytorch", "20", 16, 330.71),
    Known("toto-1", "toto-1", "Datadog/Toto-Open-Base-1.0", "12", 12, 151.31),
    Known("toto-2-4m", "toto-2", "Datadog/Toto-2.0-4m", "4", 4, 4.144),
    Known("moirai-1.1-small", "moirai-1.1", "Salesforce/moirai-1.1-R-small", "6", 6, 13.83),
    Known("moirai-1.1-base", "moirai-1.1", "Salesforce/moirai-1.1-R-base", "12", 12, 91.36),
    Known("moirai-1.1-large", "moirai-1.1", "Salesforce/moirai-1.1-R-large", "24", 16, 310.97),
    Known("moirai-2-small", "moirai-2", "Salesforce/moirai-2.0-R-small", "6", 6, 11.387),
)
KNOWN = {one.name: one for one in _LIST}
