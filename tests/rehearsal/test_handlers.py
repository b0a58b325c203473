"""Which handlers hide a failure, by the source alone."""

from __future__ import annotations

import ast
import textwrap

import pytest

from kst_scheduler.rehearsal.handlers import hidden_failures
from kst_scheduler.rehearsal.syntax import Definition

HIDDEN = {
    "logged": "try: fetch()\nexcept Exception: log()",
    "bare": "try: fetch()\nexcept: pass",
    "in a tuple": "try: fetch()\nexcept (OSError, BaseException): pass",
    "returned": "try: fetch()\nexcept Exception: return",
    "returned None": "try: fetch()\nexcept Exception: return None",
    "suppressed": "with contextlib.suppress(Exception): fetch()",
    "checked before": "if wrong: raise ValueError\ntry: fetch()\nexcept Exception: pass",
    "raised in the try": "try:\n    raise ValueError\nexcept Exception: pass",
    "each page": "for page in pages:\n    try: fetch()\n    except Exception: continue",
    "the last of some": "for _ in range(3):\n    try: fetch(); break\n    except Exception: pass",
    "given up": "while True:\n    try: fetch(); break\n    except Exception: break",
    "raised by an inner function": "try: fetch()\nexcept Exception:\n    def f(): raise",
}
SHOWN = {
    "raised": "try: fetch()\nexcept Exception: raise",
    "raised as another": "try: fetch()\nexcept Exception as e: raise RuntimeError from e",
    "raised later": "try: fetch()\nexcept Exception as e: error = e\nif error: raise error",
    "raised in the next round": (
        "while more:\n    if error: raise error\n    try: fetch()\n"
        "    except Exception as e: error = e"
    ),
    "left": "try: fetch()\nexcept Exception: sys.exit(1)",
    "left later": "try: fetch()\nexcept Exception: bad += 1\nif bad: sys.exit(1)",
    "told": "try: fetch()\nexcept Exception: return False",
    "one kind": "try: fetch()\nexcept OSError: pass",
    "one kind suppressed": "with suppress(OSError): fetch()",
    "until it succeeds": "while True:\n    try: fetch(); break\n    except Exception: wait()",
    "while cleaning": "try: fetch()\nfinally:\n    try: close()\n    except Exception: pass",
    "while telling": (
        "try: fetch()\nexcept Exception:\n    with suppress(Exception): alert()\n    raise"
    ),
}


def lines_of(body: str) -> list[int]:
    """Return the lines of a function's body in which a failure is hidden."""
    source = f"async def job():\n{textwrap.indent(body, '    ')}"
    (function,) = ast.parse(source).body
    assert isinstance(function, Definition)
    return [*hidden_failures(function)]


@pytest.mark.parametrize("body", HIDDEN.values(), ids=[*HIDDEN])
def test_a_failure_is_hidden(body: str) -> None:
    """By the one line that catches it."""
    lines = body.splitlines()
    caught = [number for number, line in enumerate(lines, 2) if "except" in line or "with" in line]
    assert lines_of(body) == caught


@pytest.mark.parametrize("body", SHOWN.values(), ids=[*SHOWN])
def test_a_failure_is_not_hidden(body: str) -> None:
    """It ends the run, or it is none of the job."""
    assert lines_of(body) == []
