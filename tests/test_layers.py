"""Imports go down only, and hooks stay in surgery."""

import ast
import re
from pathlib import Path

import tsfm_probe

PACKAGE = Path(tsfm_probe.__file__).parent
LAYERS = (
    ("errors",),
    ("address", "durable"),
    ("data", "metrics", "table", "anatomy", "shard", "bootstrap", "behaviour"),
    ("models", "surgery", "run_folder", "verdict"),
    ("scores",),
    ("probes", "laws", "attribution", "diagnosis", "prune", "evaluate"),
    ("report",),
    ("commands", "cli", "__main__"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Our own modules that a file imports at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tsfm_probe."):
            found.add((node.module or "").split(".")[1])
    return found


def test_every_module_has_a_layer() -> None:
    assert {top(path) for path in modules()} == set(RANK)


def test_imports_go_down_only() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in modules()
        for name in imported(path)
        if RANK[name] > RANK[top(path)]
    ]
    assert wrong == []


def test_surgery_does_not_know_models_and_report_knows_tables_only() -> None:
    for path in modules():
        if top(path) == "surgery":
            assert "models" not in imported(path), path
        if top(path) == "report":
            assert imported(path) <= {"report", "table", "address", "errors", "durable"}, path


def test_hooks_are_in_surgery_alone() -> None:
    hooked = [top(path) for path in modules() if re.search(r"\.register_\w*hook", path.read_text())]
    assert set(hooked) == {"surgery"}


def test_imports_inside_functions_are_for_the_command_line_and_adapters_alone() -> None:
    inside = {
        top(path)
        for path in modules()
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert inside <= {"cli", "models"}


def test_files_and_functions_are_small() -> None:
    assert [path.name for path in modules() if len(path.read_text().splitlines()) > 250] == []
    long = [
        f"{path.name}:{node.name}"
        for path in modules()
        if top(path) != "cli"  # a command's options make its length
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 40
    ]
    assert long == []
