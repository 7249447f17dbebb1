"""What CONTRIBUTING.md says of adding a model is enough: a family of one small file passes."""

from pathlib import Path

import pytest

from tests import toy
from tests.families import contexts, enliven
from tsfm_probe import models
from tsfm_probe.data.synthetic import generated
from tsfm_probe.laws import check
from tsfm_probe.probes.ablation import ablate

HERE = Path(__file__).parent


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> models.base.Model:
    monkeypatch.setitem(models.FAMILIES, "toy", "tests.toy:Toy")
    monkeypatch.setitem(models.SIGNS, "toy", "blocks.0.norm_1.weight")
    net = toy.ToyNetwork({"d_model": 16, "layers": 2})
    enliven(net)
    net.save_pretrained(tmp_path / "toy")
    return models.load(str(tmp_path / "toy"), "cpu")


def test_a_family_of_one_file_keeps_every_law(model: models.base.Model) -> None:
    findings = list(check(model, contexts(), 20))
    assert [one for one in findings if one.fails] == []
    assert [one.number for one in findings if not one.tried] == [10, 13]


def test_and_every_probe_works_on_it(model: models.base.Model) -> None:
    table = ablate(model, generated(1, 90, seed=1)[:2], horizon=12, windows=1)
    assert {"encoder.0.time.0", "encoder.1.time.3"} <= set(table.frame["trial"])


def test_it_takes_less_than_a_hundred_lines() -> None:
    assert len((HERE / "toy.py").read_text().splitlines()) < 100
    assert "tests/toy.py" in (HERE.parent / "CONTRIBUTING.md").read_text()
