"""Write a run's averaged weights as a checkpoint that upstream loads:
`python benchmarks/nano/export.py RUN FOLDER`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from families import found
from safetensors.torch import save_file


def averaged(state: dict[str, Any]) -> Any:
    """The network of a checkpoint or snapshot with its averaged weights, in eval mode."""
    net = found(state["family"]).built(0)
    with torch.no_grad():
        for parameter, average in zip(net.parameters(), state["average"], strict=True):
            parameter.copy_(average)
    return net.eval()


def export(state: dict[str, Any], folder: Path) -> None:
    """Write config.json and model.safetensors (half precision, loaded as single) to `folder`."""
    net = averaged(state)
    folder.mkdir(parents=True, exist_ok=True)
    # parameters() names a tied weight once, as the format wants it.
    halves = {name: p.detach().half().contiguous() for name, p in net.named_parameters()}
    part = folder / "model.part"
    save_file(halves, part, metadata={"format": "pt"})
    part.chmod(0o644)
    part.replace(folder / "model.safetensors")
    if isinstance(net.config, dict):  # a network of our own: as published, without a dtype
        (folder / "config.json").write_text(json.dumps(net.config, indent=2) + "\n")
        return
    net.config.dtype = torch.float32
    net.config.architectures = [type(net).__name__]
    net.config.to_json_file(folder / "config.json")


def main() -> None:
    """Read the two paths from the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "run", type=Path, help="folder that train.py wrote, or one of its snapshots"
    )
    parser.add_argument("folder", type=Path, help="folder to write the checkpoint to")
    given = parser.parse_args()
    file = given.run / "last.pt" if given.run.is_dir() else given.run
    export(torch.load(file, map_location="cpu"), given.folder)


if __name__ == "__main__":
    main()
