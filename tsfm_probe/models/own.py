"""Networks of our own, which read and write the published format of theirs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from tsfm_probe.durable import write_atomically


class OwnNetwork(nn.Module):
    """A network with the weight names of a published one.

    config: the content of its config.json.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = dict(config)

    def start(self) -> None:
        """Draw the weights anew, in families whose constructor does not start them for training."""

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        write_atomically(
            folder / "config.json", (json.dumps(self.config, indent=2) + "\n").encode()
        )
