"""Cutting the first heads or layers of an order together, on networks whose truth is known."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.families import NETWORKS
from tests.known import job, nearly_perfect
from tests.planted import with_dead
from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.models.base import Model
from tsfm_probe.probes import orders
from tsfm_probe.probes.ablation import Job
from tsfm_probe.probes.cumulative import ORDER_FILE, Study, cut_together, planned
from tsfm_probe.probes.curves import Cuts
from tsfm_probe.probes.redundancy import JOINT, Cut, heads_within, index, redundant, within
from tsfm_probe.run_folder import RunFolder

Tiny = Callable[[str], Model]


def study(job: Job, folder: Path, cuts: Cuts, **more: Any) -> Study:
    about = {"model": job.model.name, "by": job.setting.by}
    return cut_together(job, cuts, RunFolder.start(folder, about | cuts.about(), {}), about, **more)


def shares(found: Study, total: int) -> dict[str, float]:
    """R@1 by MASE of the chosen order (under "") and of each random one."""
    rows = index(found.found, total)
    return {one.order if one.control else "": one.share for one in rows if one.metric == "MASE"}


def one_of_each(anatomy: Anatomy) -> list[Address]:
    return [
        Address(at.stack, at.layer, at.part, number % anatomy[at].heads)
        for number, at in enumerate(anatomy.parts)
        if anatomy[at].heads
    ]


@pytest.mark.parametrize("family", NETWORKS)
def test_the_index_counts_the_dead_heads_and_no_other(
    family: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny(family)
    first, second = [at for at in model.anatomy.parts if model.anatomy[at].heads][:2]
    dead = [replace(first, head=1), replace(second, head=3)]
    series = nearly_perfect(with_dead(model, dead))
    asked = job(model, series, only=f"{first},{second}")
    path = listed(tmp_path / "order", asked, dead)
    size = len(orders.units(asked))
    ours = shares(study(asked, tmp_path / "run", Cuts(path, up_to="4")), size)
    assert ours.pop("") == 2 / size
    assert max(ours.values()) < 2 / size
    assert len(ours) == 5


def test_the_index_is_found_between_the_numbers_that_are_tried_first(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("chronos-bolt")
    dead = list(model.anatomy.heads[2::3])
    asked = job(model, nearly_perfect(with_dead(model, dead)))
    cuts = Cuts(listed(tmp_path / "order", asked, dead))
    trials, more = planned(asked, cuts)
    names = {f"file:{count}" for count in (8, 9)}
    assert names.isdisjoint(trials.names)
    found = study(asked, tmp_path / "run", cuts)
    assert shares(found, 24)[""] == 8 / 24
    assert {"file:8", "file:9"} <= set(found.plan.names)
    assert len(trials) < len(found.plan) <= len(trials) + more


def listed(path: Path, job: Job, first: Sequence[Address]) -> str:
    """A file of all heads of a job, these first; its name."""
    names = [one.name for one in orders.units(job)]
    path.write_text("\n".join(dict.fromkeys([*map(str, first), *names])))
    return str(path)


@pytest.mark.parametrize(
    ("order", "kind"), [("measured", "dead"), ("gradient", "dead"), ("measured", "live")]
)
def test_an_order_by_effect_finds_the_dead_heads_if_there_are_any(
    order: str, kind: str, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("chronos-bolt")
    dead = one_of_each(model.anatomy)[:4] if kind == "dead" else []
    series = nearly_perfect(with_dead(model, dead))
    whole = study(job(model, series), tmp_path / "whole", Cuts(order, up_to="5"))
    assert shares(whole, 24)[""] == len(dead) / 24
    assert {one.at[0] for one in whole.order[: len(dead)]} == set(dead)


@pytest.mark.parametrize("dead", [0, 2])
def test_the_heads_within_a_limit_are_counted_by_attention_and_cut_in_all(
    dead: int, tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("chronos-bolt")
    parts = model.anatomy.select("decoder.*.{self,cross}")
    parts = [at for at in parts if at.head is None]
    gone = [Address(at.stack, at.layer, at.part, 3 - one) for at in parts for one in range(dead)]
    series = nearly_perfect(with_dead(model, gone))
    asked = job(model, series, only="decoder")
    found = study(asked, tmp_path / "run", Cuts("measured", per_layer=True))
    places = [one for one in heads_within(found.found, 1.0) if one.metric == "MASE"]
    assert [one.place for one in places] == [str(at) for at in parts]
    assert {(one.within, one.redundant, one.of) for one in places} == {(dead, dead, 4)}
    together = [one for one in found.found if one.place == JOINT and one.metric == "MASE"]
    ours = [one for one in together if not one.control]
    assert len(together) == 4 * bool(dead)
    for one in ours:
        assert (one.cut, one.of, one.ratio, one.verdict) == (4 * dead, 16, 1.0, "redundant")
        assert {at for trial in found.plan if trial.name == one.trial for at in trial.at} == set(
            gone
        )
    assert all(one.ratio > 1.1 for one in together if one.control)
    assert shares(found, 16)[""] == 4 * dead / 16


def test_curves_do_not_depend_on_the_batch_size(tiny: Tiny, tmp_path: Path) -> None:
    model, cuts = tiny("chronos-t5"), Cuts("stable-rank", up_to="3")
    found = [
        study(job(model, only="decoder"), tmp_path / str(size), cuts, batch_size=size)
        for size in (1, 50)
    ]
    small, large = ([(row.trial, row.metric) for row in one.found] for one in found)
    assert small == large
    ratios = [[(row.ratio, row.low, row.high) for row in one.found] for one in found]
    np.testing.assert_allclose(*ratios, rtol=2e-4)


def shards(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_mtime_ns for one in (folder / "shards").iterdir()}


def test_a_study_that_was_stopped_goes_on_with_the_order_that_it_had(
    tiny: Tiny, tmp_path: Path
) -> None:
    model = tiny("chronos-bolt")
    series = nearly_perfect(with_dead(model, one_of_each(model.anatomy)))
    asked = job(model, series, only="decoder.0")
    cuts = Cuts("measured", per_layer=True)
    whole = study(asked, tmp_path / "whole", cuts)
    for trials in (4, len(whole.plan) - 2):

        def stop(done: int, total: int, name: str, after: int = trials) -> None:
            if done >= after and name:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            study(asked, tmp_path / "parts", cuts, progress=stop)
        assert len(shards(tmp_path / "parts")) == trials
    before = shards(tmp_path / "parts")
    again = study(asked, tmp_path / "parts", cuts)
    assert before.items() < shards(tmp_path / "parts").items()
    assert (again.found, again.plan, again.order) == (whole.found, whole.plan, whole.order)
    pd.testing.assert_frame_equal(again.table.frame, whole.table.frame, check_exact=True)


def test_the_order_that_a_run_began_with_is_read_again(tiny: Tiny, tmp_path: Path) -> None:
    asked, cuts = job(tiny("chronos-bolt"), only="decoder.0"), Cuts("stable-rank", up_to="1")

    def stop(done: int, total: int, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(asked, tmp_path, cuts, progress=stop)
    began = (tmp_path / ORDER_FILE).read_text().split()
    (tmp_path / ORDER_FILE).write_text("\n".join(began[::-1]))
    assert [one.name for one in study(asked, tmp_path, cuts).order] == began[::-1]


def test_within_a_limit_is_as_measured_and_redundant_is_what_was_shown() -> None:
    known = [
        (1, 1.001, "redundant"),
        (2, 1.02, "uncertain"),
        (3, 1.002, "redundant"),
        (4, 1.009, "uncertain"),
        (5, 1.3, "harmful"),
    ]
    rows = [
        Cut("measured", False, "", cut, 5, str(cut), "MASE", ratio, np.nan, np.nan, verdict)
        for cut, ratio, verdict in known
    ]
    assert (redundant(rows), within(rows, 1.0), within(rows, 2.0), within(rows, 0.0)) == (
        3,
        4,
        4,
        0,
    )
    assert [one.share for one in index(rows, 10)] == [0.3]
    assert (redundant([]), within([], 1.0)) == (0, 0)


def test_the_order_of_a_run_is_a_file_that_gives_the_same_run(tiny: Tiny, tmp_path: Path) -> None:
    asked = job(tiny("chronos-bolt"))
    one = study(asked, tmp_path / "one", Cuts("gradient", up_to="2"))
    path = tmp_path / "one" / ORDER_FILE
    two = study(asked, tmp_path / "two", Cuts(str(path), up_to="2"))
    assert two.order == one.order
    ours = [[row.ratio for row in found.found if not row.control] for found in (one, two)]
    assert ours[0] == ours[1]
