"""The gate: no exercise is passed by accident, and none is impossible."""

from __future__ import annotations

import ast
import functools
import re
from typing import Any

import pytest

from exercise_answers import (
    SLOW,
    all_exercises,
    asking_cells,
    judge,
    more_answers,
    wrong_answers,
)
from kst_workbook.exercises import check

EXERCISES = list(all_exercises().values())
NUMBERS = list(all_exercises())


SHARES = [
    *((number, 6 if number in SLOW else 1) for number in NUMBERS),
    *(pytest.param(number, 1, marks=pytest.mark.long) for number in sorted(SLOW)),
]
"""Of the slow ones each sixth answer, and all of them where the long tests run."""


async def _nothing(*_: object) -> None:
    return None


CONSTANTS: list[Any] = [
    True, False, None, 0, 1, -1, 2, 3.0, "", "ok", "True", b"", [], (), {}, set(), [True], object(),
    object, int, print, lambda: True, lambda *_: True, lambda *_: None, functools.partial(print),
    _nothing,
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("number", NUMBERS)
def test_it_ships_unsolved_in_its_notebook(number: str) -> None:
    """One cell asks it, under the variable's name, and what the cell holds is no attempt."""
    (source,) = asking_cells(number)
    asked = all_exercises()[number]
    assert f'check("{number}", {asked.variable})' in source
    attempt = [line for line in ast.parse(source).body if not isinstance(line, ast.Expr)]
    code = "\n".join(map(ast.unparse, attempt))
    assert judge(number, code).outcome == "not attempted"


@pytest.mark.parametrize("number", NUMBERS)
def test_its_solution_is_right(number: str) -> None:
    """Pasted into a cell, with nothing but the names that the notebook has given by then."""
    asked = all_exercises()[number]
    verdict = judge(number, asked.solution)
    assert verdict.outcome == "right", verdict
    assert len(verdict.message) > 20
    assert verdict.link.startswith("https://")
    assert "<img" in verdict._repr_html_() or not verdict.pictures


@pytest.mark.parametrize(("number", "share"), SHARES)
def test_typical_wrong_answers_have_each_a_message_of_their_own(number: str, share: int) -> None:
    """At least three; the message is about the reader's answer and does not give one away."""
    solution = all_exercises()[number].solution
    answers = wrong_answers(number)
    assert len(answers) >= 3
    answers = answers[::share]
    verdicts = [judge(number, code) for code, _ in answers]
    for verdict, (code, part) in zip(verdicts, answers, strict=True):
        assert verdict.outcome == "not yet", code
        assert part in verdict.message, code
        for line in solution.splitlines():
            value = line.partition(" = ")[2] or line.strip()
            assert len(value) < 8 or value not in verdict.message
    assert verdicts[0]._repr_html_()
    assert len({verdict.message for verdict in verdicts}) == len(answers)


@pytest.mark.parametrize(("number", "share"), SHARES)
def test_what_does_the_same_is_right(number: str, share: int) -> None:
    """In whatever style it is written."""
    answers = more_answers(number, "right")
    assert len(answers) >= 2
    for code in answers[::share]:
        verdict = judge(number, code)
        assert verdict.outcome == "right", f"{code}\n\n{verdict}"


@pytest.mark.parametrize(("number", "share"), SHARES)
def test_what_does_something_else_is_not_right(number: str, share: int) -> None:
    """However near it comes."""
    answers = more_answers(number, "wrong")
    assert len(answers) >= 3
    for code in answers[::share]:
        verdict = judge(number, code)
        assert verdict.outcome == "not yet", f"{code}\n\n{verdict}"


@pytest.mark.parametrize("number", NUMBERS)
def test_no_constant_passes(number: str) -> None:
    """Nor does a function that does nothing; and none makes the judge itself fail."""
    passed = [each for each in CONSTANTS if check(number, each).outcome == "right"]
    assert passed == []


@pytest.mark.parametrize("number", NUMBERS)
def test_hints_lead_on(number: str) -> None:
    """At least two, all different, and the first does not hold the answer."""
    asked = all_exercises()[number]
    assert len(asked.hints) >= 2
    assert len(set(asked.hints)) == len(asked.hints)
    assert asked.solution not in asked.hints[0]


def test_numbers_are_without_gaps() -> None:
    """3.1, 3.2 and so on; as many as the workbook promises in each notebook."""
    for notebook in range(12):
        places = [asked.number for asked in EXERCISES if asked.notebook == notebook]
        assert places == [f"{notebook}.{place}" for place in range(1, len(places) + 1)]
        assert len(places) >= (1 if notebook in {0, 1, 11} else 3)


def test_titles_fit_the_map() -> None:
    """A few words, all different."""
    titles = [asked.title for asked in EXERCISES]
    assert len(set(titles)) == len(titles)
    assert not [title for title in titles if len(title) > 40 or not re.search(r"\w", title)]
