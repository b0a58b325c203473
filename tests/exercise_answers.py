"""Answers to exercises as code, run with the names that the notebook has given by then."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
import textwrap
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from kst_workbook.exercises import check
from kst_workbook.exercises.exercise import all_exercises, find

if TYPE_CHECKING:
    from types import CodeType

    from kst_workbook.exercises.verdict import Verdict

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
MORE_ANSWERS = Path(__file__).parent / "workbook" / "more_answers"


SLOW = {"2.2", "5.3", "7.3", "7.4", "8.2", "8.3", "9.4", "10.3", "11.1", "12.1"}
"""Exercises whose judge simulates much; by default only a few of all their answers are judged."""


def judge(number: str, code: str) -> Verdict:
    """Return the verdict on what the code gives the exercise's variable."""
    names = dict(names_above(number))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong answer may well be warned of, also as it runs
        exec(_as_in_a_cell(textwrap.dedent(code)), names)  # noqa: S102 - the tests' own code
        return check(number, names[find(number).variable])


def wrong_answers(number: str) -> list[tuple[str, str]]:
    """Return typical wrong answers to an exercise: code, and a part of the message it gets."""
    module = importlib.import_module(f"answers_{find(number).notebook:02}")
    answers: list[tuple[str, str]] = module.WRONG[number]
    return answers


def more_answers(number: str, kind: str) -> list[str]:
    """Return code of more answers, those of the kind "right" or "wrong".

    Each begins with a line ``# right`` or ``# wrong``. Lines that begin with - and + say what is
    different from the first one.
    """
    text = (MORE_ANSWERS / f"{number}.txt").read_text(encoding="utf-8").rstrip() + "\n"
    blocks = re.split(r"^# (right|wrong)\n", text, flags=re.MULTILINE)[1:]
    kinds, codes = blocks[::2], [code.strip("\n") for code in blocks[1::2]]
    whole = [_changed(codes[0], code) if code.startswith(("- ", "+ ")) else code for code in codes]
    return [code for code, each in zip(whole, kinds, strict=True) if each == kind]


def _changed(first: str, change: str) -> str:
    lines = change.split("\n")
    old, new = (
        "\n".join(line[2:] for line in lines if line.startswith(sign)) for sign in ("- ", "+ ")
    )
    assert f"{first}\n".count(f"{old}\n") == 1, change
    return f"{first}\n".replace(f"{old}\n", f"{new}\n")


def asking_cells(number: str) -> list[str]:
    """Return the sources of the cells that check an exercise, in its notebook."""
    cells, call = code_cells(find(number).notebook), f'check("{number}"'
    return [source for source in cells if call in source]


@cache
def code_cells(notebook: int) -> tuple[str, ...]:
    """Return the sources of a notebook's code cells."""
    (path,) = NOTEBOOKS.glob(f"{notebook:02}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    return tuple(cell.source for cell in cells if cell.cell_type == "code")


@cache
def names_above(number: str) -> dict[str, Any]:
    """Return what the cells above an exercise import and define; nothing else of them is run."""
    cells = code_cells(find(number).notebook)
    until = next(place for place, source in enumerate(cells) if f'check("{number}"' in source)
    names: dict[str, Any] = {"__name__": "__main__"}
    for source in cells[:until]:
        for statement in ast.parse(_plain(source)).body:
            if _defines(statement):
                with contextlib.suppress(NameError, ImportError):  # made of what is not run
                    exec(_as_in_a_cell(ast.Module([statement], [])), names)  # noqa: S102
    return names


def _as_in_a_cell(code: str | ast.Module) -> CodeType:
    """Compile code as a cell is: this module's own imports from ``__future__`` are not in it."""
    return compile(code, "a cell", "exec", dont_inherit=True)


def _plain(source: str) -> str:
    """Return a cell without lines that only IPython understands."""
    return "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))


def _defines(statement: ast.stmt) -> bool:
    """Tell whether a statement imports, defines, or names a constant, as in KST = ..."""
    if isinstance(statement, ast.Assign):
        return all(isinstance(name, ast.Name) and name.id.isupper() for name in statement.targets)
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return isinstance(statement, kinds)


__all__ = ["all_exercises", "asking_cells", "judge", "more_answers", "names_above", "wrong_answers"]
