"""How a prediction of Toto 1.0 is read: what the next patch of each series may be."""

import torch
from einops import rearrange
from torch import Tensor

from tsfm_probe.models.reading import Mixtures
from tsfm_probe.models.toto_1.mixture import Mixture
from tsfm_probe.models.toto_1.network import Toto1Network
from tsfm_probe.models.toto_1.scaler import Scale


def reading(net: Toto1Network, scale: Scale) -> Mixtures:
    """The mixtures of a prediction [series, 1, (step d)], with the last scale of each series.

    The maps from it to the mixtures are the network's own; none of its layers runs.
    """
    like = next(net.parameters())

    def mixture(prediction: Tensor) -> Mixture:
        return net.mixture(prediction[None].to(like), net.shape.patch)

    def density(prediction: Tensor, truth: Tensor) -> Tensor:
        value = scale.normalised(truth.cpu()).to(prediction.device)
        unit = scale.spread.log()[:, None].to(prediction.device)
        return mixture(prediction).log_density(value)[0] - unit

    @torch.no_grad()
    def drawn(prediction: Tensor, choice: Tensor, place: Tensor) -> Tensor:
        each = (rearrange(one, "sample -> sample 1 1") for one in (choice, place))
        values = moderate(scale.restored(mixture(prediction).drawn(*each)))
        return rearrange(values, "sample series step -> series step sample")

    return Mixtures(lambda one: mixture(one).mean[0], density, drawn, net.shape.patch)


def moderate(values: Tensor) -> Tensor:
    """Zero in place of what is beyond half the range of fp32, as upstream has it.

    Upstream has it in place of what is no number, too: a broken network would forecast zeros.
    """
    return values.masked_fill(values.abs() >= torch.finfo(torch.float32).max / 2, 0.0)
