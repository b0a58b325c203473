"""Ways to change an answer so that it does something else, on its syntax tree."""

from __future__ import annotations

import ast
import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


TEN: Final = 10
"""What is below it is an hour, a day, or a count, and half of it often the same."""


class _At(ast.NodeTransformer):
    """Change the node at one place, in the order in which all are visited."""

    def __init__(self, place: int, change: Callable[[ast.AST], ast.AST | None]) -> None:
        self._place, self._change = place, change
        self._seen = -1

    def visit(self, node: ast.AST) -> Any:
        self._seen += 1
        if self._seen == self._place:
            return self._change(node)
        return self.generic_visit(node)


def _another_number(node: ast.AST) -> ast.AST | None:
    number = _number(node)
    return None if number is None else ast.Constant(number + 1)


def _half_the_number(node: ast.AST) -> ast.AST | None:
    number = _number(node)
    return None if number is None or number < TEN else ast.Constant(number // 2)


def _number(node: ast.AST) -> float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _another_text(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        return ast.Constant(_other_text(node.value))
    return None


def _other_text(text: str) -> str:
    """Return another time for a time, another day for days, and other letters for letters."""
    digits = [place for place, letter in enumerate(text) if letter.isdigit()]
    if digits and len(text) < 8:
        place = digits[0]
        return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"
    return text.replace("fri", "sat") if "fri" in text else f"{text}x"


def _another_zone(node: ast.AST) -> ast.AST | None:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return None
    if node.func.id in {"cron", "crontab", "every"}:
        shanghai = ast.keyword("timezone", ast.Constant("Asia/Shanghai"))
        return ast.Call(node.func, node.args, [*node.keywords, shanghai])
    if node.func.id == "kst":
        zone = "__import__('zoneinfo').ZoneInfo('UTC')"
        return ast.parse(f"{ast.unparse(node)}.replace(tzinfo={zone})", mode="eval").body
    return None


def _no_await(node: ast.AST) -> ast.AST | None:
    return node.value if isinstance(node, ast.Await) else None


def _await_in_a_task(node: ast.AST) -> ast.AST | None:
    """Begin what is awaited, and leave it alone."""
    if not isinstance(node, ast.Await):
        return None
    begin = ast.parse("__import__('asyncio').ensure_future", mode="eval").body
    return ast.Call(begin, [node.value], [])


def _nothing_raised(node: ast.AST) -> ast.AST | None:
    """Keep whatever a line raises that awaits something, a cancellation among it."""
    if not isinstance(node, ast.Expr | ast.Assign | ast.Return | ast.AsyncWith):
        return None
    if not any(isinstance(each, ast.Await | ast.AsyncWith) for each in ast.walk(node)):
        return None
    nothing = ast.Expr(ast.Constant(...))
    everything = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [nothing])
    return ast.Try([node], [everything], [], [])


def _this_year(node: ast.AST) -> ast.AST | None:
    """Let a cron end with the year of the exercises."""
    if not isinstance(node, ast.Call):
        return None
    kind = node.func.id if isinstance(node.func, ast.Name) else ""
    texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
    if kind != "cron" and "cron" not in texts:
        return None
    return ast.Call(node.func, node.args, [*node.keywords, ast.keyword("year", ast.Constant(2026))])


def _swapped_arguments(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Call) and len(node.args) > 1:
        first, second, *more = node.args
        return ast.Call(node.func, [second, first, *more], node.keywords)
    return None


def _inverted(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        other = copy.copy(node)
        other.test = ast.UnaryOp(ast.Not(), node.test)
        return other
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        pairs = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.In: ast.NotIn}
        if kind := pairs.get(type(node.ops[0])):
            return ast.Compare(node.left, [kind()], node.comparators)
    return None


def _no_claim(node: ast.AST) -> ast.AST | None:
    """Call the job itself where ``once(...)(job)`` stands."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and len(node.args) == 1:
        return node.args[0]
    return None


def _no_block(node: ast.AST) -> ast.AST | None:
    """Leave out ``with`` and ``try``, and keep what is in it."""
    if isinstance(node, ast.With | ast.AsyncWith | ast.Try):
        return ast.If(ast.Constant(value=True), node.body, [])
    return None


def _no_line(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Expr | ast.Assign | ast.Raise | ast.Return) and not (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ):
        return ast.Pass()
    return None


def _no_decorator(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
        other = copy.copy(node)
        other.decorator_list = []
        return other
    return None


CHANGES: Final[dict[str, Callable[[ast.AST], ast.AST | None]]] = {
    "another number": _another_number,
    "half the number": _half_the_number,
    "another text": _another_text,
    "another zone": _another_zone,
    "no await": _no_await,
    "await in a task": _await_in_a_task,
    "nothing raised": _nothing_raised,
    "this year": _this_year,
    "swapped arguments": _swapped_arguments,
    "inverted": _inverted,
    "no claim": _no_claim,
    "no block": _no_block,
    "no line": _no_line,
    "no decorator": _no_decorator,
}


ADDED: Final = ("await in a task", "nothing raised", "this year")
"""These add a fault, where the others change what is there."""


def _without_one(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node without an option, an element of a list, a key, or a name that is excepted."""
    if isinstance(node, ast.Call):
        for option in node.keywords:
            rest = [each for each in node.keywords if each is not option]
            yield ast.Call(node.func, node.args, rest)
    if isinstance(node, ast.List):
        for element in node.elts:
            yield ast.List([each for each in node.elts if each is not element], node.ctx)
    if isinstance(node, ast.Dict):
        for place in range(len(node.keys)):
            keys, values = list(node.keys), list(node.values)
            del keys[place], values[place]
            yield ast.Dict(keys, values)


@cache
def broken(code: str) -> tuple[tuple[str, str], ...]:
    """Return what each change does to an answer: its name with the line, and the code."""
    return tuple(_all_broken(code))


def _all_broken(code: str) -> Iterator[tuple[str, str]]:
    count = sum(1 for _ in ast.walk(ast.parse(code)))
    before = ast.unparse(ast.parse(code))
    seen = {before}
    for place in range(count):
        for name, after in _changed_at(code, place):
            if after not in seen:
                seen.add(after)
                yield name, after


def _changed_at(code: str, place: int) -> Iterator[tuple[str, str]]:
    for name, change in CHANGES.items():
        yield from _applied(code, place, name, _only(change))
    yield from _applied(code, place, "one less", lambda node: list(_without_one(node)))


def _only(change: Callable[[ast.AST], ast.AST | None]) -> Callable[[ast.AST], list[ast.AST]]:
    return lambda node: [changed] if (changed := change(node)) else []


def _applied(
    code: str, place: int, name: str, change: Callable[[ast.AST], list[ast.AST]]
) -> Iterator[tuple[str, str]]:
    """Yield the code with the node at the place exchanged, for each that it is changed to."""
    found: list[ast.AST] = []

    def find(node: ast.AST) -> ast.AST:
        found.append(node)
        return node

    _At(place, find).visit(ast.parse(code))
    for option in range(len(change(found[0])) if found else 0):
        tree = _At(place, _nth(change, option)).visit(ast.parse(code))
        yield name, ast.unparse(ast.fix_missing_locations(tree))


def _nth(change: Callable[[ast.AST], list[ast.AST]], option: int) -> Callable[[ast.AST], ast.AST]:
    return lambda node: change(node)[option]
