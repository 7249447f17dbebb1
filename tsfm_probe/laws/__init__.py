"""The laws that hold on every model if its adapter is right: what `tsfm-probe check` runs."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tsfm_probe.laws import cuts, edits, forecasts, gradients, sums
from tsfm_probe.laws.subject import Finding, Subject
from tsfm_probe.models.base import Model

LAWS: tuple[Callable[[Subject], Finding], ...] = (
    edits.no_edit_no_change,
    edits.every_edit_reaches,
    edits.no_hook_outlives,
    edits.all_heads_are_the_attention,
    edits.all_parts_are_the_layer,
    sums.writes_sum_to_the_stream,
    sums.shares_sum_to_the_write,
    sums.effects_sum_to_the_prediction,
    sums.weights_belong_to_their_head,
    cuts.cut_equals_ablated,
    forecasts.same_seed_same_forecast,
    forecasts.saving_keeps_the_forecast,
    forecasts.equals_upstream,
    gradients.gradients_are_true,
)


def check(model: Model, contexts: Sequence[np.ndarray], horizon: int) -> Iterator[Finding]:
    """Try every law on one model, one finding after the other."""
    for law in LAWS:
        yield law(Subject.of(model, contexts, horizon))
