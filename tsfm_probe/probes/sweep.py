"""Forecasts of the same windows under one trial after the other."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

from tsfm_probe.data.series import Window
from tsfm_probe.errors import ModelError
from tsfm_probe.models.base import Model
from tsfm_probe.probes.batches import Batch, Encoder, batches, seen, seen_jointly
from tsfm_probe.probes.fills import Fill, Mean, Resample, Zero, donors
from tsfm_probe.surgery.edit import edited
from tsfm_probe.surgery.plan import Trial

log = logging.getLogger(__name__)
ROWS = {"cpu": 320, "cuda": 2048}
Result = TypeVar("Result")


class Sweep:
    """A model, windows and a method of ablation; each call forecasts them under one trial.

    horizon: steps. seed, samples: see Model.forecast. batch_size: windows at once, 0 to choose;
    it is halved when memory runs out. joint: windows that begin at the same time are forecast
    jointly. scale: with the method "zero", what is ablated is multiplied with it.
    """

    def __init__(
        self,
        model: Model,
        windows: Sequence[Window],
        horizon: int,
        method: str = "zero",
        seed: int = 0,
        samples: int = 0,
        batch_size: int = 0,
        joint: bool = False,
        scale: float = 0.0,
    ) -> None:
        self.model = model
        self.windows = windows
        self.horizon = horizon
        self.method = method
        self.seed = seed
        self.samples = samples or model.default_samples
        self.batch_size = batch_size or self._comfortable()
        self.joint = joint
        self.scale = scale
        self._arrange()

    def _comfortable(self) -> int:
        rows = ROWS.get(self.model.device.type, ROWS["cpu"])
        return max(1, rows // self.samples) if self.model.draws_samples else rows // 4

    def _arrange(self) -> None:
        contexts, groups = seen_jointly(self.windows) if self.joint else (seen(self.windows), None)
        self.batches = batches(contexts, self.batch_size, groups)
        self.encoder = Encoder(self.model)
        self.fill = self._fill(contexts)

    def _fill(self, contexts: Sequence[np.ndarray]) -> Fill:
        if self.method == "zero":
            return Zero(self.scale)
        if self.method == "mean":
            return Mean(self.model.anatomy, self.batches, self._untouched)
        chosen = donors([one.series for one in self.windows], self.seed)
        return Resample(self.model.anatomy, self.batches, contexts, chosen, self._untouched)

    def _untouched(self, batch: Batch) -> None:
        self._forecast(batch, self.seed)

    def _forecast(self, batch: Batch, seed: int) -> np.ndarray:
        return self.model.forecast(
            batch.contexts, self.horizon, seed, self.samples, batch.groups
        ).values

    def forecasts(self, trial: Trial) -> np.ndarray:
        """Quantile forecasts of all windows under a trial: [window, horizon, level]."""
        return self.forecasts_at(trial, range(len(self.windows)))

    def forecasts_at(self, trial: Trial, places: Sequence[int]) -> np.ndarray:
        """The same of the windows at these places alone."""
        return self._with_memory(lambda: self._forecasts(trial, places))

    def _forecasts(self, trial: Trial, places: Sequence[int]) -> np.ndarray:
        found: dict[int, np.ndarray] = {}
        for batch in self.batches:
            if set(batch.places) & set(places):
                found.update(zip(batch.places, self._batch(trial, batch), strict=True))
        return np.stack([found[place] for place in places])

    def _batch(self, trial: Trial, batch: Batch) -> np.ndarray:
        seed = self.seed + trial.seed_shift
        edits = self.fill.edits(trial.at, batch)
        if {at.stack for at in trial.at} & self.model.encoding_stacks:
            with edited(self.model.anatomy, edits):
                return self._forecast(batch, seed)
        state = self.encoder(batch)
        with edited(self.model.anatomy, edits):
            return self.model.decode(state, self.horizon, seed, self.samples).values

    def _with_memory(self, run: Callable[[], Result]) -> Result:
        while True:
            try:
                return run()
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                before = self._largest()
                while self.batch_size > 1 and self._largest() == before:
                    self.batch_size //= 2
                    self._arrange()
                if self._largest() == before:
                    raise ModelError(
                        f"a forecast with {self.model.name}",
                        f"memory ran out with {before} windows at a time, which stay together",
                        "a shorter --context, fewer --samples or series, a smaller model",
                    ) from error
            log.warning("memory ran out: going on with %d windows at a time", self._largest())

    def _largest(self) -> int:
        return max(len(one.places) for one in self.batches)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the memory of the machine or of the GPU is not enough."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
