"""Reading a published checkpoint into a network, upstream's or our own, strictly."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tsfm_probe.errors import ModelError, UsageError
from tsfm_probe.models.cut.body import Body
from tsfm_probe.models.cut.kept import KEY, Kept
from tsfm_probe.models.cut.smaller import builder, narrow_class
from tsfm_probe.models.own import OwnNetwork
from tsfm_probe.models.source import Source
from tsfm_probe.models.start import drawn, started
from tsfm_probe.models.twin import Twin

QUANTISED = {"I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4"}
UNREADABLE = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    AssertionError,
    SafetensorError,
    StrictDataclassError,
)


def read(
    network: Any,
    source: Source,
    device: str,
    dtype: str,
    optional: tuple[str, ...],
    body: Body | None,
) -> Any:
    """The network with its published weights, in eval mode, eager.

    network: an upstream class with `from_pretrained`. optional: ends of the names of weights that
    may be missing because they are shared with others. body: how the network is made smaller, if
    config.json says that parts of it were cut.
    Raises ModelError that names missing, unexpected or misshapen weights; UsageError if CUDA is
    asked for where there is none. Of a twin the weights are drawn.
    """
    place = _place(device)
    network = narrow_class(network, body, Kept.of(source.config()))
    if isinstance(source, Twin):
        return _twin(source, lambda: started(network, source), place, dtype)
    files = source.weight_files
    _refuse_quantised(source)
    try:
        net, info = network.from_pretrained(
            source.folder,
            dtype=_dtype(place, dtype, source),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are told, and refused below
        )
    except UNREADABLE as error:
        raise _unreadable(source, files[0].name, error) from error
    _refuse_mismatch(source, info, optional)
    return net.to(place).eval()


def read_own(
    build: Callable[[dict[str, Any]], OwnNetwork],
    source: Source,
    device: str,
    dtype: str,
    optional: tuple[str, ...] = (),
    renamed: Callable[[str], str] | None = None,
    body: Body | None = None,
) -> Any:
    """A network of our own with its published weights, in eval mode.

    build: makes the network from the content of config.json; a KeyError, TypeError or ValueError
    of it says that the config cannot be used. optional: ends of the names of weights that may be
    missing or unexpected. renamed: the network's name of a weight in the file. body: see `read`.
    Raises ModelError that names missing, unexpected or misshapen weights; UsageError if CUDA is
    asked for where there is none. Of a twin the weights are drawn.
    """
    place = _place(device)
    told = source.config()
    config = {name: value for name, value in told.items() if name != KEY}
    build = builder(build, body, Kept.of(told))
    if isinstance(source, Twin):
        return _twin(source, lambda: _begun(build(config)), place, dtype)
    _refuse_quantised(source)
    try:
        net = build(config)
    except UNREADABLE as error:
        raise _unreadable(source, "config.json", error) from error
    weights = _weights(source, renamed)
    own = net.state_dict()
    _refuse_mismatch(source, _compared(own, weights, optional), optional)
    net.load_state_dict({name: weights.get(name, own[name]) for name in own})
    return net.to(place, _dtype(place, dtype, source)).eval()


def _refuse_quantised(source: Source) -> None:
    """ModelError for weights that are numbers of levels, which only their scales make weights."""
    told = bool(source.config().get("quantization_config"))
    narrow = sorted(source.weight_dtypes() & QUANTISED)
    if told or narrow:
        raise ModelError(
            f"the checkpoint in {source.folder} was to be read",
            "its config.json has a quantization_config" if told else f"weights are {narrow[0]}",
            "quantised checkpoints are not supported: dequantise it first",
        )


def _weights(source: Source, renamed: Callable[[str], str] | None) -> dict[str, Tensor]:
    """The weights in the files of a checkpoint by the names that the network has for them."""
    weights: dict[str, Tensor] = {}
    for file in source.weight_files:
        try:
            for name, weight in load_file(file).items():
                own_name = renamed(name) if renamed else name
                if own_name in weights:
                    raise ValueError(f"{own_name} is there twice")
                weights[own_name] = weight
        except UNREADABLE as error:
            raise _unreadable(source, file.name, error) from error
    return weights


def _twin(source: Twin, build: Callable[[], Any], place: torch.device, dtype: str) -> Any:
    try:
        net = drawn(source, build)
    except UNREADABLE as error:
        raise _unreadable(source, "config.json", error) from error
    return net.to(place, _dtype(place, dtype, source)).eval()


def _begun(net: Any) -> Any:
    """The network with its family's start, where it is not that of its constructor."""
    if isinstance(net, OwnNetwork):
        net.start()
    return net


def _compared(
    own: Mapping[str, Tensor], found: Mapping[str, Tensor], optional: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "missing_keys": own.keys() - found.keys(),
        "unexpected_keys": {
            name for name in found.keys() - own.keys() if not name.endswith(optional)
        },
        "mismatched_keys": [
            (name,)
            for name in own.keys() & found.keys()
            if own[name].shape != found[name].shape
            or own[name].is_floating_point() != found[name].is_floating_point()
        ],
    }


def _unreadable(source: Source, file: str, error: Exception) -> ModelError:
    told = file if file == "config.json" else f"{file} or config.json"
    reason = " ".join(str(error).split())[:200] or repr(error)
    return ModelError(
        f"the checkpoint in {source.folder} was to be read",
        f"{told} is damaged or does not fit ({reason})",
        "a folder in the published format",
    )


def _refuse_mismatch(source: Source, info: dict[str, Any], optional: tuple[str, ...]) -> None:
    missing = sorted(key for key in info["missing_keys"] if not key.endswith(optional))
    unexpected = sorted(info["unexpected_keys"])
    misshapen = sorted(str(one[0]) for one in info.get("mismatched_keys", ()))
    wrong = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    told = [
        f"{len(keys)} weights {what} ({', '.join(keys[:4])}{', ...' if len(keys) > 4 else ''})"
        for what, keys in wrong.items()
        if keys
    ]
    if told:
        raise ModelError(
            f"the checkpoint in {source.folder} was to be loaded strictly",
            "; ".join(told),
            "its weights must be those that its config.json describes",
        )


def _place(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(
            f"device {device!r} was asked for",
            "this machine or this torch has no CUDA",
            "allowed are cpu, auto",
        )
    place = torch.device(device)
    if place.type == "cuda" and (place.index or 0) >= (count := torch.cuda.device_count()):
        raise UsageError(f"device {device!r} was asked for", f"there are {count}, from cuda:0 on")
    return place


def _dtype(place: torch.device, dtype: str, source: Source) -> torch.dtype:
    if dtype == "auto" and place.type == "cuda":
        config = source.config()
        dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return getattr(torch, "float32" if dtype == "auto" else dtype)
