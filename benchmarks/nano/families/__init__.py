"""One configuration file per family: architecture, loss and curriculum of its nano model."""

from importlib import import_module

from family import Family

NAMES = ("chronos-t5", "chronos-bolt", "chronos-2", "timesfm-2.5", "toto-1", "moirai-1.1")


def found(name: str) -> Family:
    """The configuration of the family `name`, one of NAMES."""
    return import_module(f"families.{name.replace('-', '_').replace('.', '_')}").FAMILY
