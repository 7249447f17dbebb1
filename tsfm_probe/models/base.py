"""The contract of a model: it forecasts, and it exposes its anatomy."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tsfm_probe.anatomy import Anatomy
from tsfm_probe.data.series import Forecast
from tsfm_probe.errors import UsageError
from tsfm_probe.models.cut.body import Body
from tsfm_probe.models.cut.kept import Kept, tell
from tsfm_probe.models.passes import Pass
from tsfm_probe.models.reading import Reading
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import Span

ACROSS = ("group", "variate", "any")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Tokens that a network both reads and predicts.

    embedding, unembedding: [token, d]. gain: [d], of the norm in front of the unembedding.
    """

    embedding: Tensor
    unembedding: Tensor
    gain: Tensor


class Model(ABC):
    """A loaded forecaster. One subclass per family declares where things are.

    name: how the user asked for it.
    source: the folder it was loaded from, with revision and weight hash.
    net: the network, in eval mode, eager.
    anatomy: where its parts are.
    """

    family: ClassVar[str]
    encoding_stacks: ClassVar[frozenset[str]]
    """Stacks that run in `encode` alone: edits elsewhere may reuse an encoded state."""
    draws_samples: ClassVar[bool]
    """Whether a forecast depends on `seed` and `samples`."""
    linear_readout: ClassVar[bool]
    """Whether the readout is linear without a bias, so that effects sum to the prediction."""
    body: ClassVar[Body | None] = None
    """How its networks are made smaller, where that is told."""
    kept: Kept = Kept()
    """What is left of the network that its config describes."""
    notice: ClassVar[str] = ""
    """What is said when a checkpoint of the family is loaded: a licence that forbids something."""

    def __init__(self, name: str, source: Source, net: Any, anatomy: Anatomy) -> None:
        self.name = name
        self.source = source
        self.net = net
        self.anatomy = anatomy

    @classmethod
    @abstractmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "Model":
        """Read a checkpoint strictly; ModelError if it does not fit."""

    @property
    @abstractmethod
    def context_length(self) -> int:
        """Most values of a context that the network reads."""

    @property
    def default_samples(self) -> int:
        """Sample paths per forecast when none are asked for; 1 where nothing is drawn."""
        return 1

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens that are read and predicted; None where patches of values are."""
        return None

    @property
    def joint(self) -> bool:
        """Whether several series can be forecast jointly: some attention reads across them."""
        return any(at.part in ACROSS for at in self.anatomy.parts)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.net.parameters()).device

    @property
    def parameters(self) -> int:
        """How many weights the network has, shared ones counted once."""
        return sum(weight.numel() for weight in self.net.parameters())

    @abstractmethod
    def encode(self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None) -> Any:
        """Everything of a forecast that depends on the contexts and `encoding_stacks` alone.

        contexts: one [time] array per series, NaN where missing, of any lengths; the last values
        of all of them stand at the same time.
        groups: [series] numbers; series of equal number are forecast jointly, where `joint` says
        that they can be. None: each on its own.
        """

    @abstractmethod
    def decode(self, state: Any, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        """The forecast from what `encode` gave, which is left as it was.

        samples: sample paths per series; 0 means `default_samples`; ignored where
        `draws_samples` is False.
        """

    def forecast(
        self,
        contexts: Sequence[np.ndarray],
        horizon: int,
        seed: int = 0,
        samples: int = 0,
        groups: Sequence[int] | None = None,
    ) -> Forecast:
        """Quantile forecasts [series, horizon, level] of any horizon, at levels 0.1 to 0.9.

        Each depends on its own context (and those of its group), seed and samples alone (up to
        rounding): not on batch size, neighbours or order. groups: see `encode`.
        Raises UsageError for what cannot be forecast.
        """
        _refuse(contexts, horizon, seed, samples)
        if groups is not None:
            self._refuse_groups(contexts, groups)
            numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
            groups = [numbers[group] for group in groups]
        return self.decode(self.encode(contexts, groups), horizon, seed, samples)

    def _refuse_groups(self, contexts: Sequence[np.ndarray], groups: Sequence[int]) -> None:
        if not self.joint:
            raise UsageError(
                f"a joint forecast by {self.name}", f"{self.family} reads each series on its own"
            )
        if len(groups) != len(contexts):
            raise UsageError(
                f"a joint forecast of {len(contexts)} series",
                f"{len(groups)} numbers of groups",
                "one for each series",
            )

    @abstractmethod
    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        """The first prediction, as `anatomy.output` gives it, in one pass with gradients.

        Every edit of a forecast reaches it, so that its derivative is that of the network. Where
        one pass can reach several horizons, it reaches at least this one.
        """

    def taught(self, contexts: Sequence[np.ndarray], path: np.ndarray) -> Tensor:
        """The predictions that follow when a path [series, step] is read, with gradients.

        Those of one pass, if the family does not say that it reads the path as it goes.
        """
        return self.predict(contexts, path.shape[1])

    @abstractmethod
    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Reading:
        """How the prediction of `predict` is read; rows are the series."""

    @abstractmethod
    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        """What the tokens of a stack stand for in the first pass of `trace`, in order.

        length: values of each context. A decoder that runs token by token: all its tokens up to the
        native length.
        """

    @torch.no_grad()
    def trace(
        self, contexts: Sequence[np.ndarray], horizon: int, path: np.ndarray | None = None
    ) -> Iterator[Pass]:
        """Forecast pass by pass along one path, on which nothing is drawn.

        Each pass reads the contexts followed by the path so far. path: [series, horizon] values;
        None: the medians of the passes themselves.
        """
        first, known = 0, [np.asarray(one, dtype=np.float64) for one in contexts]
        while first < horizon:
            made = self.predict(known, horizon - first)
            if "variate" in self.anatomy.reads.axes:
                made = made.flatten(0, 1)
            one = Pass(first, horizon, made, self.reading(known, horizon - first))
            yield one
            stop = first + one.steps
            read = one.median() if path is None else path[:, first:stop]
            known = [np.append(old, new) for old, new in zip(known, read, strict=True)]
            first = stop

    @abstractmethod
    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        """The map from a part of the final stream to the prediction, before it is scaled back.

        stream: [batch, time, d] the full final stream, at which the final norm's scale is frozen.
        The map takes [batch, time, d] and gives the prediction as `anatomy.output` does.
        """

    @abstractmethod
    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        """Multiply-adds of one series' forecast in weight matrices, for an estimate of cost."""

    def deviation_from_upstream(self, contexts: Sequence[np.ndarray], horizon: int) -> float | None:
        """Largest difference from the upstream library's forecast, over the forecasts' scale.

        Families that draw samples compare the most probable path, so that nothing is random.
        None where the network is our own: tests compare it with forecasts that upstream made.
        """
        return None

    def save(self, folder: Path) -> None:
        """Write the network in the published format: config.json and model.safetensors."""
        self.net.save_pretrained(folder)
        tell(folder / "config.json", self.kept)


def _refuse(contexts: Sequence[np.ndarray], horizon: int, seed: int, samples: int) -> None:
    if not len(contexts) or any(np.ndim(one) != 1 or not len(one) for one in contexts):
        raise UsageError(
            "a forecast", "no context, or one without values", "one [time] array for each series"
        )
    if any(np.isinf(one).any() for one in contexts):
        raise UsageError("a forecast", "an infinite value in a context", "NaN where one is missing")
    for name, number, least in (
        ("horizon", horizon, 1),
        ("seed", seed, 0),
        ("samples", samples, 0),
    ):
        if number < least:
            raise UsageError(f"{name} {number} was asked for", allowed=f"{least} or more")


def left_padded(contexts: Sequence[np.ndarray], length: int) -> Tensor:
    """Contexts as one batch [series, time], fp32: the last `length` values, NaN on the left."""
    kept = [np.asarray(context, dtype=np.float64)[-length:] for context in contexts]
    batch = np.full((len(kept), max(len(one) for one in kept)), np.nan, dtype=np.float32)
    for row, one in zip(batch, kept, strict=True):
        row[len(row) - len(one) :] = one
    return torch.from_numpy(batch)
