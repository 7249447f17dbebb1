"""Loading a model by name, folder or hub id."""

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tsfm_probe.errors import ModelError, UsageError, nearest
from tsfm_probe.models.source import Source, find

if TYPE_CHECKING:
    from tsfm_probe.models.base import Model

FAMILIES = {
    "chronos-t5": "tsfm_probe.models.chronos_t5:ChronosT5",
    "chronos-bolt": "tsfm_probe.models.chronos_bolt:ChronosBolt",
    "chronos-2": "tsfm_probe.models.chronos_2:Chronos2",
}
DEVICES = r"auto|cpu|cuda(:[0-9]{1,4})?"
DTYPES = ("auto", "float32", "bfloat16", "float16")


def load(name: str, device: str = "auto", dtype: str = "auto") -> "Model":
    """Load a model.

    name: a short name (`tsfm-probe models` lists them), a local folder in the published format,
    or a hub id `org/name` or `org/name@revision`.
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
    source = find(name)
    module, _, adapter = FAMILIES[family_of(source)].partition(":")
    return getattr(import_module(module), adapter).load(name, source, device, dtype)


def family_of(source: Source) -> str:
    """The family that a checkpoint's config.json speaks of; ModelError if it is none of ours."""
    config = source.config()
    pipeline = config.get("chronos_pipeline_class")
    architectures = _listed(config.get("architectures"))
    chronos = config.get("chronos_config")
    if pipeline == "Chronos2Pipeline" or "Chronos2Model" in architectures:
        return "chronos-2"
    if pipeline == "ChronosBoltPipeline" or "ChronosBoltModelForForecasting" in architectures:
        return "chronos-bolt"
    if isinstance(chronos, dict) and chronos.get("model_type") == "seq2seq":
        return "chronos-t5"
    raise ModelError(
        f"the family of {source.folder.name} was looked for in its config.json",
        f"architectures {architectures}, model_type {config.get('model_type')!r}",
        "families are " + ", ".join(FAMILIES),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
