"""A model as fev sees it, so that any fev task or benchmark can evaluate it, whole or edited.

fev: Shchur et al. 2025, arXiv 2509.26468; the package fev, 0.10 or later.
"""

from abc import abstractmethod
from collections.abc import Sequence

import datasets
import fev
import numpy as np

from tsfm_probe.errors import DataError, ModelError, UsageError
from tsfm_probe.evaluate.arrays import quantiles
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.models.base import Model
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.surgery.edit import Edit


class Rows(fev.ForecastingModel):
    """A forecaster of rows: every target of every item is one; covariates are not looked at.

    Row i * D + d is target d of item i, for D targets.
    """

    @abstractmethod
    def quantiles(self, task: fev.Task, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """Quantiles at the task's levels, and the median last: [row, horizon, level]."""

    def values(self, task: fev.Task, window: fev.EvaluationWindow) -> np.ndarray:
        """The forecasts of one window: see `quantiles`. Zero where a target has no value at all.

        Raises what `observed` does.
        """
        contexts = observed(window)
        found = self.quantiles(task, contexts)
        found[[bool(np.isnan(one).all()) for one in contexts]] = 0.0
        return found

    def _fit_predict(self, task: fev.Task) -> list[datasets.DatasetDict]:
        made = []
        for window in task.iter_windows(num_proc=1):
            with self._record_inference_time():
                values = self.values(task, window)
            made.append(predictions(task, values))
        return made


class Forecaster(Rows):
    """A model as a fev.ForecastingModel, with edits open for as long as it predicts.

    edits: see surgery.edit.edited. joint: whether the targets of an item are forecast jointly;
    without it each of them is a series on its own. seed, samples, context, batch_size: see
    Predictor.

    Its point forecast is the median. It has the levels 0.1 to 0.9; a level between two of them is
    interpolated, and one outside is refused: what it would be nobody knows.
    """

    model_name = "tsfm-probe"

    def __init__(
        self,
        model: Model,
        edits: Sequence[Edit] = (),
        *,
        joint: bool = False,
        seed: int = 0,
        samples: int = 0,
        context: int = 0,
        batch_size: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.model_name = model.name
        self.edits = tuple(edits)
        self.joint = joint
        self.seed = seed
        self.samples = samples
        self.context = context
        self.batch_size = batch_size

    def quantiles(self, task: fev.Task, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """Quantiles at the task's levels, and the median last: [row, horizon, level]."""
        refuse_levels(task)
        predictor = Predictor(
            self.model,
            task.horizon,
            edits=self.edits,
            joint=self.joint,
            seed=self.seed,
            samples=self.samples,
            context=self.context,
            batch_size=self.batch_size,
        )
        count = len(task.target_columns)
        firsts = range(0, len(contexts), count)
        units = [np.stack(contexts[first : first + count]) for first in firsts]
        made = np.concatenate(quantiles(predictor, units))
        return at_levels(made, [*task.quantile_levels, 0.5])


def observed(window: fev.EvaluationWindow) -> list[np.ndarray]:
    """What is known of every target of every item: [time] each, NaN where missing.

    DataError if no series is long enough, or a value is infinite.
    """
    try:
        past, _ = window.get_input_data()
    except ValueError as error:
        raise DataError(
            f"a window of {window.horizon} steps from {window.cutoff}",
            str(error),
            "a task with a shorter horizon or fewer windows",
        ) from error
    names, columns = past[window.id_column], [past[one] for one in window.target_columns]
    found = [
        np.asarray(values, dtype=np.float64) for row in zip(*columns, strict=True) for values in row
    ]
    for row, values in enumerate(found):
        if np.isinf(values).any():
            item, target = divmod(row, len(columns))
            raise DataError(
                f"the target {window.target_columns[target]!r} of the item {str(names[item])!r}",
                "it is infinite somewhere",
                "NaN where a value is missing",
            )
    return found


def at_levels(values: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Forecasts [row, step, LEVELS] at other levels between 0.1 and 0.9: [row, step, level]."""
    above = np.clip(np.searchsorted(LEVELS, np.asarray(levels) - 1e-9), 1, len(LEVELS) - 1)
    low, high = np.take(LEVELS, above - 1), np.take(LEVELS, above)
    share = np.clip((np.asarray(levels) - low) / (high - low), 0.0, 1.0)
    return values[..., above - 1] * (1 - share) + values[..., above] * share


def refuse_levels(task: fev.Task) -> None:
    """UsageError if a task asks for a level that the forecasts of a Model do not reach."""
    outside = [one for one in task.quantile_levels if not LEVELS[0] <= one <= LEVELS[-1]]
    if outside:
        raise UsageError(
            f"the task {task.task_name!r} asks for the quantile level {outside[0]}",
            "the forecasts have the levels 0.1 to 0.9",
            "levels from 0.1 to 0.9",
        )


def predictions(task: fev.Task, values: np.ndarray) -> datasets.DatasetDict:
    """Forecasts of one window as fev wants them: a data set for each target.

    values: see Rows.quantiles. ModelError if one is not finite, which fev does not take.
    """
    if not np.isfinite(values).all():
        row, step, _ = np.argwhere(~np.isfinite(values))[0]
        item, target = divmod(int(row), len(task.target_columns))
        raise ModelError(
            f"the forecast of item {item}, target {task.target_columns[target]!r}, "
            f"of the task {task.task_name!r}",
            f"is not finite at step {step}",
            "every forecast value must be finite",
        )
    keys = [*map(str, task.quantile_levels), "predictions"]
    count = len(task.target_columns)
    return datasets.DatasetDict(
        {
            target: datasets.Dataset.from_dict(
                {key: list(values[place::count, :, level]) for level, key in enumerate(keys)}
            )
            for place, target in enumerate(task.target_columns)
        }
    )
