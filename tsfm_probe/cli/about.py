"""The commands that tell of models and of this package: models, check, version."""

from tsfm_probe.cli.options import AsJson, Device, ModelName, Quiet


def models(as_json: AsJson = False) -> None:
    """List the known models.

    Told are family, hub id, layers x heads, parameters, and whether the weights are here.
    """
    from tsfm_probe.commands.models import tell
    from tsfm_probe.commands.terminal import Terminal

    tell(Terminal(as_json=as_json))


def check(
    model: ModelName, device: Device = "auto", as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Try the laws on MODEL; exit with 3 if one fails.

    They say that forecasts, edits, weights and streams are what they are taken for.
    """
    from tsfm_probe.commands.check import execute
    from tsfm_probe.commands.terminal import Terminal

    terminal = Terminal(quiet, as_json)
    terminal.set_up()
    execute(model, device, terminal)


def version() -> None:
    """Print the version."""
    from tsfm_probe import __version__

    print(__version__)
