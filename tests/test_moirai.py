"""Both Moirai adapters forecast what uni2ts forecasts, without its mistakes."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.case import Case
from tests.families import NETWORKS, contexts
from tests.tiny_moirai import COMPONENTS, settled
from tsfm_probe.errors import ModelError
from tsfm_probe.laws.subject import relative
from tsfm_probe.models import load
from tsfm_probe.models.moirai.mixture import Mixture
from tsfm_probe.models.moirai.moirai_1 import Moirai1
from tsfm_probe.models.moirai.moirai_2 import Moirai2
from tsfm_probe.models.moirai.tokens import batches, zeros
from tsfm_probe.models.names import KNOWN
from tsfm_probe.surgery.record import recorded

FIXTURE = Path(__file__).parent / "fixtures" / "moirai" / "expected.safetensors"
FAMILIES = ("moirai-1.1", "moirai-2")
Tiny = Callable[[str], Any]


CASES = {
    "within the native horizon": Case(contexts(), 5, [0, 1, 2, 3, 4]),
    "beyond the native horizon": Case(contexts(3), 21, [0, 1, 2]),
    "jointly": Case(contexts(), 13, [0, 1, 0, 1, 1]),
    "jointly, beyond the native horizon": Case(contexts(), 21, [1, 0, 1, 2, 1]),
    "a length that patches do not divide": Case([one[:43] for one in contexts(3)], 9, [0, 1, 0]),
    "nothing known at first": Case([np.r_[np.full(21, np.nan), contexts()[0][:20]]], 9, [0]),
}
SIZES = (4, 8, 16)
ONE_PASS = [name for name in CASES if "beyond" not in name]  # for Moirai 1.1 there is no beyond


def settled_model(family: str, folder: Path, **shape: Any) -> Any:
    """The model whose forecasts are in the fixture."""
    net = NETWORKS[family](**shape)
    settled(net)
    net.save_pretrained(folder)
    return load(str(folder), "cpu")


def parameters(model: Moirai1, case: Case, size: int) -> Tensor:
    """What the mixtures are made of, [parameter, series, step]."""
    found = torch.empty(14, len(case.contexts), case.horizon)

    def draw(mixture: Mixture, places: Tensor) -> Tensor:
        own = [value for one in mixture.components for value in vars(one).values()]
        logits = mixture.logits.log_softmax(-1).unbind(-1)
        kept = [*logits, *(own[index] for index in (0, 1, 2, 3, 5, 6, 7, 8))]
        found[:, places] = torch.stack([*kept, mixture.loc, mixture.scale])
        return torch.zeros(len(places), 1, case.horizon, dtype=torch.float64)

    model.patch_size = size
    with torch.no_grad():
        model._paths(model.encode(case.contexts, case.groups), case.horizon, 1, draw)
    return found


def losses(model: Moirai1, case: Case) -> Tensor:
    """The validation losses [size, series] of series on their own."""
    length = model.context_length + case.horizon
    (batch,) = batches(case.contexts, None, length, zeros)
    with torch.no_grad():
        return torch.stack([model._loss(batch, size, case.horizon) for size in SIZES])


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return load_file(FIXTURE)


def test_moirai_2_forecasts_what_upstream_did(expected: dict[str, Tensor], tmp_path: Path) -> None:
    model = settled_model("moirai-2", tmp_path)
    for name, case in CASES.items():
        found = model.forecast(case.contexts, case.horizon, groups=case.groups).values
        assert relative(found, expected[f"moirai-2: {name}"]) < 1e-5, name


def test_moirai_1_forecasts_what_upstream_did(expected: dict[str, Tensor], tmp_path: Path) -> None:
    model = settled_model("moirai-1.1", tmp_path)
    for name in ONE_PASS:
        for size in SIZES:
            found = parameters(model, CASES[name], size)
            theirs = expected[f"moirai-1.1: {name}, patches of {size}"]
            assert max(map(relative, found, theirs)) < 1e-5, (name, size)
    theirs = expected["moirai-1.1: losses"]
    assert relative(losses(model, CASES["within the native horizon"]), theirs) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_off_in_forecasts_unlike_upstream(family: str, tmp_path: Path) -> None:
    models = [
        settled_model(family, tmp_path / str(chance), attn_dropout_p=chance, dropout_p=chance)
        for chance in (0.0, 0.9, 0.9)
    ]
    found = [model.forecast(contexts(), 9).values for model in models]
    assert all(np.array_equal(one, found[0]) for one in found)


def test_several_series_are_forecast_beyond_the_native_horizon_unlike_upstream(tiny: Tiny) -> None:
    """Each quantile path holds every series; upstream stops with an error. Numbers: see above."""
    model, given = tiny("moirai-2"), contexts(3)
    with recorded(model.anatomy, model.anatomy.parts[:1]) as record:
        long = model.forecast(given, 40, groups=[0, 0, 0]).values
    assert [tuple(one.shape) for one in record.parts[model.anatomy.parts[0]]] == [
        (1, 18, 256),
        (9, 24, 256),
        (9, 30, 256),
    ]
    assert relative(long[:, :16], model.forecast(given, 16, groups=[0, 0, 0]).values) < 1e-5
    assert relative(long, model.forecast(given, 40).values) > 1e-3
    assert (
        relative(long[[2, 0, 1]], model.forecast([given[2], *given[:2]], 40, groups=[0] * 3).values)
        < 1e-5
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_groups_of_different_size_do_not_meet(family: str, tiny: Tiny) -> None:
    model, given = tiny(family), contexts()

    def forecast(places: list[int], groups: list[int]) -> np.ndarray:
        taken = [given[place] for place in places]
        return model.forecast(taken, 20, samples=4, groups=groups).values

    together = forecast([0, 1, 2, 3, 4], [7, 3, 7, 5, 7])
    assert relative(together[[0, 2, 4]], forecast([0, 2, 4], [1, 1, 1])) < 1e-5
    assert relative(together[[1, 3]], forecast([1, 3], [0, 1])) < 1e-5
    assert relative(together[[1, 3]], forecast([1, 3], [0, 0])) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_any_context_has_a_finite_forecast(family: str, tiny: Tiny) -> None:
    nothing, one, late = np.full(20, np.nan), np.array([2.0]), np.full(30, np.nan)
    late[-1] = 5.0
    given = [nothing, np.full(20, 3.0), one, np.array([np.nan]), late, 1e8 + np.arange(30.0)]
    for groups in (None, [0, 0, 1, 1, 1, 2]):
        assert np.isfinite(tiny(family).forecast(given, 21, samples=9, groups=groups).values).all()


def test_the_patch_size_is_chosen_by_likelihood_where_it_is_asked_for(tiny: Tiny) -> None:
    model, given = tiny("moirai-1.1"), [*contexts(), contexts()[0][:9]]
    assert model.patch_size == 8
    fixed = {}
    for size in SIZES:
        model.patch_size = size
        fixed[size] = model.forecast(given, 9, samples=4).values
    best = losses(model, Case(given[:5], 9, [])).argmin(dim=0)
    sizes = [SIZES[index] for index in best] + [8]  # the last one has nothing before the horizon
    assert len(set(sizes)) > 1
    model.patch_size = None
    found = model.forecast(given, 9, samples=4).values
    for place, size in enumerate(sizes):
        assert relative(found[place], fixed[size][place]) < 1e-5


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("moirai-1.1-small", 13_827_528),
        ("moirai-1.1-base", 91_357_728),
        ("moirai-1.1-large", 310_970_624),
        ("moirai-2-small", 11_387_208),
    ],
)
def test_the_published_sizes(name: str, count: int) -> None:
    known = KNOWN[name]
    own = {"d_ff": 1024, "patch_size": 16, "num_predict_token": 4}
    sizes = {"patch_sizes": [8, 16, 32, 64, 128]}
    shape = {"d_model": 64 * known.heads, "num_layers": int(known.layers), "max_seq_len": 512}
    with torch.device("meta"):
        net = NETWORKS[known.family](**shape, **(own if known.family == "moirai-2" else sizes))
    assert sum(weight.numel() for weight in net.parameters()) == count
    assert known.parameters == pytest.approx(count / 1e6, rel=1e-3)


def changed(checkpoint: Path, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


UNUSABLE = [
    *((one, {"max_seq_len": long}) for one in FAMILIES for long in ("8", None, 1.5, -1, 0, True)),
    *((one, {"scaling": value}) for one in FAMILIES for value in (False, "false", 1, None)),
    *(("moirai-1.1", {"patch_sizes": sizes}) for sizes in ([], [4, 0], [4, 4], 8)),
    *(("moirai-2", {"quantile_levels": [0.5, 0.1]}), ("moirai-1.1", {"d_model": 32})),
]


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("moirai-1.1", lambda config: config["distr_output"].update({"_target_": "os.system"})),
        (
            "moirai-1.1",
            lambda config: config["distr_output"].update(components=[{"_target_": "os.system"}]),
        ),
        ("moirai-1.1", lambda config: config["distr_output"].update(components=COMPONENTS[:0])),
        ("moirai-1.1", lambda config: config.pop("patch_sizes")),
        ("moirai-1.1", lambda config: config.update(num_layers=3)),
        *((family, partial(dict.update, **fields)) for family, fields in UNUSABLE),
    ],
)
def test_a_config_that_does_not_fit_is_refused_in_one_line(
    family: str,
    change: Callable[[dict[str, Any]], Any],
    checkpoints: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    folder = changed(checkpoints(family), tmp_path / "changed", change)
    with pytest.raises(ModelError, match=r"\A[^\n]+\Z"):
        load(str(folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_weight_is_named(
    family: str, checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = changed(checkpoints(family), tmp_path / "changed", lambda config: None)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.norm.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"1 weights missing \(encoder\.norm\.weight\)"):
        load(str(folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_licence_of_the_weights_is_told(
    family: str, tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(tiny(family), Moirai1 | Moirai2)
    assert "CC BY-NC 4.0" in caplog.text
