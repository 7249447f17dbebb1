"""Chronos-T5 (Ansari et al. 2024, arXiv 2403.07815): a T5 over value bins that draws samples."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from chronos import ChronosConfig, ChronosPipeline
from chronos.chronos import ChronosModel
from einops import rearrange
from torch import Tensor
from transformers import T5ForConditionalGeneration

from tsfm_probe.anatomy import Anatomy
from tsfm_probe.data.series import Forecast
from tsfm_probe.models import checkpoint, t5
from tsfm_probe.models.base import Model, Vocabulary, left_padded
from tsfm_probe.models.cached_decoder import CachedDecoder, output_scale, start_tokens
from tsfm_probe.models.cut.t5 import T5Body
from tsfm_probe.models.draws import inverse_cdf, uniforms
from tsfm_probe.models.maps import maps, memory_maps
from tsfm_probe.models.passes import Pass
from tsfm_probe.models.reading import LEVELS, Bins, nearest_unit
from tsfm_probe.models.source import Source
from tsfm_probe.models.spans import END, FED, START, Span, patches

SHARED = ("embed_tokens.weight", "lm_head.weight")


@dataclass(frozen=True, eq=False)
class Encoded:
    """Encoded contexts.

    contexts: as they were given. padded: [series, time] the same as one batch.
    scale: [series]. hidden: [series, token, d]. mask: [series, token].
    """

    contexts: Sequence[np.ndarray]
    padded: Tensor
    scale: Tensor
    hidden: Tensor
    mask: Tensor


class ChronosT5(Model):
    """A Chronos-T5 checkpoint with a decoding loop of its own.

    The encoder runs once per window, the samples of a series share its cross-attention states, and
    tokens are drawn by inverse CDF, so that a forecast depends on nothing but its own context,
    the seed and the numbers of samples and steps.
    """

    family = "chronos-t5"
    encoding_stacks = frozenset({"encoder"})
    draws_samples = True
    linear_readout = True
    body = T5Body(lambda net: _anatomy(net))

    @classmethod
    def load(cls, name: str, source: Source, device: str, dtype: str) -> "ChronosT5":
        """Read the checkpoint strictly; ModelError if it does not fit."""
        net = checkpoint.read(T5ForConditionalGeneration, source, device, dtype, SHARED, cls.body)
        return cls(name, source, net, _anatomy(net))

    @property
    def config(self) -> ChronosConfig:
        """The forecasting part of config.json."""
        return ChronosConfig(**self.net.config.chronos_config)

    @property
    def context_length(self) -> int:
        return self.config.context_length

    @property
    def default_samples(self) -> int:
        return self.config.num_samples

    @property
    def vocabulary(self) -> Vocabulary:
        final = self.net.decoder.final_layer_norm
        return Vocabulary(self.net.shared.weight, self.net.lm_head.weight, final.weight)

    @torch.no_grad()
    def encode(
        self, contexts: Sequence[np.ndarray], groups: Sequence[int] | None = None
    ) -> Encoded:
        return self._encode(contexts, left_padded(contexts, self.context_length))

    def _encode(self, contexts: Sequence[np.ndarray], padded: Tensor) -> Encoded:
        tokens, mask, scale = self.config.create_tokenizer().context_input_transform(padded)
        tokens, mask = tokens.to(self.device), mask.to(self.device)
        hidden = self.net.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state
        return Encoded(contexts, padded, scale, hidden, mask)

    @torch.no_grad()
    def decode(self, state: Encoded, horizon: int, seed: int = 0, samples: int = 0) -> Forecast:
        samples = samples or self.default_samples
        uniform = uniforms(state.contexts, seed, samples, horizon)
        config = self.config

        def draw(logits: Tensor, step: int) -> Tensor:
            chosen = uniform[:, :, step].reshape(-1).to(logits.device)
            return inverse_cdf(logits, chosen, config.temperature, config.top_k, config.top_p)

        paths = self._paths(state, horizon, samples, draw).double()
        at = torch.tensor(LEVELS, dtype=paths.dtype)
        values = torch.quantile(paths, at, dim=1)
        return Forecast(rearrange(values, "level series time -> series time level").numpy(), LEVELS)

    def _paths(
        self, state: Encoded, horizon: int, samples: int, choose: Callable[[Tensor, int], Tensor]
    ) -> Tensor:
        """Sample paths [series, sample, horizon]; past the native length the median is read."""
        tokenizer, native = self.config.create_tokenizer(), self.config.prediction_length
        paths: list[Tensor] = []
        for start in range(0, horizon, native):
            if start:
                known = torch.cat([state.padded, paths[-1].median(dim=1).values], dim=-1)
                state = self._encode(state.contexts, known[:, -self.context_length :])
            steps = min(native, horizon - start)
            tokens = self._tokens(state, steps, samples, start, choose)
            paths.append(tokenizer.output_transform(tokens.cpu(), state.scale))
        return torch.cat(paths, dim=-1)

    def _tokens(
        self,
        state: Encoded,
        steps: int,
        samples: int,
        start: int,
        choose: Callable[[Tensor, int], Tensor],
    ) -> Tensor:
        """Tokens [series, sample, step]; the end token cannot be chosen, as upstream has it."""
        decoder = CachedDecoder(self.net, state.hidden, state.mask, samples, steps)
        chosen = [start_tokens(self.net, len(state.hidden), samples)]
        for step in range(steps):
            logits = decoder.step(chosen[-1]).float()
            logits[:, self.config.eos_token_id] = -torch.inf
            chosen.append(choose(logits, start + step))
        tokens = torch.stack(chosen[1:], dim=-1)
        return rearrange(tokens, "(series sample) step -> series sample step", sample=samples)

    def predict(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Tensor:
        state = self._encode(contexts, left_padded(contexts, self.context_length))
        decoder = CachedDecoder(self.net, state.hidden, state.mask, 1, 1)
        return decoder.step(start_tokens(self.net, len(contexts), 1))[:, None]

    def taught(self, contexts: Sequence[np.ndarray], path: np.ndarray) -> Tensor:
        """[series, step, token] of every step, by upstream's decoder over all tokens at once."""
        known, native = left_padded(contexts, self.context_length), self.config.prediction_length
        found, values = list[Tensor](), torch.from_numpy(path)
        for read in values.split(native, dim=1):
            state = self._encode(contexts, known[:, -self.context_length :])
            bins = self._bins(state.scale)
            tokens = nearest_unit(bins.values[:, None], read, bins.forbidden).to(self.device)
            start = start_tokens(self.net, len(contexts), 1)[:, None]
            made = self.net(
                encoder_outputs=(state.hidden,),
                attention_mask=state.mask,
                decoder_input_ids=torch.cat([start, tokens[:, :-1]], dim=1),
                use_cache=False,
            )
            found.append(made.logits)
            known = torch.cat([known, read.to(known)], dim=-1)
        return torch.cat(found, dim=1)

    def reading(self, contexts: Sequence[np.ndarray], horizon: int = 1) -> Bins:
        return self._bins(self._scaled(left_padded(contexts, self.context_length)))

    def _scaled(self, padded: Tensor) -> Tensor:
        """The scale of each series of a batch [series, time]: [series]."""
        return self.config.create_tokenizer().context_input_transform(padded)[2]

    def _bins(self, scale: Tensor) -> Bins:
        tokens = torch.arange(self.net.config.vocab_size)[None, :, None]
        values = self.config.create_tokenizer().output_transform(tokens, torch.ones(1))
        return Bins(values[0, :, 0] * scale[:, None], (self.config.eos_token_id,))

    @torch.no_grad()
    def trace(
        self, contexts: Sequence[np.ndarray], horizon: int, path: np.ndarray | None = None
    ) -> Iterator[Pass]:
        """Token by token; past the native length the path is read as context."""
        known, native = left_padded(contexts, self.context_length), self.config.prediction_length
        for start in range(0, horizon, native):
            steps = min(native, horizon - start)
            state = self._encode(contexts, known[:, -self.context_length :])
            decoder = CachedDecoder(self.net, state.hidden, state.mask, 1, steps)
            bins, tokens = self._bins(state.scale), start_tokens(self.net, len(contexts), 1)
            for step in range(start, start + steps):
                one = Pass(step, horizon, decoder.step(tokens)[:, None], bins)
                yield one
                read = torch.from_numpy(one.median() if path is None else path[:, step : step + 1])
                known = torch.cat([known, read.to(known)], dim=-1)
                tokens = nearest_unit(bins.values[:, None], read, bins.forbidden)[:, 0]
                tokens = tokens.to(self.device)

    def spans(self, stack: str, length: int, horizon: int) -> tuple[Span, ...]:
        if stack == "encoder":
            read = patches(length, 1, self.context_length)
            return (*read, Span(END, length, length)) if self.config.use_eos_token else read
        later = min(horizon, self.config.prediction_length) - 1
        fed = (Span(FED, length + step, length + step + 1) for step in range(later))
        return (Span(START, length, length), *fed)

    def readout(self, stream: Tensor) -> Callable[[Tensor], Tensor]:
        normed = t5.frozen_norm(self.net.decoder.final_layer_norm, stream)
        return lambda part: self.net.lm_head(normed(part) * output_scale(self.net))

    def multiply_adds(self, context: int, horizon: int, samples: int) -> float:
        cross, native = memory_maps(self.anatomy), self.config.prediction_length
        known = (context + start for start in range(0, horizon, native))
        tokens = sum(min(one, self.context_length) + self.config.use_eos_token for one in known)
        drawn = horizon * (samples or self.default_samples)
        decoder = maps(self.net.decoder.block) - cross
        encoder = maps(self.net.encoder.block) + cross
        return float(encoder * tokens + (decoder + maps(self.net.lm_head)) * drawn)

    def upstream(self) -> ChronosPipeline:
        """The upstream pipeline around the same network."""
        return ChronosPipeline(self.config.create_tokenizer(), ChronosModel(self.config, self.net))

    @torch.no_grad()
    def deviation_from_upstream(self, contexts: Sequence[np.ndarray], horizon: int) -> float:
        ours = self._paths(self.encode(contexts), horizon, 1, lambda logits, _: logits.argmax(-1))
        given = left_padded(contexts, self.context_length)
        theirs = self.upstream().predict(given, horizon, num_samples=1, top_k=1)
        return float((ours - theirs).abs().max() / theirs.abs().max())


def _anatomy(net: Any) -> Anatomy:
    return t5.anatomy(net.encoder, net.decoder, net.lm_head)
