"""The Toto 1.0 adapter forecasts what toto-ts forecasts, and each series on its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange
from safetensors.torch import load_file, save_file
from scipy.stats import t as student_t
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, StudentT

from tests.case import Case
from tests.families import contexts
from tests.tiny_toto_1 import CONFIG
from tsfm_probe.errors import ModelError
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.names import KNOWN
from tsfm_probe.models.toto_1.adapter import Toto1
from tsfm_probe.models.toto_1.mixture import Mixture
from tsfm_probe.models.toto_1.network import Toto1Network

FIXTURE = Path(__file__).parent / "fixtures" / "toto_1"
EXPECTED = FIXTURE / "expected" / "forecasts.safetensors"
SAMPLES, SEED = 3, 7
Tiny = Callable[[str], Any]


CASES = {
    "within the native horizon": Case(contexts()[:4], 5, [0, 1, 2, 3]),
    "beyond the native horizon": Case(contexts(3)[:2], 24, [0, 1]),
    "jointly": Case(contexts(4)[:3], 24, [4, 2, 4]),
    "jointly, of different lengths": Case(contexts(3), 16, [0, 0, 0]),
    "a length that patches do not divide": Case([one[:43] for one in contexts(3)[:2]], 16, [0, 1]),
}


def mean_path(model: Toto1, case: Case) -> Tensor:
    """The path [series, horizon] along the means of the distributions."""
    state = model.encode(case.contexts, case.groups)
    with torch.no_grad():
        return model._paths(state, case.horizon, lambda mixture, _: mixture.mean)[0]


def seeded_paths(model: Toto1, case: Case) -> Tensor:
    """Paths [series, horizon, sample] drawn as toto-ts draws them: also for every known step."""
    final: list[Tensor] = []
    network = model.net.model
    network.transformer.last.register_forward_hook(lambda *given: final.append(given[-1]))

    def choose(mixture: Mixture, step: int) -> Tensor:
        steps = "batch variate time (step d) -> batch variate (time step) d"
        embedded = rearrange(network.unembed(final[-1]), steps, d=model.net.shape.width)
        every = network.output_distribution(embedded)
        fields = (every.freedom, every.location, every.spread, every.weight)
        freedom, *of_components, weight = (one.expand(SAMPLES, -1, -1, -1) for one in fields)
        mixed = MixtureSameFamily(Categorical(weight), StudentT(freedom, *of_components))
        last = mixed.sample()[:, :, -model.net.shape.patch :]
        return last[:, :, : mixture.weight.shape[-2]]

    torch.manual_seed(SEED)
    with torch.no_grad():
        paths = model._paths(model.encode(case.contexts, case.groups), case.horizon, choose)
    return rearrange(paths, "sample series time -> series time sample")


@pytest.mark.parametrize("name", CASES)
def test_forecasts_equal_those_that_upstream_made(name: str) -> None:
    model, expected = load(str(FIXTURE), "cpu"), load_file(EXPECTED)
    assert isinstance(model, Toto1)
    assert relative(mean_path(model, CASES[name]), expected[f"{name}: mean"]) < 1e-5
    assert relative(seeded_paths(model, CASES[name]), expected[f"{name}: samples"]) < 1e-5


@pytest.fixture
def model(tiny: Tiny) -> Toto1:
    return tiny("toto-1")


def forecast(model: Toto1, given: list[np.ndarray], groups: list[int] | None = None) -> np.ndarray:
    return model.forecast(given, 20, samples=4, groups=groups).values


@pytest.mark.parametrize("padding", [1, 8, 24, 31])
def test_padding_before_a_series_is_not_looked_at_unlike_upstream(
    model: Toto1, padding: int
) -> None:
    given = contexts()[0][-30:]
    alone = model._paths(model.encode([given]), 20, lambda mixture, _: mixture.mean)
    padded = np.concatenate([np.full(padding, np.nan), given])
    found = model._paths(model.encode([padded]), 20, lambda mixture, _: mixture.mean)
    assert relative(found, alone) < 1e-5
    longer = contexts()[1]
    beside = model._paths(model.encode([given, longer]), 20, lambda mixture, _: mixture.mean)
    assert relative(beside[:, :1], alone) < 1e-5


def test_series_are_read_with_those_of_their_group_alone(model: Toto1) -> None:
    one, two, three = contexts()[:3]
    both = forecast(model, [one, three], [0, 0])
    assert relative(forecast(model, [one, two, three], [5, 1, 5])[[0, 2]], both) < 1e-5
    assert relative(forecast(model, [one, three]), both) > 1e-3


@torch.no_grad()
def test_a_path_does_not_depend_on_how_many_there_are(model: Toto1) -> None:
    """Also shows that paths share the context's keys and values, but not their own."""
    given = contexts()[:2]

    def paths(places: Tensor) -> Tensor:
        def choose(mixture: Mixture, step: int) -> Tensor:
            return mixture.drawn(torch.tensor(0.3), places[:, None, None])

        return model._paths(model.encode(given), 30, choose)

    places = torch.tensor([0.2, 0.6, 0.9], dtype=torch.float64)
    together = paths(places)
    assert relative(together[:1], together[1:2]) > 0.1
    assert relative(torch.cat([paths(one[None]) for one in places]), together) < 1e-5


def test_draws_invert_the_distribution_function_of_the_mixture() -> None:
    freedom, location, spread, weight = (
        torch.tensor(one, dtype=torch.float64)
        for one in ([2.5, 30.0, 4.0], [-1.0, 0.0, 5.0], [0.5, 1.0, 0.1], [0.5, 0.2, 0.3])
    )
    grid = (torch.arange(300, dtype=torch.float64) + 0.5) / 300
    mixture = Mixture(*(one[None, None] for one in (freedom, location, spread, weight)))
    drawn = mixture.drawn(grid[:, None], grid[None]).flatten().sort().values.numpy()
    below = sum(
        share * student_t.cdf(drawn, *of)
        for share, *of in zip(weight.tolist(), freedom, location, spread, strict=True)
    )
    steps = (np.arange(len(drawn)) + 0.5) / len(drawn)
    assert np.abs(below - steps).max() < 2 / 300


@pytest.mark.parametrize(
    "given",
    [np.full(20, np.nan), np.array([3.0]), np.full(48, 7.0), np.zeros(9), np.full(30, 3e38)],
    ids=["no value", "one value", "constant", "zero", "the largest values"],
)
def test_contexts_without_variation_have_a_finite_forecast(model: Toto1, given: np.ndarray) -> None:
    found = forecast(model, [given, contexts()[0]])
    assert np.isfinite(found).all()  # what is no number stays so: see the next test
    assert relative(found[:1], forecast(model, [given])) < 1e-5
    assert relative(found[1:], forecast(model, contexts()[:1])) < 1e-5


@pytest.mark.parametrize("weight", ["wO.weight", "wQKV.bias", "mixture_weights.bias"])
@pytest.mark.parametrize("groups", [[0, 1], [0, 0]])
def test_a_broken_network_forecasts_no_numbers(
    model: Toto1, weight: str, groups: list[int]
) -> None:
    broken = [one for name, one in model.net.named_parameters() if name.endswith(weight)][-1]
    broken.data[-1] = torch.nan  # of the fused projection, a row of the values
    assert np.isnan(forecast(model, contexts()[:2], groups)).all()


def written(folder: Path, checkpoint: Path, rename: Callable[[str], str], **config: Any) -> Path:
    """A copy of a checkpoint with other names of weights and other fields of config.json."""
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({rename(name): one for name, one in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    return folder


@pytest.mark.parametrize(
    "names",
    [
        {"model.": ""},
        {".mlp.0.": ".mlp.0.w12.", ".mlp.2.": ".mlp.0.w3."},
    ],
    ids=["without a prefix", "of a fused MLP"],
)
def test_weights_are_read_under_each_published_name(
    checkpoints: Callable[[str], Path], tmp_path: Path, names: dict[str, str]
) -> None:
    def rename(name: str) -> str:
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        return name

    whole = checkpoints("toto-1")
    again = load(str(written(tmp_path / "other", whole, rename)), "cpu")
    expected = load(str(whole), "cpu").forecast(contexts(), 9, samples=4).values
    np.testing.assert_array_equal(again.forecast(contexts(), 9, samples=4).values, expected)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"stride": 4}, "stride 4 is not patch_size 8"),
        ({"scaler_cls": "<class 'model.scaler.StdMeanScaler'>"}, "scaler_cls .* is not"),
        ({"output_distribution_classes": ["Normal"]}, "output_distribution_classes .* is not"),
        ({"output_distribution_kwargs": None}, "config.json is damaged or does not fit"),
        ({"rope_base": 5}, "unknown rope_base"),
        ({"num_heads": 0}, "positive whole numbers"),
        ({"output_distribution_kwargs": {"k_components": 1.5}}, "positive whole numbers"),
        *(({"spacewise_first": one}, "neither true nor false") for one in ("no", 1, None)),
        *(({"scale_factor_exponent": one}, "no positive number") for one in (0, -1.0, "10", 400)),
        ({"num_heads": 5}, "embed_dim 32 does not give 5 heads"),
        ({"num_layers": 3}, "num_layers 3 is no multiple of spacewise_every_n_layers 2"),
        ({"mlp_hidden_dim": 20}, "of another shape"),
        ({"num_layers": 4}, "weights missing"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    checkpoints: Callable[[str], Path], tmp_path: Path, config: dict[str, Any], told: str
) -> None:
    folder = written(tmp_path / "other", checkpoints("toto-1"), str, **config)
    with pytest.raises(ModelError, match=told):
        load(str(folder), "cpu")


def test_weights_of_variate_labels_are_refused(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """A checkpoint that was fine-tuned with covariates computes something else."""
    folder = written(tmp_path / "other", checkpoints("toto-1"), str)
    save_file({"model.target_variate_label": torch.ones(32)}, folder / "more.safetensors")
    with pytest.raises(ModelError, match=r"1 weights unexpected \(model.target_variate_label\)"):
        load(str(folder), "cpu")


def test_the_published_size_has_the_published_number_of_weights() -> None:
    published = {
        "patch_size": 64,
        "stride": 64,
        "embed_dim": 768,
        "num_layers": 12,
        "num_heads": 12,
        "mlp_hidden_dim": 3072,
        "spacewise_every_n_layers": 12,
        "output_distribution_kwargs": {"k_components": 24},
    }
    with torch.device("meta"):
        net = Toto1Network(CONFIG | published)
    count = sum(weight.numel() for weight in net.parameters())
    assert round(count / 1e6, 2) == KNOWN["toto-1"].parameters
    assert net.shape.parts == ("time",) * 11 + ("variate",)
