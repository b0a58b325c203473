"""Ways to write an answer otherwise that keep what it does, on its syntax tree."""

from __future__ import annotations

import ast
import builtins
import copy
import symtable
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Variation = Callable[[ast.Module, str], bool | None]
"""Changes the tree of an answer of that name; False: there is nothing to change."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def parsed(code: str) -> list[ast.stmt]:
    """Return statements of code."""
    return ast.parse(code).body


def functions(tree: ast.AST) -> list[Function]:
    """Return all functions, those within others included."""
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def the_function(tree: ast.Module, name: str) -> Function | None:
    """Return the function that is the answer, if it is one."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and node.name == name:
            return node
    return None


def arguments_of(function: Function) -> list[str]:
    """Return the names of the positional arguments."""
    return [argument.arg for argument in function.args.args]


def is_generator(function: Function) -> bool:
    """Tell whether a function yields itself; one within it does not count."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, FUNCTIONS):
            waiting += ast.iter_child_nodes(node)
    return False


def try_and_finally(tree: ast.Module, _name: str) -> None:
    """Let what follows a ``yield`` be in a ``finally``; put one around every other body."""
    for function in functions(tree):
        for place, line in enumerate(function.body):
            if isinstance(line, ast.Expr) and isinstance(line.value, ast.Yield):
                after = function.body[place + 1 :] or [ast.Pass()]
                function.body[place:] = [ast.Try([line], [], [], after)]
                break
        else:
            function.body = [ast.Try(function.body, [], [], [ast.Pass()])]


def reversed_order(tree: ast.Module, _name: str) -> None:
    """Write keyword arguments, and the keys of a dict, the other way round."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and all(keyword.arg for keyword in node.keywords):
            node.keywords.reverse()
        if isinstance(node, ast.Dict):
            node.keys.reverse()
            node.values.reverse()


def calls_for_decorators(tree: ast.Module, _name: str) -> None:
    """Call each decorator with the function, and give what it returns the function's name."""

    class Undecorate(ast.NodeTransformer):
        def _undecorated(self, node: Function) -> list[ast.stmt]:
            self.generic_visit(node)
            lines: list[ast.stmt] = [node]
            for decorator in reversed(node.decorator_list):
                call = ast.Call(decorator, [ast.Name(node.name, ast.Load())], [])
                lines.append(ast.Assign([ast.Name(node.name, ast.Store())], call))
            node.decorator_list = []
            return lines

        visit_FunctionDef = _undecorated  # noqa: N815 - ast's name
        visit_AsyncFunctionDef = _undecorated  # noqa: N815 - ast's name

    Undecorate().visit(tree)


def names_from_elsewhere(code: str, name: str) -> set[str]:
    """Return global names that code uses and does not define, without Python's own."""
    used: set[str] = set()

    def look(table: symtable.SymbolTable) -> None:
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            free = symbol.is_global() or (top and not symbol.is_assigned())
            if free and symbol.is_referenced():
                used.add(symbol.get_name())
        for child in table.get_children():
            look(child)

    whole = symtable.symtable(code, "an answer", "exec")
    look(whole)
    defined = {each.get_name() for each in whole.get_symbols() if each.is_assigned()}
    defined |= {each.get_name() for each in whole.get_symbols() if each.is_imported()}
    return used - defined - set(dir(builtins)) - {name}


def aliases(tree: ast.Module, name: str) -> None:
    """Call everything from outside by another name, as ``import ... as`` does."""
    outside = sorted(names_from_elsewhere(ast.unparse(tree), name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in outside:
            node.id = f"other_{node.id}"
    tree.body[:0] = parsed("\n".join(f"other_{each} = {each}" for each in outside))


def callable_object(tree: ast.Module, name: str) -> bool:
    """Make the answer an object of a class with ``__call__``."""
    return _in_a_class(tree, name, "__call__", f"{name} = Answer()")


def bound_method(tree: ast.Module, name: str) -> bool:
    """Make the answer a method of an object."""
    return _in_a_class(tree, name, "answer", f"{name} = Answer().answer")


def _in_a_class(tree: ast.Module, name: str, method: str, assignment: str) -> bool:
    function = the_function(tree, name)
    if function is None:
        return False
    function.name = method
    function.args.args.insert(0, ast.arg("self"))
    kind = ast.ClassDef("Answer", [], [], [function], [])
    place = tree.body.index(function)
    tree.body[place : place + 1] = [kind, *parsed(assignment)]
    return True


def wrapped(tree: ast.Module, name: str) -> bool:
    """Let another function call the answer and return what it returns."""
    function = the_function(tree, name)
    if function is None:
        return False
    function.name = "inner"
    plain = isinstance(function, ast.FunctionDef) or is_generator(function)
    words = ("def", "") if plain else ("async def", "await ")
    tree.body += parsed(f"{words[0]} {name}(*given):\n    return {words[1]}inner(*given)")
    return True


def partial_function(tree: ast.Module, name: str) -> bool:
    """Make the answer a ``functools.partial`` of a function with one argument more."""
    function = the_function(tree, name)
    if function is None:
        return False
    function.name = "inner"
    function.args.args.insert(0, ast.arg("given_before"))
    tree.body += parsed(f"import functools\n{name} = functools.partial(inner, None)")
    return True


def a_lambda(tree: ast.Module, name: str) -> bool:
    """Write a function of one line as a lambda."""
    function = the_function(tree, name)
    if function is None or isinstance(function, ast.AsyncFunctionDef):
        return False
    (line, *more) = function.body
    if more or not isinstance(line, ast.Return | ast.Expr) or line.value is None:
        return False
    value = ast.Lambda(function.args, line.value)
    place = tree.body.index(function)
    tree.body[place] = ast.Assign([ast.Name(name, ast.Store())], value)
    return True


def other_names(tree: ast.Module, name: str) -> None:
    """Rename the answer's arguments, and the variables of all functions."""
    function = the_function(tree, name)
    own = set(arguments_of(function)) if function else set()
    for each in functions(tree):
        stored = {
            node.id
            for node in ast.walk(each)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        own |= stored
    own -= {
        argument
        for each in functions(tree)
        if each is not function
        for argument in arguments_of(each)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in own:
            node.id = f"my_{node.id}"
        if isinstance(node, ast.ExceptHandler) and node.name in own:
            node.name = f"my_{node.name}"
    if function:
        for argument in function.args.args:
            if argument.arg in own:
                argument.arg = f"my_{argument.arg}"


def named_constants(tree: ast.Module, _name: str) -> None:
    """Give the numbers and texts of the answer names, above it."""
    values: list[Any] = []

    class Name(ast.NodeTransformer):
        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
            return node

        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            if isinstance(node.value, int | float | str) and not isinstance(node.value, bool):
                values.append(node.value)
                return ast.Name(f"CONSTANT_{len(values)}", ast.Load())
            return node

    Name().visit(tree)
    lines = "\n".join(f"CONSTANT_{place} = {value!r}" for place, value in enumerate(values, 1))
    tree.body[:0] = parsed(lines)


def nested(tree: ast.Module, _name: str) -> None:
    """Put each body under ``if True:``, in a block that ends at once."""
    for function in functions(tree):
        function.body = [ast.If(ast.Constant(value=True), function.body, [])]


def documented(tree: ast.Module, name: str) -> bool:
    """Add a docstring, types, and a line that does nothing."""
    function = the_function(tree, name)
    if function is None:
        return False
    for argument in function.args.args:
        argument.annotation = ast.Name("object", ast.Load())
    function.body[:0] = parsed("'What the exercise asks for.'\nstart_of_my_answer = 1")
    return True


def utc_for_kst(tree: ast.Module, _name: str) -> bool:
    """Write each moment on the clock of UTC."""

    class Convert(ast.NodeTransformer):
        found = False

        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            if not (isinstance(node.func, ast.Name) and node.func.id == "kst"):
                return node
            self.found = True
            utc = _expression("my_time.timezone.utc")
            return ast.Call(ast.Attribute(node, "astimezone", ast.Load()), [utc], [])

    convert = Convert()
    convert.visit(tree)
    tree.body[:0] = parsed("import datetime as my_time")
    return convert.found


def _expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


def other_collections(tree: ast.Module, name: str) -> bool:
    """Give a tuple for a list, and a mapping that cannot be changed for a dict."""
    last = tree.body[-1]
    if not (isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name)):
        return False
    kinds: dict[type, str] = {ast.List: "tuple", ast.Dict: "my_types.MappingProxyType"}
    if last.targets[0].id != name or type(last.value) not in kinds:
        return False
    last.value = ast.Call(_expression(kinds[type(last.value)]), [last.value], [])
    tree.body[:0] = parsed("import types as my_types")
    return True


def many_at_once(tree: ast.Module, name: str) -> None:
    """Do all of these to one answer that do not stand in each other's way."""
    together: tuple[Variation, ...] = (
        try_and_finally,
        reversed_order,
        aliases,
        other_names,
        nested,
        documented,
        wrapped,
    )
    for vary in together:
        vary(tree, name)


VARIATIONS: Final[dict[str, Variation]] = {
    each.__name__: each
    for each in (
        try_and_finally,
        reversed_order,
        calls_for_decorators,
        aliases,
        callable_object,
        bound_method,
        wrapped,
        partial_function,
        a_lambda,
        other_names,
        named_constants,
        nested,
        documented,
        utc_for_kst,
        other_collections,
        many_at_once,
    )
}


def varied(code: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield each variation's name and what it makes of an answer, where it changes something."""
    before = ast.unparse(ast.parse(code))
    for kind, vary in VARIATIONS.items():
        tree = ast.parse(code)
        if vary(tree, name) is not False:
            after = ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))
            if after != before:
                yield kind, after
