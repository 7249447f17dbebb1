"""How the windows of a benchmark are forecast, whichever benchmark it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from tsfm_probe.errors import UsageError
from tsfm_probe.evaluate.gluonts import Predictor
from tsfm_probe.evaluate.trials import UNTOUCHED, Subjects, Trial
from tsfm_probe.models.base import Model
from tsfm_probe.surgery.edit import Edit


@dataclass(frozen=True)
class Forecasting:
    """How windows are forecast; everything that the numbers depend on besides model and data.

    samples, seed, context, joint, batch_size: see evaluate.gluonts.Predictor. UsageError if a
    number is below zero.
    """

    samples: int = 0
    seed: int = 0
    context: int = 0
    joint: bool = False
    batch_size: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "seed", "context"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} {getattr(self, name)} was asked for", allowed="0 or more")

    def predictor(self, model: Model, horizon: int, edits: Sequence[Edit] = ()) -> Predictor:
        """What forecasts so; UsageError if the model cannot."""
        return Predictor(
            model,
            horizon,
            edits=edits,
            batch_size=self.batch_size,
            seed=self.seed,
            samples=self.samples,
            context=self.context,
            joint=self.joint,
        )

    def checked(self, subjects: Subjects, trials: Sequence[Trial]) -> Model:
        """The untouched model; UsageError if it, or the one of a trial, cannot forecast so."""
        model = subjects.model(UNTOUCHED)
        for trial in (UNTOUCHED, *(one for one in trials if one.folder)):
            self.predictor(subjects.model(trial), 1)
        return model
