"""Train a nano model on generated series: `python benchmarks/nano/train.py FAMILY --out DIR`.

The same command goes on from the last checkpoint in DIR. Which series and contexts a step sees is
given by (seed, step) and the stage alone; where the schedule ends by the clock (--seconds), stage
and learning rate are not, so use --steps alone for a run that can be repeated exactly.
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
from families import NAMES, found
from family import Family, Stage
from pool import SIMPLE_SHARDS, batch, fill, waited
from torch import nn

WARM = 0.02
KEEP = 0.998
# Adam moves a weight by at most the rate in a step, too little for a bias that must reach about 5.
BIAS_TIMES = 20.0
COLUMNS = ("step", "seconds", "rate", "context", "loss")


@dataclass(frozen=True)
class Recipe:
    """What a run is asked to do; it ends by the step count or the clock, whichever is first.

    finish: steps after those, as the family's finish has them, with a cosine of their own.
    """

    family: str
    out: Path
    pool: Path
    seed: int
    steps: int
    seconds: float
    rate: float
    shards: int
    device: str
    save_every: float
    snapshots: int
    finish: int = 0


def optimizer(net: nn.Module) -> torch.optim.AdamW:
    """AdamW that lets only matrices decay, and moves the relative bias faster (`times`)."""
    linear = {id(m.weight) for m in net.modules() if isinstance(m, nn.Linear)}
    linear -= {id(m.weight) for m in net.modules() if isinstance(m, nn.Embedding)}
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
        self.family = found(recipe.family)
        self.net = self.family.built(recipe.seed).to(recipe.device)
        self.average = [p.detach().clone() for p in self.net.parameters()]
        self.optimizer = optimizer(self.net)
        self.pool: list[np.ndarray] = []
        self.step, self.before, self.begun = 0, 0.0, time.process_time()
        self.rows: list[tuple[str, ...]] = []
        if (recipe.out / "last.pt").exists():
            self.restore()

    @property
    def seconds(self) -> float:
        """Seconds of computing so far, earlier starts included: waiting does not count."""
        return self.before + time.process_time() - self.begun

    @property
    def progress(self) -> float:
        """Share of the run before its finish that is done, from 0 to 1."""
        return min(1.0, max(self.step / self.recipe.steps, self.seconds / self.recipe.seconds))

    @property
    def finishing(self) -> bool:
        """Whether all steps are done but those of the finish."""
        return 0 <= self.step - self.recipe.steps < self.recipe.finish

    @property
    def part(self) -> Family:
        """What this step follows: the family, or its finish."""
        return self.family.finish if self.finishing and self.family.finish else self.family

    @property
    def share(self) -> float:
        """Share of the present part that is done, from 0 to 1."""
        if self.finishing:
            return (self.step - self.recipe.steps) / self.recipe.finish
        return self.progress

    @property
    def rate(self) -> float:
        """The learning rate of this step."""
        asked = 0.0 if self.finishing else self.recipe.rate
        return (asked or self.part.rate) * schedule(self.share)

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
            "family": self.recipe.family,
            "net": self.net.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        part = self.recipe.out / "last.part"
        torch.save(state, part)
        part.replace(self.recipe.out / "last.pt")
        part = self.recipe.out / "loss.part"
        with part.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.rows])
        part.replace(self.recipe.out / "loss.csv")

    def snapshot(self) -> None:
        """Keep the averaged weights of this moment under the number of steps."""
        halves = [average.half() for average in self.average]
        state = {"family": self.recipe.family, "average": halves, "step": self.step}
        torch.save(state, self.recipe.out / f"step-{self.step:06d}.pt")

    def stage(self) -> Stage:
        """The part of the curriculum that the run is in."""
        stages = self.part.stages
        return next(s for s in stages if self.share < s.until or s.until >= 1)

    def drawn(self) -> tuple[int, torch.Tensor, torch.Tensor]:
        """The batch of this step: length of context, context and target."""
        rng = np.random.default_rng([self.recipe.seed, self.step])
        while len(self.pool) < min(self.recipe.shards, SIMPLE_SHARDS + self.step // 50):
            self.pool.append(waited(self.recipe.pool, len(self.pool)))
        stage = self.stage()
        weights = np.array([weight for _, weight in stage.batches.values()])
        context = int(rng.choice(list(stage.batches), p=weights / weights.sum()))
        sizes = (stage.batches[context][0], context, self.family.horizon)
        seen, target = batch(rng, self.pool, stage, sizes, self.family.token)
        device = self.recipe.device
        return context, torch.from_numpy(seen).to(device), torch.from_numpy(target).to(device)

    def advance(self) -> None:
        """One step of the optimizer and of the running average."""
        rate = self.rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["times"]
        context, seen, target = self.drawn()
        loss = self.part.loss(self.net, seen, target)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0, error_if_nonfinite=True)
        self.optimizer.step()
        keep = min(KEEP, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for average, parameter in zip(self.average, self.net.parameters(), strict=True):
                average.lerp_(parameter, 1 - keep)
        row = (self.step, f"{self.seconds:.1f}", f"{rate:.2e}", context, f"{loss.item():.5f}")
        self.rows.append(tuple(map(str, row)))
        self.step += 1

    def go(self) -> None:
        """Train to the end, saving now and then; each snapshot is at half the share of the next."""
        saved = time.monotonic()
        shares = [2.0**-back for back in range(self.recipe.snapshots)]
        due = sorted(share for share in shares if share > self.progress)
        while self.progress < 1 or self.finishing:
            self.advance()
            if self.step % 100 == 0:
                recent = np.mean([float(row[-1]) for row in self.rows[-100:]])
                print(f"{self.step} steps, {self.seconds:.0f} s, loss {recent:.4f}", flush=True)
            if time.monotonic() - saved > self.recipe.save_every:
                self.save()
                saved = time.monotonic()
            if due and self.progress >= due[0]:
                self.snapshot()
                due.pop(0)
        self.save()


def asked() -> Recipe:
    """The recipe given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=NAMES)
    parser.add_argument("--out", type=Path, required=True, help="folder of log and checkpoint")
    parser.add_argument("--pool", type=Path, help="folder of the corpus, by default OUT/../pool")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20_000, help="the most steps")
    parser.add_argument("--finish", type=int, default=0, help="steps after those, see family.py")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="most, of computing")
    parser.add_argument("--rate", type=float, default=0.0, help="peak, the family's if 0")
    parser.add_argument("--shards", type=int, default=60, help="of 2,048 series each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--save-every", type=float, default=180.0, help="seconds")
    parser.add_argument("--snapshots", type=int, default=0, help="how many to keep on the way")
    given = vars(parser.parse_args())
    if given["finish"] and not found(given["family"]).finish:
        parser.error(f"{given['family']} has no finish, so --finish does not apply")
    if given["finish"] and given["seconds"] < float("inf"):
        parser.error("--finish follows --steps, and not --seconds; one of them")
    given["pool"] = given["pool"] or given["out"].parent / "pool"
    return Recipe(**given)


def main() -> None:
    """Fill the pool in one process and train in another."""
    recipe = asked()
    recipe.out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    place = (recipe.pool, recipe.seed, recipe.shards)
    filling = context.Process(target=fill, args=place, daemon=True)
    filling.start()
    Run(recipe).go()


if __name__ == "__main__":
    main()
