"""Use each part of the package once, and print as JSON what became of it; for test_extras.py.

Its standard input is JSON: ``refused``, the top-level modules that are taken for not installed, and
``uses``, a name and a program each. It needs nothing but the package and the standard library, so
that it runs in an environment which has no more.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import pkgutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WORKS = "works"
MIXED = tuple(f"kst_scheduler.{room}." for room in ("fire_times", "ledger", "service"))
"""Rooms of which some parts need an extra, which is named where such a part is asked for."""


class Without:
    """A finder of modules that does not find some of those that another one would."""

    def __init__(self, finder: Any, refused: set[str]) -> None:
        self._finder = finder
        self._refused = refused

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        """Return where the module is, None where it is to be missing."""
        if name.partition(".")[0] in self._refused:
            return None
        return self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def outcome_of(program: str) -> str:
    """Return WORKS, or the error that a program ends with."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(program, {"verb": verb, "import_all": import_all, "try_table": try_table})  # noqa: S102 - the test's own
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return f"{type(error).__name__}: {error}"
    return WORKS


def try_table(function: Callable[..., object], *arguments: object) -> None:
    """Give a function no table, which it refuses only once it could read one."""
    with contextlib.suppress(AttributeError, TypeError):
        function(None, *arguments)


def verb(main: Callable[[list[str]], int], *words: str) -> None:
    """Call a command as a shell would; raise what it writes to its standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as end:
            code = int(end.code or 0)
    if code or err.getvalue():
        raise RuntimeError(err.getvalue().rstrip("\n"))


def import_all() -> None:
    """Import every module that is not inside a room with parts that need no extra."""
    import kst_scheduler

    for name in _modules(kst_scheduler.__path__):
        if name.startswith(MIXED):
            continue
        with contextlib.suppress(kst_scheduler.MissingExtraError):
            importlib.import_module(name)


def _modules(folders: Sequence[str]) -> Iterator[str]:
    for found in pkgutil.walk_packages(folders, "kst_scheduler.", onerror=lambda _name: None):
        yield found.name


def main() -> None:
    """Print a JSON object of outcomes."""
    asked = json.load(sys.stdin)
    refused = set(asked["refused"])
    if refused:
        sys.meta_path[:] = [Without(finder, refused) for finder in sys.meta_path]
    outcomes = {name: outcome_of(program) for name, program in asked["uses"].items()}
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main()
