"""Random twins: the shape of a model, other weights, given by name and seed alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.families import NETWORKS, contexts
from tsfm_probe.commands.origin import made_by, weights_of
from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.models import family_of, load
from tsfm_probe.models.source import WEIGHTS, Source
from tsfm_probe.surgery.edit import Edit, edited

BOLT = "nano-chronos-bolt"
Checkpoints = Callable[[str], Path]


def forecast(name: str) -> np.ndarray:
    return load(name, "cpu").forecast(contexts(), 8, samples=4).values


@pytest.mark.parametrize("family", NETWORKS)
def test_a_twin_has_the_shape_and_config_but_not_the_weights(
    checkpoints: Checkpoints, family: str
) -> None:
    folder = checkpoints(family)
    trained, twin = load(str(folder), "cpu"), load(f"random:{folder}", "cpu")
    assert type(twin) is type(trained)
    assert twin.source.config() == trained.source.config()
    assert twin.anatomy.heads == trained.anatomy.heads
    theirs, ours = trained.net.state_dict(), twin.net.state_dict()
    assert {name: one.shape for name, one in theirs.items()} == {
        name: one.shape for name, one in ours.items()
    }
    for at in twin.anatomy.parts:
        for name, one in twin.anatomy[at].projections.items():
            other = trained.anatomy[at].projections[name]
            assert not torch.equal(one.linear.weight, other.linear.weight)


@pytest.mark.parametrize("family", NETWORKS)
def test_a_twin_is_given_by_its_seed_which_is_0_by_default(
    checkpoints: Checkpoints, family: str
) -> None:
    name = f"random:{checkpoints(family)}"
    state = torch.get_rng_state()
    first, again, other = (load(one, "cpu") for one in (name, f"{name}@0", f"{name}@7"))
    assert torch.equal(torch.get_rng_state(), state)
    made = [one.forecast(contexts(), 8, samples=4).values for one in (first, again, other)]
    assert np.array_equal(made[0], made[1])
    assert not np.allclose(made[0], made[2])
    assert np.isfinite(made[0]).all()
    hashes = [one.source.weight_hash() for one in (first, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 64
    assert hashes[0] != load(str(checkpoints(family)), "cpu").source.weight_hash()


@pytest.mark.parametrize("family", NETWORKS)
def test_no_part_of_a_twin_is_dead_or_all(checkpoints: Checkpoints, family: str) -> None:
    """Cutting any attention or MLP moves the prediction by 5 to 150 % of its deviation."""
    twin = load(f"random:{checkpoints(family)}", "cpu")
    with torch.no_grad():
        whole = twin.predict(contexts())
        for at in twin.anatomy.parts:
            with edited(twin.anatomy, [Edit(at)]):
                moved = float((twin.predict(contexts()) - whole).std() / whole.std())
            assert 0.05 < moved < 1.5, at


@pytest.mark.parametrize("family", NETWORKS)
def test_a_saved_twin_is_a_checkpoint_with_the_same_forecast(
    checkpoints: Checkpoints, family: str, tmp_path: Path
) -> None:
    twin = load(f"random:{checkpoints(family)}@3", "cpu")
    twin.save(tmp_path)
    assert family_of(Source(tmp_path, "folder")) == family
    again = load(str(tmp_path), "cpu")
    ours, theirs = (one.forecast(contexts(), 8, samples=4).values for one in (twin, again))
    assert np.array_equal(ours, theirs)
    shape = twin.source.config()
    saved = again.source.config()
    assert {key: saved[key] for key in shape if key in saved} == shape


def test_a_shipped_model_has_a_twin_that_differs_and_says_that_it_is_random() -> None:
    twin = load(f"random:{BOLT}@7", "cpu")
    assert not np.allclose(forecast(BOLT), forecast(f"random:{BOLT}@7"))
    assert twin.name == f"random:{BOLT}@7"
    assert twin.parameters == load(BOLT, "cpu").parameters
    told = made_by(twin)
    assert told["origin"] == "random weights (seed 7) in the shape of package"
    assert weights_of(twin)["weight_hash"] == twin.source.weight_hash()
    assert weights_of(twin)["config_hash"] == weights_of(load(BOLT, "cpu"))["config_hash"]


def test_the_hash_is_that_of_the_weights() -> None:
    twin = load(f"random:{BOLT}", "cpu")
    weights = dict(twin.net.state_dict())
    assert twin.source.holding(weights) == twin.source  # type: ignore[attr-defined]
    name = next(iter(weights))
    weights[name] = weights[name] + 1e-3
    assert twin.source.holding(weights) != twin.source  # type: ignore[attr-defined]


def test_no_weight_is_read_so_that_config_json_is_enough(tmp_path: Path) -> None:
    shutil.copy(WEIGHTS / BOLT / "config.json", tmp_path)
    assert np.array_equal(forecast(f"random:{tmp_path}"), forecast(f"random:{BOLT}"))


def test_of_a_hub_id_config_json_alone_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoints: Checkpoints
) -> None:
    """A known family is known without the names of its weights."""
    hub = tmp_path / "models--Salesforce--moirai-2.0-R-small"
    snapshot = hub / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("0" * 40)
    shutil.copy(checkpoints("moirai-2") / "config.json", snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    twin = load("random:moirai-2-small@5", "cpu")
    assert (twin.family, twin.source.revision) == ("moirai-2", "0" * 40)
    assert "seed 5" in twin.source.origin
    assert "Salesforce/moirai-2.0-R-small" in twin.source.origin


def test_a_folder_that_ends_in_a_number_is_that_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine@7"
    shutil.copytree(WEIGHTS / BOLT, folder)
    assert np.array_equal(forecast(f"random:{folder}"), forecast(f"random:{BOLT}"))
    assert np.array_equal(forecast(f"random:{folder}@7"), forecast(f"random:{BOLT}@7"))


def test_a_twin_of_what_has_no_shape_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean nano-chronos-bolt"):
        load("random:nano-chronos-blt@3", "cpu")
    with pytest.raises(UsageError, match="it is no name"):
        load("random:", "cpu")
    with pytest.raises(UsageError, match="no folder, no known name"):
        load(f"random:random:{BOLT}", "cpu")
    with pytest.raises(ModelError, match=r"has no config\.json"):
        load(f"random:{tmp_path}", "cpu")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load(f"random:{tmp_path}", "cpu")
    config = json.loads((WEIGHTS / BOLT / "config.json").read_text()) | {"d_model": "wide"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"config\.json is damaged or does not fit"):
        load(f"random:{tmp_path}", "cpu")


def test_a_timesfm_package_checkpoint_whose_config_tells_no_shape_is_refused(
    tmp_path: Path,
) -> None:
    names = ("stacked_xf.0.ff0.weight", "output_projection_quantiles.residual_layer.weight")
    save_file({name: torch.zeros(1) for name in names}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="does not tell its shape; a folder in the format"):
        load(f"random:{tmp_path}", "cpu")


def test_half_precision_is_the_same_draw() -> None:
    exact, half = (load(f"random:{BOLT}", "cpu", dtype) for dtype in ("float32", "bfloat16"))
    for name, weight in exact.net.state_dict().items():
        assert torch.equal(weight.bfloat16(), half.net.state_dict()[name].bfloat16())
