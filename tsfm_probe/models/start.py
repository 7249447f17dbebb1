"""Random starts of networks: those that their families mean to give them."""

from collections.abc import Callable
from typing import Any

import torch

from tsfm_probe.errors import ModelError
from tsfm_probe.models.twin import Twin


def drawn(source: Twin, build: Callable[[], Any]) -> Any:
    """The network that `build` makes, its random numbers those of the seed; no others change."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(source.seed)
        return build()


def started(network: Any, source: Twin) -> Any:
    """A network of transformers or chronos with the start that its upstream means to give it.

    Two things are set right. Published configs of T5 families have an `initializer_factor` of 0.05,
    with which no part has an effect to speak of: here it is 1. And transformers 5 gives each linear
    map its own start before the block that it belongs to can give it another (Chronos blocks then
    have unit weights, which drown what layers write): here blocks have the last word.
    ModelError where the config does not tell the shape.
    """
    if getattr(network, "config_class", None) is None:
        raise ModelError(
            f"a random twin of the checkpoint in {source.folder} was asked for",
            "its config.json does not tell its shape",
            "a folder in the format of transformers",
        )
    source.config()  # refuses what is missing or damaged in words
    config = network.config_class.from_pretrained(source.folder)
    factor = getattr(config, "initializer_factor", None)
    if factor is not None:
        config.initializer_factor = 1.0
    net = network(config)
    for weight in net.parameters():
        weight._is_hf_initialized = False
    with torch.no_grad():
        for module in net.modules():
            if any(True for _ in module.children()):
                net._init_weights(module)
    if factor is not None:
        config.initializer_factor = factor
    return net
