"""What is forecast, by us and by an upstream library."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Case:
    """Contexts ([time] each), a horizon, and which series are forecast jointly."""

    contexts: Sequence[np.ndarray]
    horizon: int
    groups: Sequence[int] | None = None
