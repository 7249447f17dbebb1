"""The network of Moirai 1.1-R (Woo et al. 2024, arXiv 2402.02592): patches of several sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from tsfm_probe.models.moirai.encoder import Encoder, refuse_unusable, whole
from tsfm_probe.models.moirai.mixture import Mixture, parts_of
from tsfm_probe.models.moirai.tokens import Tokens
from tsfm_probe.models.own import OwnNetwork


class SizedInput(nn.Module):
    """A linear map from patches for each patch size; unused columns are padded."""

    def __init__(self, sizes: Sequence[int], d_model: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.weight = nn.Parameter(torch.zeros(len(sizes), d_model, max(sizes)))
        self.bias = nn.Parameter(torch.zeros(len(sizes), d_model))

    def start(self) -> None:
        """Draw the weights of each patch size by their number."""
        for index, size in enumerate(self.sizes):
            nn.init.uniform_(self.weight[index, :, :size], -(size**-0.5), size**-0.5)

    def forward(self, patches: Tensor) -> Tensor:
        """[..., d] from patches [..., patch] of one of the sizes."""
        size = patches.shape[-1]
        index = self.sizes.index(size)
        return functional.linear(patches, self.weight[index, :, :size], self.bias[index])


class SizedOutput(nn.Module):
    """A linear map to `count` numbers for each value of a patch, for each patch size.

    The rows of a map belong to (number, value) with room for the longest patch, and only the first
    `count` * patch rows have weights: in shorter patches most numbers have a bias alone. So the
    published networks were trained.
    """

    def __init__(self, sizes: Sequence[int], d_model: int, count: int) -> None:
        super().__init__()
        self.sizes, self.count = sizes, count
        self.weight = nn.Parameter(torch.zeros(len(sizes), count * max(sizes), d_model))
        self.bias = nn.Parameter(torch.zeros(len(sizes), count * max(sizes)))

    def start(self) -> None:
        """Draw the weights by the width of the stream."""
        most = self.weight.shape[-1] ** -0.5
        nn.init.uniform_(self.weight, -most, most)

    def forward(self, stream: Tensor, size: int) -> Tensor:
        """[row, token, (number value)] from [row, token, d]."""
        index = self.sizes.index(size)
        every = torch.arange(self.bias.shape[1], device=stream.device)
        rows = rearrange(every, "(number value) -> number value", number=self.count)
        rows = rows[:, :size].flatten()
        weight = self.weight[index, rows] * (rows < self.count * size)[:, None]
        return functional.linear(stream, weight, self.bias[index, rows])


class ParameterProjection(nn.Module):
    """The unbounded parameters of the mixture for each value of a token's patch.

    They are laid out as (parameter value): the logits of the components, then the parameters of
    each component. A call without a size takes the usual one.
    """

    def __init__(
        self, sizes: Sequence[int], d_model: int, names: Sequence[tuple[str, ...]], usual: int
    ) -> None:
        super().__init__()
        components = [
            nn.ModuleDict({name: SizedOutput(sizes, d_model, 1) for name in own}) for own in names
        ]
        logits = SizedOutput(sizes, d_model, len(names))
        self.proj = nn.ModuleDict(
            {"weights_logits": logits, "components": nn.ModuleList(components)}
        )
        self.usual = usual
        self.maps = [logits, *(one for own in components for one in own.values())]

    def forward(self, stream: Tensor, size: int = 0) -> Tensor:
        """[row, token, (parameter value)] from the normed stream [row, token, d]."""
        return torch.cat([one(stream, size or self.usual) for one in self.maps], dim=-1)


class Network1(OwnNetwork):
    """The network of Moirai 1.1-R with the weight names of the published one."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        refuse_unusable(config)
        d_model = config["d_model"]
        self.sizes = [whole(one, "a patch size") for one in config["patch_sizes"]]
        if not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise ValueError(f"patch_sizes {self.sizes} are none, or some are equal")
        self.usual = sorted(self.sizes)[len(self.sizes) // 2]
        self.parts = parts_of(config["distr_output"])
        d_ff = (8 * d_model // 3 + 7) // 8 * 8
        self.mask_encoding = nn.Embedding(1, d_model)
        self.in_proj = SizedInput(self.sizes, d_model)
        self.encoder = Encoder(d_model, d_ff, config["num_layers"], causal=False)
        names = [part.projected for part, _ in self.parts]
        self.param_proj = ParameterProjection(self.sizes, d_model, names, self.usual)

    def forward(self, tokens: Tokens, ahead: int) -> Tensor:
        """What follows: [row, (time variate), (parameter value)] of `ahead` masked patches."""
        rows, _, variates, size = tokens.values.shape
        unknown = tokens.values.new_zeros(rows, ahead, variates, size)
        whole = tokens.followed_by(unknown, observed=False)
        embedded = self.in_proj(tokens.scaled.to(self.in_proj.weight.dtype))
        mask = repeat(
            self.mask_encoding.weight,
            "1 d -> row time variate d",
            row=rows,
            time=ahead,
            variate=variates,
        )
        stream = self.encoder(torch.cat([embedded, mask], dim=1), whole.time, whole.real)
        return self.param_proj(stream[:, -ahead * variates :], size)

    def start(self) -> None:
        """Maps of each patch size as torch starts linear ones: uniform up to inputs ** -0.5."""
        for module in self.modules():
            if isinstance(module, SizedInput | SizedOutput):
                module.start()

    def mixture(self, tokens: Tokens, horizon: int) -> Mixture:
        """The forecast of `horizon` steps of [(row variate)] series."""
        size = tokens.values.shape[-1]
        return self.read(self(tokens, -(-horizon // size)), tokens, horizon)

    def read(self, prediction: Tensor, tokens: Tokens, horizon: int) -> Mixture:
        """The mixture of the first `horizon` steps of what `forward` gave for these tokens."""
        _, _, variates, size = tokens.values.shape
        raw = rearrange(
            prediction.float(),
            "row (time variate) (parameter value) -> parameter (row variate) (time value)",
            variate=variates,
            value=size,
        )[..., :horizon]
        given = iter(raw[len(self.parts) :])
        components = [
            part.of({name: next(given) for name in part.projected}, settings)
            for part, settings in self.parts
        ]
        loc, scale = (
            repeat(one, "row 1 variate 1 -> (row variate) time", time=horizon)
            for one in (tokens.loc, tokens.scale)
        )
        logits = rearrange(raw[: len(self.parts)], "component series time -> series time component")
        return Mixture(logits, components, loc, scale)
