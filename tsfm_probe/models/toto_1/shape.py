"""The shape of a Toto 1.0 network, as config.json of a checkpoint tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIZES = ("patch_size", "embed_dim", "num_heads", "mlp_hidden_dim", "num_layers")
LARGEST_EXPONENT = 300  # of a power of ten that is a number in fp64
ONLY = {
    "scaler_cls": "<class 'model.scaler.CausalPatchStdMeanScaler'>",
    "output_distribution_classes": ["<class 'model.distribution.MixtureOfStudentTsOutput'>"],
}
FURTHER = (
    *("stride", "spacewise_every_n_layers", "spacewise_first", "output_distribution_kwargs"),
    *("stabilize_with_global", "scale_factor_exponent"),
)
# These change how a forecast is computed or trained, or what is told of it, but not what it is.
WITHOUT_EFFECT = (
    *("dropout", "use_memory_efficient_attention", "pre_xformers_checkpoint"),
    *("architectures", "model_type", "dtype", "torch_dtype", "transformers_version"),
)


@dataclass(frozen=True)
class Shape:
    """Sizes, and what kind of attention each layer has.

    patch: steps of a token. width: of the stream. hidden: of the MLPs. components: of the mixture.
    parts: for each layer "time" or "variate". exponent: see `scaler.normalise`.
    """

    patch: int
    width: int
    heads: int
    hidden: int
    components: int
    parts: tuple[str, ...]
    exponent: float | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Shape":
        """Raises KeyError, TypeError or ValueError for what is missing, unusable or unknown."""
        _refuse_unknown(config)
        _refuse_unusable(config)
        components = config["output_distribution_kwargs"]["k_components"]
        patch, width, heads, hidden, layers = (config[name] for name in SIZES)
        sizes = (patch, width, heads, hidden, layers, components)
        if any(type(one) is not int or one < 1 for one in sizes):
            raise ValueError(f"{', '.join(SIZES)} and k_components must be positive whole numbers")
        if width % (2 * heads):
            raise ValueError(f"embed_dim {width} does not give {heads} heads an even size")
        if config["stride"] != patch:
            raise ValueError(f"stride {config['stride']} is not patch_size {patch}")
        bounded = config.get("stabilize_with_global", True)
        exponent = float(config.get("scale_factor_exponent", 10.0)) if bounded else None
        return cls(patch, width, heads, hidden, components, _parts(config, layers), exponent)


def _refuse_unknown(config: Mapping[str, Any]) -> None:
    unknown = config.keys() - {*SIZES, *ONLY, *FURTHER, *WITHOUT_EFFECT}
    if unknown:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}")
    for name, only in ONLY.items():
        if config[name] != only:
            raise ValueError(f"{name} {config[name]!r} is not {only!r}")


def _refuse_unusable(config: Mapping[str, Any]) -> None:
    for name in ("spacewise_first", "stabilize_with_global"):
        if type(config.get(name, True)) is not bool:
            raise ValueError(f"{name} {config[name]!r} is neither true nor false")
    exponent = config.get("scale_factor_exponent", 10.0)
    if type(exponent) not in (int, float) or not 0 < exponent <= LARGEST_EXPONENT:
        raise ValueError(
            f"scale_factor_exponent {exponent!r} is no positive number up to {LARGEST_EXPONENT}"
        )


def _parts(config: Mapping[str, Any], layers: int) -> tuple[str, ...]:
    every = config["spacewise_every_n_layers"]
    if every == -1:
        return ("time",) * layers
    if type(every) is not int or every < 1 or layers % every:
        raise ValueError(f"num_layers {layers} is no multiple of spacewise_every_n_layers {every}")
    times = ("time",) * (every - 1)
    first = config.get("spacewise_first", True)
    return (("variate", *times) if first else (*times, "variate")) * (layers // every)
