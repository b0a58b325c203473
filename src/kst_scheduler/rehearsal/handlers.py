"""Which handlers of a function catch every error and raise none."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from kst_scheduler.rehearsal.syntax import Definition, name_of, own_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL: Final = frozenset(("Exception", "BaseException"))
EXITS: Final = frozenset(("sys.exit", "exit", "quit", "os._exit", "os.abort"))
"""What ends a run as an error does: APScheduler catches SystemExit, too."""

Loop = ast.For | ast.AsyncFor | ast.While


def hidden_failures(function: Definition) -> Iterator[int]:
    """Yield the line of each handler, or ``suppress``, that hides a failure of the function.

    What raises later in the function, or in a loop around it, may raise what was caught. What is
    caught in a ``finally``, or in another handler, is a failure of the cleaning.
    """
    aside = {id(each) for node in own_nodes(function) for each in _aside(node)}
    raising = [
        each
        for each in own_nodes(function)
        if isinstance(each, ast.Raise | ast.Call) and _raises(each)
    ]
    loops = [each for each in own_nodes(function) if isinstance(each, Loop)]
    for node in own_nodes(function):
        if id(node) in aside:
            continue
        for caught in _caught(node):
            inside = {id(each) for each in ast.walk(caught)}
            around = {id(each) for loop in loops if _has(loop, node) for each in ast.walk(loop)}
            tried = {id(each) for part in getattr(node, "body", []) for each in ast.walk(part)}
            gives = any(map(_gives_a_result, ast.walk(caught))) or _tries_again(caught, loops)
            later = (
                each.lineno > (caught.end_lineno or 0) or id(each) in around
                for each in raising
                if id(each) not in tried
            )
            if not gives and not any(id(each) in inside for each in raising) and not any(later):
                yield caught.lineno


def _aside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a handler or in a ``finally``."""
    if isinstance(node, ast.ExceptHandler):
        yield from (each for part in node.body for each in ast.walk(part))
    for part in getattr(node, "finalbody", []):
        yield from ast.walk(part)


def _caught(node: ast.AST) -> Iterator[ast.ExceptHandler | ast.expr]:
    """Yield what catches every error in a ``try`` or ``with``."""
    if isinstance(node, ast.Try | ast.TryStar):
        yield from (each for each in node.handlers if _is_all(each.type))
    elif isinstance(node, ast.With | ast.AsyncWith):
        for each in node.items:
            call = each.context_expr
            if name_of(call, {}).rpartition(".")[2] == "suppress" and isinstance(call, ast.Call):
                yield from [call] if any(map(_is_all, call.args)) else []


def _is_all(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_all, caught.elts))
    return caught is None or name_of(caught, {}) in ALL


def _raises(node: ast.Raise | ast.Call) -> bool:
    """Tell whether this ends the run with an error."""
    return isinstance(node, ast.Raise) or name_of(node, {}) in EXITS


def _gives_a_result(node: ast.AST) -> bool:
    """Tell whether a handler returns what tells its caller of the failure."""
    value = node.value if isinstance(node, ast.Return) else None
    return value is not None and not (isinstance(value, ast.Constant) and value.value is None)


def _tries_again(caught: ast.AST, loops: list[ast.For | ast.AsyncFor | ast.While]) -> bool:
    """Tell whether a handler leads to another try, until one succeeds."""
    around = [each for each in loops if _has(each, caught)]
    if not around or any(isinstance(each, ast.Break | ast.Return) for each in ast.walk(caught)):
        return False
    test = getattr(around[-1], "test", None)  # the innermost, as they are in order
    return isinstance(test, ast.Constant) and bool(test.value)


def _has(outer: ast.AST, inner: ast.AST) -> bool:
    return any(each is inner for each in ast.walk(outer))
