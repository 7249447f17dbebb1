"""The transformer of Moirai (Woo et al. 2024, arXiv 2402.02592): any-variate attention."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

HEAD_DIM = 64
EPSILON = 1e-5


def whole(value: Any, name: str) -> int:
    """A size that config.json tells; ValueError if it is no positive whole number."""
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} {value!r} is no positive whole number")
    return value


def refuse_unusable(config: Mapping[str, Any]) -> None:
    """ValueError or KeyError for what both networks read of config.json and cannot use."""
    for name in ("d_model", "num_layers", "max_seq_len"):
        whole(config[name], name)
    if config.get("scaling", True) is not True:
        raise ValueError(f"scaling {config['scaling']!r}, which no published network has")


def rates(device: torch.device) -> Tensor:
    """By how much each pair of a head's first half is turned from one time to the next."""
    return 1e4 ** (-torch.arange(0, HEAD_DIM // 2, 2, device=device) / (HEAD_DIM // 2))


@dataclass(frozen=True, eq=False)
class Relations:
    """How the tokens of a row stand to each other.

    cosine, sine: [row, 1, token, angle] of the rotation that tells a token's time.
    same: [row, token, token], whether two tokens belong to one variate.
    seen: [row, 1, token, token], whether the first attends to the second.
    """

    cosine: Tensor
    sine: Tensor
    same: Tensor
    seen: Tensor

    @classmethod
    def of(cls, time: Tensor, variate: Tensor, real: Tensor, causal: bool) -> "Relations":
        """The relations of tokens of these times, variates and padding: [row, token] each.

        Padding and real tokens never attend to each other. causal: none attends to a later one.
        """
        angle = rearrange(time, "row token -> row 1 token 1") * rates(time.device)
        seen = real[:, :, None] == real[:, None, :]
        if causal:
            seen = seen & (time[:, :, None] >= time[:, None, :])
        same = variate[:, :, None] == variate[:, None, :]
        return cls(angle.cos(), angle.sin(), same, seen[:, None])


class VariateBias(nn.Module):
    """One number per head for tokens of one variate, and one for tokens of two."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(2, heads)

    def forward(self, same: Tensor) -> Tensor:
        """What is added to the scores: [row, head, token, token]."""
        other, own = rearrange(self.emb.weight, "same head -> same 1 head 1 1")
        return torch.where(same[:, None], own, other)


class Attention(nn.Module):
    """Each token attends to the tokens of all variates, without any dropout."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.var_attn_bias = VariateBias(heads)
        self.q_proj = nn.Linear(d_model, d_model, bias=False)
        self.k_proj = nn.Linear(d_model, d_model, bias=False)
        self.v_proj = nn.Linear(d_model, d_model, bias=False)
        self.q_norm = nn.RMSNorm(d_model // heads, EPSILON)
        self.k_norm = nn.RMSNorm(d_model // heads, EPSILON)
        self.out_proj = nn.Linear(d_model, d_model, bias=False)

    def forward(self, stream: Tensor, relations: Relations) -> Tensor:
        """What is added to the stream [row, token, d]."""
        query = rotated(self.q_norm(self._heads(self.q_proj(stream))), relations)
        key = rotated(self.k_norm(self._heads(self.k_proj(stream))), relations)
        value = self._heads(self.v_proj(stream))
        bias = self.var_attn_bias(relations.same).masked_fill_(~relations.seen, -torch.inf)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.out_proj(rearrange(mixed, "row head token d -> row token (head d)"))

    def _heads(self, made: Tensor) -> Tensor:
        return rearrange(made, "row token (head d) -> row head token d", head=self.heads)


def rotated(value: Tensor, relations: Relations) -> Tensor:
    """Neighbouring pairs of the first half of each head turned by time (Su et al. 2021)."""
    turned, kept = value.chunk(2, dim=-1)
    one, two = turned[..., 0::2], turned[..., 1::2]
    cosine, sine = relations.cosine.to(value), relations.sine.to(value)
    pairs = torch.stack([one * cosine - two * sine, two * cosine + one * sine], dim=-1)
    return torch.cat([rearrange(pairs, "... angle pair -> ... (angle pair)"), kept], dim=-1)


class GatedFeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(d_model, d_ff, bias=False)
        self.fc_gate = nn.Linear(d_model, d_ff, bias=False)
        self.fc2 = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, stream: Tensor) -> Tensor:
        """What is added to the stream [row, token, d]."""
        return self.fc2(functional.silu(self.fc_gate(stream)) * self.fc1(stream))


class Layer(nn.Module):
    """Attention and MLP, each behind its norm."""

    def __init__(self, d_model: int, d_ff: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(d_model, EPSILON)
        self.self_attn = Attention(d_model, heads)
        self.norm2 = nn.RMSNorm(d_model, EPSILON)
        self.ffn = GatedFeedForward(d_model, d_ff)

    def forward(self, stream: Tensor, relations: Relations) -> Tensor:
        """The stream [row, token, d] after the layer."""
        stream = stream + self.self_attn(self.norm1(stream), relations)
        return stream + self.ffn(self.norm2(stream))


class Encoder(nn.Module):
    """Layers and a final norm; `causal` is what makes it a decoder.

    Raises ValueError if the width is no multiple of the number of heads, which is one for every
    64 columns.
    """

    def __init__(self, d_model: int, d_ff: int, layers: int, causal: bool) -> None:
        super().__init__()
        heads = d_model // HEAD_DIM
        if not heads or d_model % HEAD_DIM or layers < 1 or d_ff < 1:
            raise ValueError(f"d_model {d_model}, d_ff {d_ff} and num_layers {layers} do not fit")
        self.causal = causal
        self.layers = nn.ModuleList(Layer(d_model, d_ff, heads) for _ in range(layers))
        self.norm = nn.RMSNorm(d_model, EPSILON)

    def forward(self, stream: Tensor, time: Tensor, real: Tensor) -> Tensor:
        """The final stream [row, token, d], normed, of one embedded [row, time, variate, d].

        time, real: [row, time] of the patches. Tokens of one time stand side by side.
        """
        variates = stream.shape[2]
        place = torch.arange(variates, device=stream.device)
        relations = Relations.of(
            repeat(time, "row time -> row (time variate)", variate=variates),
            repeat(place, "variate -> row (time variate)", row=len(time), time=time.shape[1]),
            repeat(real, "row time -> row (time variate)", variate=variates),
            self.causal,
        )
        stream = rearrange(stream, "row time variate d -> row (time variate) d")
        for layer in self.layers:
            stream = layer(stream, relations)
        return self.norm(stream)
