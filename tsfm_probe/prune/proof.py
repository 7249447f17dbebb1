"""The proof that a pruned network is the ablated one, and that what was saved is that network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tsfm_probe.address import Address
from tsfm_probe.errors import CheckFailed
from tsfm_probe.laws.cuts import deviation
from tsfm_probe.laws.subject import ROUNDING, Subject, relative
from tsfm_probe.models.base import Model
from tsfm_probe.models.cut.smaller import Cut
from tsfm_probe.prune.width import Neurons, without
from tsfm_probe.surgery.edit import Edit

CONTEXTS = 8


@dataclass(frozen=True, eq=False)
class Proof:
    """What is forecast to compare two networks: contexts [time] each, and a horizon."""

    contexts: Sequence[np.ndarray]
    horizon: int

    def subject(self, model: Model) -> Subject:
        """The same forecasts by a model."""
        return Subject.of(model, self.contexts, self.horizon)

    def of_cut(self, model: Model, smaller: Model, at: tuple[Address, ...]) -> float:
        """How far the cut model is from the ablated one, over the size of the forecasts.

        Where the upstream library can forecast with the cut network (decoding with its cache), how
        far that is, if it is more. CheckFailed if it is above ROUNDING.
        """
        off = deviation(self.subject(model), smaller, at)
        theirs = smaller.deviation_from_upstream(self.contexts, self.horizon)
        worst = off if theirs is None else max(off, theirs)
        if not worst <= ROUNDING:
            raise CheckFailed(
                "the cut model was compared with the ablated one",
                f"they differ by {worst:.2g}",
                f"at most {ROUNDING:.0e}: nothing was written",
            )
        return worst

    def of_width(self, model: Model, narrower: Model, neurons: Neurons) -> float:
        """How far a narrowed model is from the one in which those neurons write nothing.

        CheckFailed if that is above ROUNDING.
        """
        off = self.off(narrower, self.forecast(without(model, neurons)))
        if not off <= ROUNDING:
            raise CheckFailed(
                "the narrowed model was compared with the one whose neurons are silent",
                f"they differ by {off:.2g}",
                f"at most {ROUNDING:.0e}: nothing was written",
            )
        return off

    def ablated(self, model: Model, at: tuple[Address, ...]) -> np.ndarray:
        """What the ablated model forecasts."""
        asked = Cut.of(model.anatomy, at).addresses(model.anatomy)
        return self.subject(model).forecast(*map(Edit, asked))

    def forecast(self, model: Model) -> np.ndarray:
        """What a model forecasts."""
        return self.subject(model).forecast()

    def off(self, model: Model, expected: np.ndarray) -> float:
        """How far a model's forecasts are from what is expected of it."""
        return relative(self.forecast(model), expected)
