"""How fast the ablation sweep is against the plain loop that a user would write.

    python benchmarks/speed.py [--shape chronos-t5-small|chronos-bolt-small] [--windows 8]

Both sweep heads of the same random network over the same windows, horizon and samples: the plain
way zeroes the head's columns of the output projection, calls the upstream pipeline's predict and
writes the columns back; ours is tsfm_probe's Sweep. A trial is one head; the heads are spread
evenly over the network, and the plain way gets every sixth of them, since its cost does not depend
on which. Printed: trials x series per second of both in one run, interleaved, their ratio, and our
peak memory over that of the loaded network.
Nothing that is printed is a test: it is a measurement of this machine.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from transformers import T5Config, T5ForConditionalGeneration

from tsfm_probe.address import Address
from tsfm_probe.data.synthetic import generated
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.probes.ablation import Job, Setting
from tsfm_probe.surgery.plan import Trial

SMALL: dict[str, Any] = {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8}
TOKENS: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
T5 = {
    "tokenizer_class": "MeanScaleUniformBins",
    "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
    "context_length": 512, "prediction_length": 64, "n_tokens": 4096, "n_special_tokens": 2,
    "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True, "model_type": "seq2seq",
    "num_samples": 20, "temperature": 1.0, "top_k": 50, "top_p": 1.0,
}  # fmt: skip
BOLT = {
    "context_length": 2048, "prediction_length": 64, "input_patch_size": 16,
    "input_patch_stride": 16, "quantiles": [one / 10 for one in range(1, 10)],
    "use_reg_token": True,
}  # fmt: skip


def network(shape: str) -> Any:
    """A random network of a published shape."""
    torch.manual_seed(0)
    config: Any = T5Config(**SMALL, **TOKENS, vocab_size=4096 if shape == "chronos-t5-small" else 2)
    if shape == "chronos-t5-small":
        config.chronos_config = T5
        return T5ForConditionalGeneration(config)
    config.chronos_config = BOLT
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.architectures = ["ChronosBoltModelForForecasting"]
    return ChronosBoltModelForForecasting(config)


def plain(model: Any, contexts: Sequence[torch.Tensor], head: Address, horizon: int) -> None:
    """One trial as a user would write it with chronos-forecasting."""
    component = model.anatomy[head]
    columns = component.columns(head.head)
    kept = component.mix.weight[:, columns].clone()
    with torch.no_grad():
        component.mix.weight[:, columns] = 0
        model.upstream().predict(list(contexts), horizon)
        component.mix.weight[:, columns] = kept


def peak() -> int:
    """Largest resident memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compare(model: Model, windows: int, horizon: int, count: int) -> dict[str, float]:
    """Run both, interleaved, and tell trials x series per second."""
    series = generated(windows, 700, seed=0, kinds=["trend"])
    job = Job.of(model, series, Setting(horizon=horizon, windows=1))
    contexts = [torch.tensor(one.seen, dtype=torch.float32) for one in job.windows]
    every = model.anatomy.heads
    spread = np.linspace(0, len(every) - 1, min(count, len(every))).round().astype(int)
    heads = [every[place] for place in spread]
    before = psutil.Process().memory_info().rss
    sweep = job.sweep()
    for head in (heads[0], heads[-1]):
        sweep.forecasts(Trial(str(head), "head", (head,)))
    memory = peak() - before
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for number, head in enumerate(heads):
        start = time.perf_counter()
        sweep.forecasts(Trial(str(head), "head", (head,)))
        seconds["ours"].append(time.perf_counter() - start)
        if number % 6 == 3:
            start = time.perf_counter()
            plain(model, contexts, head, horizon)
            seconds["plain"].append(time.perf_counter() - start)
    rates = {name: len(contexts) / float(np.mean(taken)) for name, taken in seconds.items()}
    return {
        "ours_per_second": rates["ours"],
        "plain_per_second": rates["plain"],
        "ratio": rates["ours"] / rates["plain"],
        "trials_ours": len(seconds["ours"]),
        "trials_plain": len(seconds["plain"]),
        "peak_over_network_gb": memory / 1e9,
    }


def main() -> None:
    """Read the options, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shape", default="chronos-t5-small", choices=["chronos-t5-small", "chronos-bolt-small"]
    )
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--heads", type=int, default=24, help="how many heads are swept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network(asked.shape).save_pretrained(folder)
        model = load(folder, device="cpu")
        model.name = asked.shape
        found = compare(model, asked.windows, asked.horizon, asked.heads)
    facts = {
        "shape": asked.shape,
        "windows": asked.windows,
        "horizon": asked.horizon,
        "threads": torch.get_num_threads(),
        "written": Path(__file__).name,
    }
    print(json.dumps(facts | {name: round(value, 3) for name, value in found.items()}, indent=1))


if __name__ == "__main__":
    main()
