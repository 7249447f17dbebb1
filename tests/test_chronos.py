"""The Chronos adapters forecast what the upstream library forecasts."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from tests.families import contexts
from tsfm_probe.models.base import Model, left_padded
from tsfm_probe.models.cached_decoder import CachedDecoder
from tsfm_probe.models.chronos_t5 import ChronosT5
from tsfm_probe.models.draws import inverse_cdf, uniforms
from tsfm_probe.models.reading import LEVELS, levels_of

Tiny = Callable[[str], Model]
LONG = "ignore:We recommend keeping prediction length"


@pytest.fixture
def t5(tiny: Tiny) -> ChronosT5:
    model = tiny("chronos-t5")
    assert isinstance(model, ChronosT5)
    return model


def test_teacher_forced_logits_equal_upstream(t5: ChronosT5) -> None:
    state = t5.encode(contexts())
    steps, samples = 6, 3
    given = torch.randint(2, 128, (len(state.hidden) * samples, steps), generator=seeded(0))
    given[:, 0] = t5.net.config.decoder_start_token_id
    decoder = CachedDecoder(t5.net, state.hidden, state.mask, samples, steps)
    with torch.no_grad():
        ours = torch.stack([decoder.step(given[:, step]) for step in range(steps)], dim=1)
        tokens, mask, _ = t5.config.create_tokenizer().context_input_transform(state.padded)
        theirs = t5.net(
            input_ids=tokens.repeat_interleave(samples, 0),
            attention_mask=mask.repeat_interleave(samples, 0),
            decoder_input_ids=given,
        ).logits
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("horizon", [1, 6, 17])
@torch.no_grad()
def test_greedy_paths_equal_upstream_within_and_beyond_the_native_horizon(
    t5: ChronosT5, horizon: int
) -> None:
    given = contexts()
    greedy = t5._paths(t5.encode(given), horizon, 1, lambda logits, step: logits.argmax(-1))
    padded = left_padded(given, t5.context_length)
    theirs = t5.upstream().predict(padded, horizon, num_samples=1, top_k=1)
    assert len(np.unique(theirs.numpy())) >= len(given)
    torch.testing.assert_close(greedy, theirs, rtol=1e-6, atol=0)


def test_the_end_token_is_never_chosen_as_in_upstream(t5: ChronosT5) -> None:
    given, end = contexts(), t5.config.eos_token_id
    start = torch.zeros(len(given), dtype=torch.long)

    def first_logits() -> torch.Tensor:
        state = t5.encode(given)
        return CachedDecoder(t5.net, state.hidden, state.mask, 1, 1).step(start)

    with torch.no_grad():
        likely = first_logits()[0].argmax()
        t5.net.shared.weight[end] = 3 * t5.net.shared.weight[likely]
        assert (first_logits().argmax(-1) == end).any()
    assert t5.deviation_from_upstream(given, 6) == 0


@torch.no_grad()
def test_past_the_native_horizon_the_median_of_the_samples_is_read(t5: ChronosT5) -> None:
    def ranked(logits: torch.Tensor, step: int) -> torch.Tensor:
        rows = torch.arange(len(logits))
        return logits.topk(5).indices[rows, rows % 5]

    given = contexts()[0][-30:]
    whole = t5._paths(t5.encode([given]), 12, 5, ranked)
    median = whole[0, :, :6].median(dim=0).values.numpy()
    assert not np.allclose(median, whole[0, :, :6].mean(dim=0).numpy())
    later = t5._paths(t5.encode([np.concatenate([given, median])]), 6, 5, ranked)
    torch.testing.assert_close(whole[..., 6:], later)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1, 50, 1), (0.7, 0, 1), (1.3, 9, 0.8)]
)
def test_inverse_cdf_has_the_distribution_that_upstream_samples_from(
    temperature: float, top_k: int, top_p: float
) -> None:
    logits = 2 * torch.randn(1, 80, generator=seeded(1))
    warped = TemperatureLogitsWarper(float(temperature))(torch.zeros(1, 1), logits)
    if top_k:
        warped = TopKLogitsWarper(top_k)(torch.zeros(1, 1), warped)
    if top_p < 1:
        warped = TopPLogitsWarper(top_p)(torch.zeros(1, 1), warped)
    expected = warped.softmax(-1)[0]
    count = 20_000
    grid = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    drawn = inverse_cdf(logits.expand(count, -1), grid, temperature, top_k, top_p)
    found = torch.bincount(drawn, minlength=80) / count
    assert (found - expected).abs().max() <= 1.5 / count


@torch.no_grad()
def test_sampled_values_are_distributed_as_upstreams(t5: ChronosT5) -> None:
    """Two-sample Kolmogorov-Smirnov tests per step; a wrong temperature is told apart."""
    given, samples = [contexts()[0]], 1500

    def draw(logits: torch.Tensor, step: int, temperature: float = 1.0) -> torch.Tensor:
        uniform = uniforms(given, 3, samples, 4)[0, :, step]
        return inverse_cdf(logits, uniform, temperature, t5.config.top_k, t5.config.top_p)

    torch.manual_seed(0)
    theirs = t5.upstream().predict(left_padded(given, 48), 4, num_samples=samples)[0].numpy()
    state = t5.encode(given)
    ours = t5._paths(state, 4, samples, draw)[0].numpy()
    hot = t5._paths(state, 4, samples, lambda logits, step: draw(logits, step, 3.0))[0].numpy()
    assert min(ks_2samp(ours[:, step], theirs[:, step]).pvalue for step in range(4)) > 1e-3
    assert min(ks_2samp(hot[:, step], theirs[:, step]).pvalue for step in range(4)) < 1e-3


def test_quantiles_are_upstreams_within_monte_carlo_error(t5: ChronosT5) -> None:
    """Each lies between upstream's quantiles three standard errors of the level to both sides."""
    given, count = contexts()[:2], 2000
    torch.manual_seed(0)
    drawn = t5.upstream().predict(left_padded(given, 48), 5, num_samples=count).numpy()
    ours = t5.forecast(given, 5, seed=1, samples=count).values
    error = 3 * np.sqrt(0.25 * 2 / count)
    for place, level in enumerate(LEVELS):
        low, high = np.quantile(drawn, [level - error, level + error], axis=1)
        assert (low - 1e-3 <= ours[..., place]).all()
        assert (ours[..., place] <= high + 1e-3).all()
    assert np.ptp(drawn, axis=1).min() > 0


def test_uniforms_belong_to_the_series_the_sample_and_the_step() -> None:
    one, two = contexts()[:2]
    few = uniforms([one, two], seed=4, samples=3, steps=5)
    assert few.min() > 0
    assert few.max() < 1
    many = uniforms([two, one], seed=4, samples=7, steps=9)
    torch.testing.assert_close(few[0], many[1, :3, :5], rtol=0, atol=0)
    assert not torch.equal(few[0], few[1])
    assert not torch.equal(few, uniforms([one, two], seed=5, samples=3, steps=5))
    assert len(few.unique()) == few.numel()


def test_samples_are_those_that_the_seed_gives(tiny: Tiny) -> None:
    model = tiny("chronos-t5")
    first = model.forecast(contexts(), 8, seed=1).values
    np.testing.assert_array_equal(model.forecast(contexts(), 8, seed=1).values, first)
    assert not np.array_equal(model.forecast(contexts(), 8, seed=2).values, first)


@pytest.mark.parametrize("family", ["chronos-bolt", "chronos-2"])
@pytest.mark.parametrize("horizon", [3, 16, 50])
@pytest.mark.filterwarnings(LONG)
def test_direct_families_equal_upstream_also_beyond_the_native_horizon(
    family: str, horizon: int, tiny: Tiny
) -> None:
    given = [*contexts(), contexts()[0][-5:]]
    assert tiny(family).deviation_from_upstream(given, horizon) <= 1e-5


def test_levels_in_between_are_interpolated() -> None:
    values = torch.tensor([[[0.0, 10.0, 30.0]]])
    found = levels_of(values, [0.1, 0.5, 0.9]).values[0, 0]
    np.testing.assert_allclose(found, [0, 2.5, 5, 7.5, 10, 15, 20, 25, 30])
