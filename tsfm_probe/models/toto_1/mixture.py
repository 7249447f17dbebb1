"""The forecast of one step: a mixture of Student-t distributions."""

from dataclasses import dataclass

import torch
from scipy.special import stdtrit
from torch import Tensor, distributions, nn
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Mixture:
    """Mixtures of Student-t distributions, each field [..., component].

    freedom: degrees of freedom. location, spread: of each component. weight: sums to one.
    """

    freedom: Tensor
    location: Tensor
    spread: Tensor
    weight: Tensor

    @property
    def mean(self) -> Tensor:
        """Their means [...]; the degrees of freedom are above two, so that there is one."""
        return (self.weight * self.location).sum(-1)

    def log_density(self, value: Tensor) -> Tensor:
        """The log of their densities at values [...]."""
        parts = distributions.StudentT(
            self.freedom, self.location, self.spread, validate_args=False
        ).log_prob(value[..., None])
        smallest = torch.finfo(self.weight.dtype).tiny
        return (self.weight.clamp_min(smallest).log() + parts).logsumexp(-1)

    def drawn(self, choice: Tensor, place: Tensor) -> Tensor:
        """One value of each mixture, fp64 on the CPU, from two uniform numbers.

        Both broadcast to the mixtures.
        choice: inverts the distribution function over components.
        place: inverts the distribution function of the component.
        """
        risen = self.weight.cpu().double().cumsum(-1)
        passed = risen <= choice[..., None] * risen[..., -1:]
        component = passed.sum(-1, keepdim=True).clamp_max(risen.shape[-1] - 1)
        freedom, location, spread = (
            torch.take_along_dim(field.cpu().double(), component, dim=-1)[..., 0]
            for field in (self.freedom, self.location, self.spread)
        )
        drawn = location + spread * torch.from_numpy(stdtrit(freedom.numpy(), place.numpy()))
        return drawn.masked_fill(risen[..., -1].isnan(), torch.nan)


class MixtureOutput(nn.Module):
    """From the embedding of a step [..., d] to its mixture, under the published weight names."""

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.df = nn.Linear(width, components)
        self.loc_proj = nn.Linear(width, components)
        self.scale_proj = nn.Linear(width, components)
        self.mixture_weights = nn.Linear(width, components)

    def forward(self, step: Tensor) -> Mixture:
        smallest = torch.finfo(step.dtype).eps
        return Mixture(
            2 + functional.softplus(self.df(step)).clamp_min(smallest),
            self.loc_proj(step),
            functional.softplus(self.scale_proj(step)).clamp_min(smallest),
            self.mixture_weights(step).softmax(-1),
        )
