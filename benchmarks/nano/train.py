"""Train nano-chronos-bolt on generated series: `python benchmarks/nano/train.py --out DIR`.

The same command goes on from the last checkpoint in DIR. Which series and contexts a step sees is
given by (seed, step) alone; where the schedule ends by the clock (--seconds), the learning rate is
not, so use --steps alone for a run that can be repeated exactly.
"""

import argparse
import csv
import math
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from network import built
from pool import HORIZON, SIMPLE_SHARDS, batch, fill, waited
from torch import nn

# Context length -> series in a batch (about equal cost) and how often it is drawn.
BATCHES = {64: (128, 0.20), 128: (96, 0.25), 256: (56, 0.20), 512: (32, 0.35)}
WARM = 0.02
SHORT_ONLY = 0.08
# Adam moves a weight by at most the rate in a step, too little for a bias that must reach about 5.
BIAS_TIMES = 20.0
COLUMNS = ("step", "seconds", "rate", "context", "loss")


@dataclass(frozen=True)
class Recipe:
    """What a run is asked to do; it ends by the step count or the clock, whichever is first."""

    out: Path
    seed: int
    steps: int
    seconds: float
    rate: float
    shards: int
    device: str
    save_every: float


def optimizer(net: nn.Module) -> torch.optim.AdamW:
    """AdamW that lets only matrices decay, and moves the relative bias faster (`times`)."""
    linear = {id(m.weight) for m in net.modules() if isinstance(m, nn.Linear)}
    named = list(net.named_parameters())
    biases = [p for name, p in named if "relative_attention_bias" in name]
    matrices = [p for _, p in named if id(p) in linear]
    others = [p for name, p in named if id(p) not in linear and "relative" not in name]
    groups = [
        {"params": matrices, "weight_decay": 0.05, "times": 1.0},
        {"params": others, "times": 1.0},
        {"params": biases, "times": BIAS_TIMES},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, fused=True)


def schedule(progress: float) -> float:
    """Share of the peak rate: a straight warm-up, then a cosine down to a hundredth."""
    if progress < WARM:
        return progress / WARM + 1e-3
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - WARM) / (1 - WARM)))


class Run:
    """One training run: network, running average, optimizer, pool and log."""

    def __init__(self, recipe: Recipe) -> None:
        """Start anew, or where the last checkpoint in `recipe.out` was written."""
        self.recipe = recipe
        self.net = built(recipe.seed, recipe.device)
        self.average = [p.detach().clone() for p in self.net.parameters()]
        self.optimizer = optimizer(self.net)
        self.pool: list[np.ndarray] = []
        self.step, self.before, self.begun = 0, 0.0, time.monotonic()
        self.rows: list[tuple[str, ...]] = []
        if (recipe.out / "last.pt").exists():
            self.restore()

    @property
    def seconds(self) -> float:
        """Seconds trained so far, earlier starts included."""
        return self.before + time.monotonic() - self.begun

    @property
    def progress(self) -> float:
        """Share of the run that is done, from 0 to 1."""
        return min(1.0, max(self.step / self.recipe.steps, self.seconds / self.recipe.seconds))

    def restore(self) -> None:
        """Go on where the last checkpoint was written."""
        state = torch.load(self.recipe.out / "last.pt", map_location=self.recipe.device)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.before = state["step"], state["seconds"]
        with (self.recipe.out / "loss.csv").open() as file:
            rows = list(csv.reader(file))[1:]
        self.rows = [tuple(row) for row in rows if int(row[0]) < self.step]

    def save(self) -> None:
        """Write checkpoint and log, each at once or not at all."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "parameters": sum(p.numel() for p in self.net.parameters()),
        }
        part = self.recipe.out / "last.part"
        torch.save(state, part)
        part.replace(self.recipe.out / "last.pt")
        part = self.recipe.out / "loss.part"
        with part.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.rows])
        part.replace(self.recipe.out / "loss.csv")

    def drawn(self) -> tuple[int, torch.Tensor, torch.Tensor]:
        """The batch of this step: length of context, context and target."""
        rng = np.random.default_rng([self.recipe.seed, self.step])
        while len(self.pool) < min(self.recipe.shards, SIMPLE_SHARDS + self.step // 50):
            self.pool.append(waited(self.recipe.out / "pool", len(self.pool)))
        weights = np.array([weight for _, weight in BATCHES.values()])
        if self.progress < SHORT_ONLY:
            weights = weights * [1, 1, 0, 0]
        context = int(rng.choice(list(BATCHES), p=weights / weights.sum()))
        seen, target = batch(rng, self.pool, BATCHES[context][0], context)
        device = self.recipe.device
        return context, torch.from_numpy(seen).to(device), torch.from_numpy(target).to(device)

    def advance(self) -> None:
        """One step of the optimizer and of the running average."""
        rate = self.recipe.rate * schedule(self.progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["times"]
        context, seen, target = self.drawn()
        loss = self.net(context=seen, target=target).loss / HORIZON
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        keep = min(0.999, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for average, parameter in zip(self.average, self.net.parameters(), strict=True):
                average.lerp_(parameter, 1 - keep)
        row = (self.step, f"{self.seconds:.1f}", f"{rate:.2e}", context, f"{loss.item():.5f}")
        self.rows.append(tuple(map(str, row)))
        self.step += 1

    def go(self) -> None:
        """Train to the end, saving now and then."""
        saved = time.monotonic()
        while self.progress < 1:
            self.advance()
            if self.step % 100 == 0:
                recent = np.mean([float(row[-1]) for row in self.rows[-100:]])
                print(f"{self.step} steps, {self.seconds:.0f} s, loss {recent:.4f}", flush=True)
            if time.monotonic() - saved > self.recipe.save_every:
                self.save()
                saved = time.monotonic()
        self.save()


def asked() -> Recipe:
    """The recipe given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of pool, log, checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=10_000, help="the most steps")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="the most seconds")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--shards", type=int, default=60, help="of 2,048 series each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--save-every", type=float, default=180.0, help="seconds")
    return Recipe(**vars(parser.parse_args()))


def main() -> None:
    """Fill the pool in one process and train in another."""
    recipe = asked()
    recipe.out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    place = (recipe.out / "pool", recipe.seed, recipe.shards)
    filling = context.Process(target=fill, args=place, daemon=True)
    filling.start()
    Run(recipe).go()


if __name__ == "__main__":
    main()
