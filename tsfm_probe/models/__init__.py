"""Loading a model by name, folder or hub id."""

import logging
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tsfm_probe.errors import ModelError, UsageError, nearest
from tsfm_probe.models.cut.kept import Kept
from tsfm_probe.models.source import Source, find
from tsfm_probe.models.twin import PREFIX, Twin, twin

if TYPE_CHECKING:
    from tsfm_probe.models.base import Model

log = logging.getLogger(__name__)
FAMILIES = {
    "chronos-t5": "tsfm_probe.models.chronos_t5:ChronosT5",
    "chronos-bolt": "tsfm_probe.models.chronos_bolt:ChronosBolt",
    "chronos-2": "tsfm_probe.models.chronos_2:Chronos2",
    "timesfm-2.5": "tsfm_probe.models.timesfm_2_5:TimesFM25",
    "timesfm-3": "tsfm_probe.models.timesfm_3.adapter:TimesFM3",
    "toto-2": "tsfm_probe.models.toto_2.adapter:Toto2",
    "toto-1": "tsfm_probe.models.toto_1.adapter:Toto1",
    "moirai-1.1": "tsfm_probe.models.moirai.moirai_1:Moirai1",
    "moirai-2": "tsfm_probe.models.moirai.moirai_2:Moirai2",
}
# For families whose config.json does not name them: the end of a weight's name that does.
SIGNS: dict[str, str] = {
    "timesfm-2.5": "output_projection_quantiles.residual_layer.weight",
    "timesfm-3": "transformer_stack.layers.0.post_seq_attn_ln.weight",
    "toto-2": "transformer.layers.0.attn_tau",
    "toto-1": "transformer.layers.0.attention.wQKV.weight",
    "moirai-1.1": "param_proj.proj.weights_logits.weight",
    "moirai-2": "layers.0.self_attn.var_attn_bias.emb.weight",  # which 1.1 has as well
}
DEVICES = r"auto|cpu|cuda(:[0-9]{1,4})?"
DTYPES = ("auto", "float32", "bfloat16", "float16")


def load(name: str, device: str = "auto", dtype: str = "auto") -> "Model":
    """Load a model.

    name: a short name (`tsfm-probe models` lists them), a local folder in the published format,
    or a hub id `org/name` or `org/name@revision`; `random:` in front of any of them, and perhaps
    `@seed` at its end, stands for the same network with random weights.
    device: "auto" takes CUDA if there is one. dtype: "auto" is float32 on the CPU and what the
    checkpoint says on CUDA.
    Raises UsageError for an unknown name or option, ModelError for a checkpoint that cannot be
    had, read or trusted.
    """
    if not re.fullmatch(DEVICES, device):
        raise UsageError(
            f"device {device!r} was asked for", allowed="allowed are auto, cpu, cuda (cuda:1, ...)"
        )
    if dtype not in DTYPES:
        raise UsageError(f"dtype {dtype!r} was asked for", allowed=nearest(dtype, DTYPES))
    source = twin(name) if name.startswith(PREFIX) else find(name)
    module, _, adapter = FAMILIES[family_of(source)].partition(":")
    model = getattr(import_module(module), adapter).load(name, source, device, dtype)
    model.kept = Kept.of(source.config())
    if isinstance(source, Twin):
        model.source = source.holding(model.net.state_dict())
    elif model.notice:
        log.warning("%s: %s", name, model.notice)
    return model


def family_of(source: Source) -> str:
    """The family that a checkpoint's config.json or its weights' names speak of.

    ModelError if it is none of ours.
    """
    if isinstance(source, Twin) and source.family:
        return source.family
    config = source.config()
    if (kept := Kept.of(config)).family in FAMILIES:
        return kept.family
    pipeline = config.get("chronos_pipeline_class")
    architectures = _listed(config.get("architectures"))
    chronos = config.get("chronos_config")
    if pipeline == "Chronos2Pipeline" or "Chronos2Model" in architectures:
        return "chronos-2"
    if pipeline == "ChronosBoltPipeline" or "ChronosBoltModelForForecasting" in architectures:
        return "chronos-bolt"
    if isinstance(chronos, dict) and chronos.get("model_type") == "seq2seq":
        return "chronos-t5"
    weights = source.weight_names()
    for family, sign in SIGNS.items():
        if any(weight.endswith(sign) for weight in weights):
            return family
    raise ModelError(
        f"the family of {source.folder.name} was looked for in its config.json",
        f"architectures {architectures}, model_type {config.get('model_type')!r}",
        "families are " + ", ".join(FAMILIES),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
