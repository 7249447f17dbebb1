"""How nano-chronos-t5 is trained to go on from its own draws."""

import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch

from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks" / "nano"))
T5 = import_module("families.chronos_t5")


class Stub:
    """A network with fixed chances of the next bin; remembers what each call was given."""

    def __init__(self, chances: list[float]) -> None:
        self.chances = torch.tensor(chances)
        self.before: list[torch.Tensor] = []
        self.labels: torch.Tensor | None = None

    def encoder(self, input_ids: torch.Tensor, **_: Any) -> Any:
        return SimpleNamespace(last_hidden_state=torch.zeros(*input_ids.shape, 1))

    def _shift_right(self, bins: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(bins[:, :1]), bins[:, :-1]], dim=1)

    def __call__(self, *, decoder_input_ids: torch.Tensor, **given: Any) -> Any:
        self.before.append(decoder_input_ids)
        self.labels = given.get("labels")
        logits = self.chances.log().expand(*decoder_input_ids.shape, -1)
        return SimpleNamespace(logits=logits, loss=None)


def test_a_draw_follows_the_chances() -> None:
    net, before = Stub([0.0, 0.2, 0.5, 0.0, 0.3]), torch.zeros(400, 48, dtype=torch.long)
    drawn = T5.drawn(net, before, before, before, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn.flatten(), minlength=5) / drawn.numel()
    torch.testing.assert_close(shares, net.chances, rtol=0, atol=0.02)
    assert shares[0] == shares[3] == 0


def test_the_finish_reads_its_own_draws_and_is_asked_for_the_truth() -> None:
    """A third of the series reads true values alone, the others up to all drawn; labels stay."""
    net = Stub([0.0] * 7 + [1.0])
    series = torch.randn(300, 64, generator=torch.Generator().manual_seed(0)) + 5
    series[:, -1] = torch.nan
    seen, target = series[:, :32], series[:, 32:]
    T5.loss_after_draws(net, seen, target)
    assert net.labels is not None
    torch.testing.assert_close(net.labels, T5.tokens(seen, target)[2])
    assert (net.labels == -100).sum(0).tolist() == [0] * 31 + [300]
    true, twice, read = net.before
    assert not torch.equal(true, twice)
    own = read != true
    assert (read[own] == 7).all()
    assert (read[:, 0] == 0).all()
    share = own[:, 1:].float().mean(1)
    assert 0.25 < (share == 0).float().mean() < 0.45
    assert 0.25 < share.mean() < 0.42
    assert share.max() > 0.9
