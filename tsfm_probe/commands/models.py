"""`tsfm-probe models`: the models that are known by name."""

from dataclasses import asdict

from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.models.names import KNOWN
from tsfm_probe.models.source import is_here


def tell(terminal: Terminal) -> None:
    """List them."""
    if terminal.as_json:
        terminal.print_json([asdict(one) | {"here": is_here(one.name)} for one in KNOWN.values()])
        return
    rows = [
        [
            one.name,
            one.family,
            one.hub_id or "ships with tsfm-probe",
            f"{one.layers} x {one.heads}",
            f"{one.parameters:.4g} M",
            "yes" if is_here(one.name) else "no",
        ]
        for one in KNOWN.values()
    ]
    columns = ["name", "family", "hub id", "layers x heads", "parameters", "here"]
    title = (
        "Known models (a local folder or any hub id works as well; random:NAME has random weights)"
    )
    terminal.grid(title, columns, rows)
