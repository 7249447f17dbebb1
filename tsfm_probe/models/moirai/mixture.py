"""The mixture that Moirai 1.1 forecasts: what its parts are, drawing from it, its density."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor, distributions
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Component(ABC):
    """One distribution of the mixture, for values that are scaled to mean 0 and deviation 1.

    Subclasses have one tensor for each parameter, all of one shape.
    """

    projected: ClassVar[tuple[str, ...]]
    """The parameters that the network gives."""

    @classmethod
    @abstractmethod
    def of(cls, raw: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Component":
        """From unbounded parameters; settings: the distribution's entry in config.json."""

    @property
    @abstractmethod
    def centre(self) -> Tensor:
        """Where the distribution lies: the location of a symmetric one, a median or a mean."""

    @abstractmethod
    def inverse(self, uniform: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
        """The inverse of the distribution function at places `at` of the parameters."""

    @abstractmethod
    def log_density(self, value: Tensor) -> Tensor:
        """The log of the density, -inf outside the support."""


def _at(parameter: Tensor, at: tuple[np.ndarray, ...]) -> np.ndarray:
    return parameter.double().cpu().numpy()[at]


def _positive(raw: Tensor) -> Tensor:
    return functional.softplus(raw).clamp_min(torch.finfo(raw.dtype).eps)


@dataclass(frozen=True, eq=False)
class StudentT(Component):
    """Student's t with at least two degrees of freedom."""

    projected = ("df", "loc", "scale")
    df: Tensor
    loc: Tensor
    scale: Tensor

    @classmethod
    def of(cls, raw: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "StudentT":
        return cls(2 + functional.softplus(raw["df"]), raw["loc"], _positive(raw["scale"]))

    @property
    def centre(self) -> Tensor:
        return self.loc

    def inverse(self, uniform: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
        unit = special.stdtrit(_at(self.df, at), uniform)
        return _at(self.loc, at) + _at(self.scale, at) * unit

    def log_density(self, value: Tensor) -> Tensor:
        own = distributions.StudentT(self.df, self.loc, self.scale, validate_args=False)
        return own.log_prob(value)


@dataclass(frozen=True, eq=False)
class Normal(Component):
    """A normal distribution whose deviation stands in config.json."""

    projected = ("loc",)
    loc: Tensor
    scale: Tensor

    @classmethod
    def of(cls, raw: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "Normal":
        return cls(raw["loc"], torch.full_like(raw["loc"], settings.get("scale", 1e-3)))

    @property
    def centre(self) -> Tensor:
        return self.loc

    def inverse(self, uniform: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
        return _at(self.loc, at) + _at(self.scale, at) * special.ndtri(uniform)

    def log_density(self, value: Tensor) -> Tensor:
        return distributions.Normal(self.loc, self.scale, validate_args=False).log_prob(value)


@dataclass(frozen=True, eq=False)
class LogNormal(Component):
    """The exponential of a normal distribution."""

    projected = ("loc", "scale")
    loc: Tensor
    scale: Tensor

    @classmethod
    def of(cls, raw: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "LogNormal":
        return cls(raw["loc"], _positive(raw["scale"]))

    @property
    def centre(self) -> Tensor:
        return self.loc.exp()

    def inverse(self, uniform: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.exp(_at(self.loc, at) + _at(self.scale, at) * special.ndtri(uniform))

    def log_density(self, value: Tensor) -> Tensor:
        inside = torch.where(value > 0, value, 1.0)
        own = distributions.LogNormal(self.loc, self.scale, validate_args=False)
        return torch.where(value > 0, own.log_prob(inside), -torch.inf)


@dataclass(frozen=True, eq=False)
class NegativeBinomial(Component):
    """A Poisson whose rate is Gamma: shape `total_count`, mean `total_count` * exp(logits).

    Its log density is read between whole numbers too, as upstream reads it.
    """

    projected = ("total_count", "logits")
    total_count: Tensor
    logits: Tensor

    @classmethod
    def of(cls, raw: Mapping[str, Tensor], settings: Mapping[str, Any]) -> "NegativeBinomial":
        count = functional.softplus(raw["total_count"])
        return cls(count.clamp_min(torch.finfo(count.dtype).tiny), raw["logits"])

    @property
    def centre(self) -> Tensor:
        return self.total_count * self.logits.exp()

    def inverse(self, uniform: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
        chance = special.expit(-_at(self.logits, at))
        return stats.nbinom.ppf(uniform, _at(self.total_count, at), chance)

    def log_density(self, value: Tensor) -> Tensor:
        count, inside = self.total_count, torch.where(value >= 0, value, 0.0)
        ways = torch.lgamma(inside + count) - torch.lgamma(1 + inside) - torch.lgamma(count)
        found = ways + count * functional.logsigmoid(-self.logits)
        found = found + inside * functional.logsigmoid(self.logits)
        return torch.where(value >= 0, found, -torch.inf)


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture for each series and step, in units of the series.

    logits: [series, step, component]. components: parameters [series, step].
    loc, scale: [series, step], by which values are scaled back.
    """

    logits: Tensor
    components: Sequence[Component]
    loc: Tensor
    scale: Tensor

    @property
    def centre(self) -> Tensor:
        """The chance-weighted mean of the components' centres [series, step], not scaled back."""
        centres = torch.stack([one.centre for one in self.components], dim=-1)
        return (self.logits.softmax(-1) * centres).sum(-1)

    def inverse(self, choice: Tensor, uniform: Tensor) -> Tensor:
        """Values [series, sample, step] in fp64 from uniform numbers of this shape on (0, 1).

        choice: which component is drawn from, by the distribution function of their chances.
        uniform: where, by the inverse of the component's own.
        """
        risen = self.logits.double().softmax(-1).cumsum(-1)[..., :-1].cpu().numpy()
        chosen = (choice.numpy()[..., None] >= risen[:, None]).sum(-1)
        values = np.empty(chosen.shape)
        for index, component in enumerate(self.components):
            series, sample, step = places = np.nonzero(chosen == index)
            values[series, sample, step] = component.inverse(
                uniform.numpy()[places], (series, step)
            )
        scaled = torch.from_numpy(values)
        return scaled * self.scale[:, None].double().cpu() + self.loc[:, None].double().cpu()

    def log_density(self, value: Tensor) -> Tensor:
        """The log of the density at values [series, step]."""
        scaled = (value - self.loc) / self.scale
        parts = torch.stack([one.log_density(scaled) for one in self.components], dim=-1)
        return (self.logits.log_softmax(-1) + parts).logsumexp(-1) - self.scale.log()


TARGETS: dict[str, type[Component]] = {
    "uni2ts.distribution.student_t.StudentTOutput": StudentT,
    "uni2ts.distribution.normal.NormalFixedScaleOutput": Normal,
    "uni2ts.distribution.negative_binomial.NegativeBinomialOutput": NegativeBinomial,
    "uni2ts.distribution.log_normal.LogNormalOutput": LogNormal,
}
MIXTURE = "uni2ts.distribution.mixture.MixtureOutput"


def parts_of(config: Mapping[str, Any]) -> list[tuple[type[Component], Mapping[str, Any]]]:
    """The components that `distr_output` of config.json names, each with its entry.

    Names are only looked up in TARGETS, nothing is imported by them; ValueError for any other.
    """
    entries = config["components"] if config["_target_"] == MIXTURE else []
    unknown = {one["_target_"] for one in entries} - TARGETS.keys()
    if unknown or not entries:
        named = ", ".join(sorted(unknown)) or config["_target_"]
        raise ValueError(f"distr_output {named} is none of the published ones")
    deviations = [one["scale"] for one in entries if "scale" in one]
    if any(type(one) not in (int, float) or not 0 < one < np.inf for one in deviations):
        raise ValueError(f"distr_output has a scale of {deviations}, not positive numbers")
    return [(TARGETS[one["_target_"]], one) for one in entries]
