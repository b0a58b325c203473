"""What an exercise is, and where all of them are found."""

from __future__ import annotations

import asyncio
import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from kst_scheduler.errors import InvalidArgumentError

Picture = Callable[[], bytes]
"""Returns a PNG file; it is called when a notebook shows the verdict, and only then."""


class NotYetError(Exception):
    """Raised by a judge: what the answer does that it should not, in a sentence or two.

    ``pictures`` draw what the answer does and what it should do; see ``Picture``.
    """

    def __init__(self, message: str, pictures: tuple[Picture, ...] = ()) -> None:
        super().__init__(message)
        self.pictures = pictures


def error_in_words(error: BaseException) -> str:
    """Return an error as messages name it: its type, and its own words if it has some."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@dataclass(frozen=True)
class Right:
    """Returned by a judge: why the answer is right, and pictures of what it does."""

    why: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One question of a notebook."""

    number: str
    """As in 3.2: the notebook, and the exercise's place in it."""
    title: str
    """A few words for the map."""
    variable: str
    """What the notebook's cell calls the answer."""
    hints: tuple[str, ...]
    """From a nudge to nearly the answer."""
    solution: str
    """Code that gives the variable a right answer, with the names that the notebook has by then."""
    link: str
    """Where the documentation says it."""
    judge: Callable[[Any], Right]
    seconds: float = 10.0
    """Of CPU time that an answer may take; more is called a loop that never ends."""

    @property
    def notebook(self) -> int:
        """The number of the notebook that asks it."""
        return int(self.number.partition(".")[0])


_EXERCISES: dict[str, Exercise] = {}


def exercise(
    number: str,
    *,
    title: str,
    variable: str,
    hints: tuple[str, ...],
    solution: str,
    link: str,
    seconds: float = Exercise.seconds,
) -> Callable[[Callable[[Any], Right]], Callable[[Any], Right]]:
    """Make an exercise of a judge.

    The judge takes the reader's answer. It returns ``Right`` or raises ``NotYetError``; what else
    is raised from the answer is shown to the reader as their error.
    """

    def add(judge: Callable[[Any], Right]) -> Callable[[Any], Right]:
        code = inspect.cleandoc(solution)
        _EXERCISES[number] = Exercise(number, title, variable, hints, code, link, judge, seconds)
        return judge

    return add


def as_pasted(function: Callable[..., Any]) -> str:
    """Return the source of a function without types: a notebook has not imported their names."""
    head, newline, body = inspect.getsource(function).partition("\n")
    head = re.sub(r"(?<=\w): [\w.]+(?=[,)])", "", head)
    return "\n" + (head + newline + body).replace(" -> None:", ":")


def run_solution(code: str, name: str) -> Any:
    """Return what the code of a solution calls ``name``."""
    names: dict[str, Any] = {"asyncio": asyncio}
    exec(code, names)  # noqa: S102 - the exercise's own code
    return names[name]


@cache
def all_exercises() -> dict[str, Exercise]:
    """Return every exercise by its number, in the order of the notebooks."""
    _import_judges("")
    return {number: _EXERCISES[number] for number in sorted(_EXERCISES, key=_place)}


def find(number: str) -> Exercise:
    """Return an exercise.

    Raises:
        InvalidArgumentError: there is none of that number; the message names the nearest.

    """
    if isinstance(number, str) and (parts := re.fullmatch(r"(\d\d?)\.(\d+)", number)):
        # Its own judge only: those of all of them import every library there is.
        _import_judges(f"e{parts[1]:0>2}_{parts[2]}_")
        if number in _EXERCISES:
            return _EXERCISES[number]
    known = all_exercises()
    if not isinstance(number, str) or number not in known:
        near = difflib.get_close_matches(str(number), known, n=1, cutoff=0) or list(known)[:1]
        raise InvalidArgumentError(f'there is no exercise {number!r}; write "{near[0]}", say')
    return known[number]


@cache
def _import_judges(prefix: str) -> None:
    """Import the modules whose names begin so; each adds its exercises."""
    from kst_workbook.exercises import questions  # noqa: PLC0415 - they import this module

    for module in pkgutil.iter_modules(questions.__path__):
        if module.name.startswith(prefix) and re.match(r"e\d\d_", module.name):
            importlib.import_module(f"{questions.__name__}.{module.name}")


def _place(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))
