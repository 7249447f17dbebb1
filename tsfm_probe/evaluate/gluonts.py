"""A model as a GluonTS predictor, so that any GluonTS code can evaluate it, whole or edited."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from gluonts.dataset.util import forecast_start
from gluonts.model.forecast import QuantileForecast
from gluonts.model.predictor import RepresentablePredictor

from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.probes.sweep import ROWS, is_out_of_memory
from tsfm_probe.surgery.edit import Edit, edited

LOG = logging.getLogger(__name__)
CHUNK = 256
"""Series that are read before they are forecast, so that those of like length go together."""
KEYS = ["mean", *map(str, LEVELS)]
MIDDLE = LEVELS.index(0.5)


class Predictor(RepresentablePredictor):
    """Forecasts by a model, with edits open for as long as it predicts.

    model: any Model. prediction_length: steps. edits: see surgery.edit.edited; none by default.
    batch_size: series at once, 0 to choose; it is halved when memory runs out. seed, samples: see
    Model.forecast. context: values that the model sees, 0 for as many as it can read. joint:
    whether the dimensions of a [dim, time] target are forecast jointly; without it each of them is
    a series on its own.

    A forecast has the levels 0.1 to 0.9, and its mean is the median: [key, time] for a [time]
    target, [key, time, dim] for a [dim, time] target.
    """

    def __init__(
        self,
        model: Model,
        prediction_length: int,
        *,
        edits: Sequence[Edit] = (),
        batch_size: int = 0,
        seed: int = 0,
        samples: int = 0,
        context: int = 0,
        joint: bool = False,
    ) -> None:
        super().__init__(prediction_length=prediction_length)
        if joint and not model.joint:
            raise UsageError(
                f"a joint forecast by {model.name}", f"{model.family} reads each series on its own"
            )
        if context > model.context_length:
            raise UsageError(
                f"context {context} was asked for",
                allowed=f"{model.name} reads {model.context_length} values at most",
            )
        self.model = model
        self.edits = tuple(edits)
        self.seed = seed
        self.samples = samples or model.default_samples
        self.context = context or model.context_length
        self.joint = joint
        self.batch_size = batch_size or _comfortable(model, self.samples)

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, dataset: Iterable[Any], num_samples: int | None = None
    ) -> Iterator[QuantileForecast]:
        """One forecast for each entry of a GluonTS dataset, in order, a chunk of them at a time.

        num_samples: sample paths of this call, in place of `samples`.
        """
        entries = iter(dataset)
        while chunk := list(islice(entries, CHUNK)):
            yield from self._chunk(chunk, num_samples or self.samples)

    def predict_item(self, item: Any) -> QuantileForecast:
        """The forecast of one entry."""
        return next(self.predict([item]))

    def _chunk(self, entries: list[Any], samples: int) -> Iterator[QuantileForecast]:
        targets = [np.asarray(one["target"])[..., -self.context :] for one in entries]
        rows = [np.atleast_2d(one).astype(np.float64) for one in targets]
        units = rows if self.joint else [row[None] for one in rows for row in one]
        found = iter(np.concatenate(self._forecasts([_begun(one) for one in units], samples)))
        for entry, target in zip(entries, targets, strict=True):
            quantiles = np.stack([next(found) for _ in np.atleast_2d(target)], axis=-1)
            arrays = np.concatenate([quantiles[:, MIDDLE, None], quantiles], axis=1).swapaxes(0, 1)
            yield QuantileForecast(
                arrays if target.ndim > 1 else arrays[..., 0],
                start_date=forecast_start(entry),
                forecast_keys=list(KEYS),
                item_id=entry.get("item_id"),
                info=entry.get("info"),
            )

    def _forecasts(self, units: list[np.ndarray], samples: int) -> list[np.ndarray]:
        """[row, step, level] of each unit, which is [row, time] values that stay together."""
        found: dict[int, np.ndarray] = {}
        waiting = sorted(range(len(units)), key=lambda place: units[place].shape[1])
        while waiting:
            count, rows = 1, len(units[waiting[0]])
            while count < len(waiting) and rows + len(units[waiting[count]]) <= self.batch_size:
                rows += len(units[waiting[count]])
                count += 1
            try:
                made = self._batch([units[place] for place in waiting[:count]], samples)
            except (MemoryError, RuntimeError) as error:
                self._smaller(error, count, rows)
                continue
            found |= zip(waiting[:count], made, strict=True)
            waiting = waiting[count:]
        return [found[place] for place in range(len(units))]

    def _batch(self, units: list[np.ndarray], samples: int) -> list[np.ndarray]:
        contexts = [row for unit in units for row in unit]
        groups = [number for number, unit in enumerate(units) for _ in unit]
        with edited(self.model.anatomy, self.edits):
            values = self.model.forecast(
                contexts, self.prediction_length, self.seed, samples, groups if self.joint else None
            ).values
        return np.split(values, np.cumsum([len(unit) for unit in units])[:-1])

    def _smaller(self, error: Exception, units: int, rows: int) -> None:
        """Go on with smaller batches; the error itself if it was not about memory."""
        if not is_out_of_memory(error):
            raise error
        if units == 1:
            raise ModelError(
                f"a forecast with {self.model.name}",
                f"memory ran out with {rows} series at a time, which stay together",
                "a shorter --context, fewer --samples, a smaller model",
            ) from error
        self.batch_size = rows // 2
        LOG.warning("memory ran out: going on with %d series at a time", self.batch_size)


def _begun(rows: np.ndarray) -> np.ndarray:
    """Rows [row, time] without the steps at their beginning at which no row has a value."""
    begun = np.flatnonzero(~np.isnan(rows).all(axis=0))
    return rows[:, begun[0] if len(begun) else -1 :]


def _comfortable(model: Model, samples: int) -> int:
    rows = ROWS.get(model.device.type, ROWS["cpu"])
    return max(1, rows // samples) if model.draws_samples else rows // 4
