"""tsfm-probe: find which parts of a time-series foundation model do the work.

Public names are loaded when they are first used, so that importing the package is quick and
imports no model library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsfm_probe.address import Address
    from tsfm_probe.attribution.probe import attribute
    from tsfm_probe.data.dataset import Dataset
    from tsfm_probe.data.read import read
    from tsfm_probe.data.series import Forecast, Series, Window
    from tsfm_probe.data.synthetic import generated
    from tsfm_probe.errors import ProbeError
    from tsfm_probe.laws import check
    from tsfm_probe.models import load
    from tsfm_probe.probes.ablation import ablate
    from tsfm_probe.surgery.attention import attention
    from tsfm_probe.surgery.edit import Edit, edited
    from tsfm_probe.surgery.record import recorded
    from tsfm_probe.table import Table
    from tsfm_probe.verdict import answer, summary

__version__ = "0.1.0"
__all__ = [
    "Address",
    "Dataset",
    "Edit",
    "Forecast",
    "ProbeError",
    "Series",
    "Table",
    "Window",
    "ablate",
    "answer",
    "attention",
    "attribute",
    "check",
    "edited",
    "generated",
    "load",
    "read",
    "recorded",
    "summary",
]
_PLACES = {
    "Address": "address",
    "Dataset": "data.dataset",
    "Edit": "surgery.edit",
    "Forecast": "data.series",
    "ProbeError": "errors",
    "Series": "data.series",
    "Table": "table",
    "Window": "data.series",
    "ablate": "probes.ablation",
    "answer": "verdict",
    "attention": "surgery.attention",
    "attribute": "attribution.probe",
    "check": "laws",
    "edited": "surgery.edit",
    "generated": "data.synthetic",
    "load": "models",
    "read": "data.read",
    "recorded": "surgery.record",
    "summary": "verdict",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"tsfm_probe has no {name}; it has {', '.join(__all__)}")
    return getattr(import_module(f"tsfm_probe.{_PLACES[name]}"), name)
