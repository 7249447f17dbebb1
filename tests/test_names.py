"""The names that are known, and the network that ships."""

import numpy as np
import pytest
import torch
from chronos import BaseChronosPipeline

from tests.families import NETWORKS
from tsfm_probe.data.synthetic import generated
from tsfm_probe.data.windows import windows
from tsfm_probe.metrics import wql
from tsfm_probe.models import FAMILIES, load
from tsfm_probe.models.names import KNOWN
from tsfm_probe.models.reading import LEVELS
from tsfm_probe.models.source import WEIGHTS, is_here, shipped

BOLT = "nano-chronos-bolt"
SHIPPED = [one.name for one in KNOWN.values() if not one.hub_id]
CONTEXTS = [one.values for one in generated(1, 200, seed=0)[:3]]
SHAPES = {
    "chronos-t5-tiny": ("4+4", 4, 256, 1024),
    "chronos-t5-mini": ("4+4", 8, 384, 1536),
    "chronos-t5-small": ("6+6", 8, 512, 2048),
    "chronos-bolt-small": ("6+6", 8, 512, 2048),
    "chronos-2-small": ("6", 8, 512, 2048),
}


def test_every_known_name_has_a_family_and_the_shipped_ones_are_here() -> None:
    assert {one.family for one in KNOWN.values()} == set(FAMILIES) == set(NETWORKS)
    assert shipped() == sorted(SHIPPED)
    assert all(map(is_here, SHIPPED))
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*")) <= 60e6


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_are_those_of_the_published_shape(name: str) -> None:
    """Counted on a network of that shape whose weights take no memory."""
    layers, heads, width, inner = SHAPES[name]
    known = KNOWN[name]
    assert (known.layers, known.heads) == (layers, heads)
    shape = {"d_model": width, "d_kv": 64, "d_ff": inner, "num_heads": heads}
    with torch.device("meta"):
        net = NETWORKS[known.family](**shape, num_layers=int(layers.split("+")[0]))
    published = {"chronos-t5": (4096 - 128) * width}
    if known.family == "chronos-bolt":  # patches of 16, 64 steps ahead instead of 8 and 16
        published["chronos-bolt"] = 16 * (inner + width) + 9 * 48 * (inner + width + 1)
    if known.family == "chronos-2":
        published["chronos-2"] = 24 * (inner + width) + 21 * 8 * (inner + width + 1)
    count = sum(one.numel() for one in net.parameters()) + published[known.family]
    assert count / 1e6 == pytest.approx(known.parameters, abs=0.006)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_is_what_its_line_and_its_card_say(name: str) -> None:
    model, known = load(name, device="cpu"), KNOWN[name]
    assert model.parameters / 1e6 == pytest.approx(known.parameters, abs=0.001)
    assert len(model.anatomy.layers) == sum(map(int, known.layers.split("+")))
    assert {model.anatomy[at].heads for at in model.anatomy.parts} == {0, known.heads}
    assert sum(path.stat().st_size for path in (WEIGHTS / name).iterdir()) <= 12e6
    card = (WEIGHTS / name / "README.md").read_text()
    assert f"{model.parameters:,} parameters" in card


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_forecasts_what_upstream_does(name: str) -> None:
    off = load(name, device="cpu").deviation_from_upstream(CONTEXTS, 24)
    assert off is None or off <= 1e-5


def test_a_shipped_chronos_loads_in_the_upstream_library() -> None:
    pipeline = BaseChronosPipeline.from_pretrained(str(WEIGHTS / BOLT), dtype=torch.float32)
    given = [torch.tensor(one, dtype=torch.float32) for one in CONTEXTS]
    theirs, _ = pipeline.predict_quantiles(given, 24, list(LEVELS))
    ours = load(BOLT, device="cpu").forecast(CONTEXTS, 24).values
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_has_learnt_seasons(name: str) -> None:
    """On series with a season it is better than its own copy with scrambled weights, by far."""
    made, _ = windows(generated(8, 600, seed=9, kinds=["trend"]), 24, context=512)
    model = load(name, device="cpu")

    def score() -> float:
        found = model.forecast([one.seen for one in made], 24, samples=20).values
        scores = [wql(one.target, values, LEVELS) for one, values in zip(made, found, strict=True)]
        return float(np.exp(np.mean(np.log(scores))))

    torch.manual_seed(0)
    trained = score()
    with torch.no_grad():
        for at in model.anatomy.parts:
            for projection in model.anatomy[at].projections.values():
                weight = projection.linear.weight
                weight.copy_(weight.flatten()[torch.randperm(weight.numel())].view_as(weight))
    assert trained < 0.7 * score()
