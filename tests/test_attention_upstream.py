"""Attention that is read off the Chronos networks is what their own library gives."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.families import contexts
from tsfm_probe.address import Address
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.surgery.attention import attention

Tiny = Callable[[str], Model]
Maps = dict[Address, list[Tensor]]
GROUPS = [0, 1, 0, 2, 1]


def of_all_heads(maps: Maps, part: str, run: int = 0) -> Tensor:
    """The maps of one attention as upstream gives them: [row, head, query, key]."""
    heads = [head for head in sorted(maps) if str(head.whole) == part]
    return torch.stack([maps[head][run] for head in heads], dim=1)


def test_chronos_t5_attends_as_upstream_says(tiny: Tiny) -> None:
    model: Any = tiny("chronos-t5")
    tokens: list[Tensor] = []
    hook = model.net.shared.register_forward_pre_hook(lambda _, given: tokens.append(given[0]))
    list(model.trace(contexts(), 6))
    hook.remove()
    maps = attention(
        model.anatomy, model.anatomy.attentions, lambda: list(model.trace(contexts(), 6))
    )
    model.net.set_attn_implementation("eager")
    tokenizer = model.config.create_tokenizer()
    ids, mask, _ = tokenizer.context_input_transform(left_padded(contexts(), 48))
    path = torch.stack([one.flatten() for one in tokens if one.numel() == len(ids)], dim=1)
    theirs = model.net(
        input_ids=ids, attention_mask=mask, decoder_input_ids=path, output_attentions=True
    )
    assert path.shape[1] == len(maps[Address("decoder", 0, "self", 0)]) == 6
    for layer in range(2):
        found = of_all_heads(maps, f"encoder.{layer}.self")
        torch.testing.assert_close(found, theirs.encoder_attentions[layer], rtol=0, atol=1e-5)
        for step in range(6):
            crossing = theirs.cross_attentions[layer][:, :, step, None]
            found = of_all_heads(maps, f"decoder.{layer}.cross", step)
            torch.testing.assert_close(found, crossing, rtol=0, atol=1e-5)
            own = theirs.decoder_attentions[layer][:, :, step, None, : step + 1]
            found = of_all_heads(maps, f"decoder.{layer}.self", step)
            torch.testing.assert_close(found, own, rtol=0, atol=1e-5)


def test_chronos_bolt_attends_as_upstream_says(tiny: Tiny) -> None:
    model, asked = tiny("chronos-bolt"), dict[str, dict[str, Any]]()
    stacks = {"encoder": model.net.encoder, "decoder": model.net.decoder}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, words: asked.__setitem__(name, words)

    handles = [
        stack.register_forward_pre_hook(keep(name), with_kwargs=True)
        for name, stack in stacks.items()
    ]
    model.predict(contexts())
    for handle in handles:
        handle.remove()
    maps = attention(model.anatomy, model.anatomy.attentions, lambda: model.predict(contexts()))
    model.net.set_attn_implementation("eager")
    theirs = {
        name: stack(**(asked[name] | {"output_attentions": True, "return_dict": True}))
        for name, stack in stacks.items()
    }
    for layer in range(2):
        for part, expected in (
            (f"encoder.{layer}.self", theirs["encoder"].attentions),
            (f"decoder.{layer}.self", theirs["decoder"].attentions),
            (f"decoder.{layer}.cross", theirs["decoder"].cross_attentions),
        ):
            found = of_all_heads(maps, part)
            torch.testing.assert_close(found, expected[layer], rtol=0, atol=1e-5)


def test_chronos_2_attends_as_upstream_says(tiny: Tiny) -> None:
    model, padded = tiny("chronos-2"), left_padded(contexts(), 48)
    asked = {"group_ids": torch.tensor(GROUPS), "num_output_patches": 2}
    maps = attention(model.anatomy, model.anatomy.attentions, lambda: model.net(padded, **asked))
    with torch.no_grad():
        theirs = model.net(padded, **asked, output_attentions=True)
    for layer in range(2):
        for part, expected in (
            ("time", theirs.enc_time_self_attn_weights),
            ("group", theirs.enc_group_self_attn_weights),
        ):
            found = of_all_heads(maps, f"encoder.{layer}.{part}")
            torch.testing.assert_close(found, expected[layer], rtol=0, atol=1e-5)
