"""Names in a syntax tree: what is called, and where a function begins."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for; a relative import is named without its package."""
    names = {}
    for each in ast.walk(tree):
        if isinstance(each, ast.Import):
            names.update({one.asname: one.name for one in each.names if one.asname})
        elif isinstance(each, ast.ImportFrom):
            module = f"{each.module}." if each.module else ""
            names.update({one.asname or one.name: f"{module}{one.name}" for one in each.names})
    return names


def name_of(node: Any, imported: Mapping[str, str]) -> str:
    """Return the dotted name of what is called, as its module knows it; empty: it has none."""
    if isinstance(node, ast.Call):
        node = node.func
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(imported.get(node.id, node.id) if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts)).removeprefix(".")


def first_line(node: Definition) -> int:
    """Return the line at which Python lets a function begin: that of its first decorator."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is executed when a function is: not what functions in it do."""
    body = [node.body] if isinstance(node, ast.Lambda) else getattr(node, "body", [])
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        found = stack.pop()
        yield found
        if not isinstance(found, Definition | ast.ClassDef):
            stack.extend(reversed([*ast.iter_child_nodes(found)]))
