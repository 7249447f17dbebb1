"""Cutting the networks of our own: Toto 1.0, Toto 2.0, Moirai."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tsfm_probe.address import Address
from tsfm_probe.models.cut.body import Body, Hidden, Silent


class Toto1Body(Body):
    """The layers of a Toto 1.0, whose config.json tells where attention reads across series."""

    def hidden(self, net: Any, at: Address) -> Hidden:
        mlp = net.model.transformer.layers[at.layer].mlp
        return Hidden((mlp[0],), mlp[2], blocks=2)

    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        net.model.transformer.layers[at.layer].attention.heads = len(left)

    def silence(self, net: Any, at: Address) -> None:
        name = "mlp" if at.part == "mlp" else "attention"
        setattr(net.model.transformer.layers[at.layer], name, Silent())


class Toto2Body(Body):
    """The layers of a Toto 2.0, each of which sets the unit of the stream for those behind it."""

    def hidden(self, net: Any, at: Address) -> Hidden:
        mlp = net.transformer.layers[at.layer].ffn
        return Hidden((mlp.fc1,), mlp.fc2, blocks=2)

    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        attention = net.transformer.layers[at.layer].attn
        own = attention.shape
        attention.shape = replace(
            own, num_heads=len(left), num_groups=groups, qk_dim=own.query, v_dim=own.value
        )

    def silence(self, net: Any, at: Address) -> None:
        name = "ffn" if at.part == "mlp" else "attn"
        setattr(net.transformer.layers[at.layer], name, Silent())


class MoiraiBody(Body):
    """The encoder (or decoder) of a Moirai."""

    def layers(self, net: Any, stack: str) -> Any:
        return net.encoder.layers

    def recount(self, net: Any, stack: str) -> None:
        net.config["num_layers"] = len(net.encoder.layers)

    def hidden(self, net: Any, at: Address) -> Hidden:
        mlp = net.encoder.layers[at.layer].ffn
        return Hidden((mlp.fc1, mlp.fc_gate), mlp.fc2)

    def count(self, net: Any, at: Address, left: Sequence[int], groups: int) -> None:
        attention = net.encoder.layers[at.layer].self_attn
        attention.heads = len(left)
        bias = attention.var_attn_bias.emb
        places = torch.tensor(left, device=bias.weight.device)
        bias.weight = nn.Parameter(bias.weight.detach().index_select(1, places).clone())
        bias.embedding_dim = len(left)

    def silence(self, net: Any, at: Address) -> None:
        name = "ffn" if at.part == "mlp" else "self_attn"
        setattr(net.encoder.layers[at.layer], name, Silent())
