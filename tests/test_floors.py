from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parent.parent / "src" / "kst_scheduler"

FLOORS = [
    "errors",
    "stored_names",
    "time_limit",
    "extras",
    "user_values",
    "torn_down",
    "timezone",
    "redaction",
    "caller",
    "arguments",
    "trigger_parts",
    "cron_fields",
    "crontab_line",
    "triggers",
    "named_triggers",
    "spread",
    "holidays",
    "business_days",
    "phrases",
    "wording",
    "fire_times",
    "occurrence",
    "job_threads",
    "runs",
    "fates",
    "executor",
    "kept_writes",
    "drain",
    "guards",
    "job_functions",
    "agreement",
    "job_store",
    "wall_clock",
    "run_control",
    "scheduler",
    "due_jobs",
    "recorder",
    "lease",
    "locks",
    "ledger",
    "patience",
    "replica",
    "outcome",
    "takeover",
    "once",
    "reconcile",
    "alerts",
    "simulation",
    "timeline",
    "local_server",
    "nps",
    "servers",
    "distributed",
    "service",
    "workbook",
]
"""From the ground up: a module imports only from its own floor and from those below it."""

JUPYTER = {
    "IPython",
    "ipykernel",
    "ipywidgets",
    "jupyter_client",
    "jupyterlab",
    "nbclient",
    "nbformat",
}


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names of the modules that are imported here, other than for types only."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
    for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in [] if for_types else ast.iter_child_nodes(node):
        yield from imports(child)


def floor_of(path: Path) -> str:
    """Return the floor that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if floor_of(path) != "__init__"]


def test_every_module_has_its_floor() -> None:
    """The list above is complete, and names nothing that is not there."""
    assert {floor_of(path) for path in FILES} == set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    """No module leans on one above it, and none outside workbook/ on Jupyter."""
    own = FLOORS.index(floor_of(path))
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] == "kst_scheduler" and len(parts) > 1:
            assert FLOORS.index(parts[1]) <= own, name
        assert parts[0] not in JUPYTER or floor_of(path) == "workbook", name
