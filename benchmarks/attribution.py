"""How fast the effects of all heads are against the plain way that a user would write.

    python benchmarks/attribution.py [--windows 64] [--horizon 24] [--alone 2] [--threads 1]

Both tell, for the same random network of the shape of chronos-t5-small, what each head of the
decoder adds to the logit of the most probable bin at each step of a forecast along its medians. The
plain way runs the network of transformers with its cache, has one hook for each head, and reads the
logits once for each head, without what it wrote, with the norm frozen at the full stream: for all
heads in one run, and with a run for each head alone, which is measured on `--alone` heads of the
first windows and multiplied. Ours is tsfm_probe's Walk and Effects, which tell the same of the
embedding, the MLPs and the layers too. Both read 16 windows at a time, in turns. Printed: seconds
of processor time, which other work on the machine does not lengthen, the ratios, and the largest
difference between the effects, which is refused if it is more than rounding.
Nothing that is printed is a test: it is a measurement of this machine.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shapes import network
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from tsfm_probe.attribution.effects import Effects
from tsfm_probe.attribution.target import Target
from tsfm_probe.attribution.walk import ROWS, Cases, Walk
from tsfm_probe.attribution.writes import HEAD
from tsfm_probe.data.synthetic import generated
from tsfm_probe.models import load

SHAPE = "chronos-t5-small"
ALLOWED = 1e-4
"""Largest difference of two effects, over the largest effect."""


def heads_of(net: Any) -> dict[str, tuple[Any, slice]]:
    """The output projection of every head of the decoder, and its columns there."""
    found = {}
    for layer, block in enumerate(net.decoder.block):
        own, cross = block.layer[0].SelfAttention, block.layer[1].EncDecAttention
        for part, attention in (("self", own), ("cross", cross)):
            size = attention.key_value_proj_dim
            for head in range(attention.n_heads):
                columns = slice(head * size, (head + 1) * size)
                found[f"decoder.{layer}.{part}.{head}"] = attention.o, columns
    return found


def catching(caught: dict[str, Tensor], name: str, columns: slice) -> Any:
    """The hook of one head, which keeps what it wrote."""

    def hook(module: Any, inputs: tuple[Tensor, ...]) -> None:
        caught[name] = inputs[0][..., columns] @ module.weight[:, columns].T

    return hook


def plain(
    model: Any, contexts: np.ndarray, horizon: int, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Mean effects of these heads, by address: [step]; contexts: [series, time]."""
    net, caught, heads = model.net, dict[str, Tensor](), heads_of(model.net)
    streams: list[Tensor] = []
    norm = net.decoder.final_layer_norm
    hooks = [norm.register_forward_pre_hook(lambda module, inputs: streams.append(inputs[0]))]
    for name in names:
        projection, columns = heads[name]
        hook = catching(caught, name, columns)
        hooks.append(projection.register_forward_pre_hook(hook))
    tokenizer = model.config.create_tokenizer()
    given = torch.tensor(contexts, dtype=torch.float32)
    tokens, mask, _ = tokenizer.context_input_transform(given)
    found: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        hidden = BaseModelOutput(net.encoder(tokens, attention_mask=mask).last_hidden_state)
        last, past = torch.zeros(len(contexts), 1, dtype=torch.long), None
        for _ in range(horizon):
            made = net(
                encoder_outputs=hidden,
                attention_mask=mask,
                decoder_input_ids=last,
                past_key_values=past,
                use_cache=True,
            )
            past, stream = made.past_key_values, streams[-1]
            allowed = made.logits.index_fill(-1, torch.tensor([1]), -torch.inf)
            bins = allowed.argmax(-1, keepdim=True)
            scale = norm.weight * (stream.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
            for name, write in caught.items():
                logits = net.lm_head((stream - write) * scale * net.config.d_model**-0.5)
                effect = (made.logits - logits).gather(-1, bins)
                found.setdefault(name, []).append(effect[:, 0, 0])
            risen = allowed.double().softmax(-1).cumsum(-1)
            last = (risen < 0.5 * risen[..., -1:]).sum(-1)
    for one in hooks:
        one.remove()
    return {name: torch.stack(each, dim=1).mean(dim=0).numpy() for name, each in found.items()}


def ours(model: Any, contexts: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    """Mean effects of every head of the decoder, by address: [step]."""
    anatomy = model.anatomy
    parts = [at for at in anatomy.parts if at.stack == "decoder"]
    mixed = [at for at in parts if anatomy[at].heads]
    nothing = np.full((len(contexts), horizon), np.nan)
    cases = Cases(list(contexts), nothing, nothing[:, 0])
    effects = Effects(model, Target("bin"), horizon)
    for glimpse in Walk(model, cases, mixed, [at for at in parts if at not in mixed]).glimpses():
        effects.add(glimpse)
    table = effects.table()
    heads = table[table["kind"] == HEAD]
    return {str(name): np.asarray(one["effect"]) for name, one in heads.groupby("address")}


def compare(model: Any, windows: int, horizon: int, alone: int) -> dict[str, float]:
    """Run both, batch by batch in turns, and tell how long each took."""
    series = generated(windows, 600, seed=0, kinds=["trend"])
    contexts = np.stack([one.values[-model.context_length :] for one in series])
    names = list(heads_of(model.net))
    spread = np.linspace(0, len(names) - 1, alone).round().astype(int)
    ours(model, contexts[:1], 1)  # the first run of a process is slower
    spent = {"ours": 0.0, "plain": 0.0, "alone": 0.0}
    worst, largest = 0.0, 0.0
    for start in range(0, windows, ROWS):
        batch = contexts[start : start + ROWS]
        begun = time.process_time()
        found = ours(model, batch, horizon)
        between = time.process_time()
        expected = plain(model, batch, horizon, names)
        spent["ours"] += between - begun
        spent["plain"] += time.process_time() - between
        if not start:
            for place in spread:
                begun = time.process_time()
                plain(model, batch, horizon, [names[place]])
                once = (time.process_time() - begun) / alone
                spent["alone"] += once * len(names) * windows / len(batch)
        assert found.keys() == expected.keys()
        off = max(float(np.abs(found[name] - one).max()) for name, one in expected.items())
        worst = max(worst, off)
        largest = max(largest, *(float(np.abs(one).max()) for one in expected.values()))
    assert worst <= ALLOWED * largest, f"the effects differ by {worst}, of {largest}"
    ratios = {f"ratio_{name}": spent[name] / spent["ours"] for name in ("plain", "alone")}
    told = {f"{name}_seconds": one for name, one in spent.items()}
    return {"heads": len(names)} | told | ratios | {"largest_difference": worst / largest}


def main() -> None:
    """Read the options, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--alone", type=int, default=2, help="heads that get a run of their own")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        network(SHAPE).save_pretrained(folder)
        model = load(folder, device="cpu")
        found = compare(model, asked.windows, asked.horizon, asked.alone)
    facts = {
        "shape": SHAPE,
        "windows": asked.windows,
        "horizon": asked.horizon,
        "threads": asked.threads,
        "written": Path(__file__).name,
    }
    print(json.dumps(facts | {name: float(f"{one:.3g}") for name, one in found.items()}, indent=1))


if __name__ == "__main__":
    main()
