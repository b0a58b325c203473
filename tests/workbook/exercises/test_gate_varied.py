"""The gate for answers that nobody has written: each solution, varied and broken by rules."""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING, Any

import pytest

from broken_answers import ADDED, CHANGES, broken
from exercise_answers import SLOW, all_exercises, judge, more_answers
from harmless_changes import EQUIVALENT
from varied_answers import VARIATIONS, varied

if TYPE_CHECKING:
    from kst_workbook.exercises.verdict import Verdict

QUICK = [number for number in all_exercises() if number not in SLOW][::6]
NUMBERS = [
    number if number in QUICK else pytest.param(number, marks=pytest.mark.long)
    for number in all_exercises()
]
SOME_SLOW = [
    pytest.param(number, marks=pytest.mark.long) if place % 3 else number
    for place, number in enumerate(sorted(SLOW))
]


pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_solution_stays_right_in_whatever_form(number: str) -> None:
    """Each of the variations keeps what the answer does."""
    exercise = all_exercises()[number]
    for kind, code in varied(exercise.solution, exercise.variable):
        verdict = judge(number, code)
        assert verdict.outcome == "right", f"{kind}\n\n{code}\n\n{verdict}"


@pytest.mark.parametrize("number", SOME_SLOW)
def test_a_slow_solution_stays_right_in_another_form(number: str) -> None:
    """Many variations at once, where one after another would take long."""
    exercise = all_exercises()[number]
    code = dict(varied(exercise.solution, exercise.variable))["many_at_once"]
    verdict = judge(number, code)
    assert verdict.outcome == "right", f"{code}\n\n{verdict}"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_broken_solution_is_never_right(number: str) -> None:
    """Unless what is broken makes no difference here, for a reason that is written down."""
    solution = all_exercises()[number].solution
    reasons = EQUIVALENT.get(number, {})
    for kind, code in broken(solution):
        if _judged(number, code) == "right":
            changed = difference(solution, code)
            assert any(part in changed for part in reasons), f"{kind}\n\n{changed}"


@pytest.mark.parametrize("number", SOME_SLOW)
def test_some_broken_slow_solutions_are_not_right(number: str) -> None:
    """Every twelfth, where all of them would take long, and each fault that is added."""
    solution = all_exercises()[number].solution
    reasons = EQUIVALENT.get(number, {})
    for place, (kind, code) in enumerate(broken(solution)):
        if place % 12 and kind not in ADDED:
            continue
        changed = difference(solution, code)
        if not any(part in changed for part in reasons):
            assert _judged(number, code) != "right", f"{kind}\n\n{changed}"


@pytest.mark.long
@pytest.mark.parametrize("number", list(all_exercises()))
def test_other_right_answers_stay_right_in_whatever_form(number: str) -> None:
    """Those that are written in another style than the solution."""
    name = all_exercises()[number].variable
    for answer in more_answers(number, "right"):
        for kind, code in varied(answer, name):
            if number in SLOW and kind != "many_at_once":
                continue
            verdict = judge(number, code)
            assert verdict.outcome == "right", f"{kind}\n\n{code}\n\n{verdict}"


def test_each_reason_is_about_something_that_is_tried() -> None:
    """A reason whose change is no longer made would hide nothing, and say what is not so."""
    for number, reasons in EQUIVALENT.items():
        solution = all_exercises()[number].solution
        tried = [difference(solution, code) for _, code in broken(solution)]
        for part, reason in reasons.items():
            assert any(part in changed for changed in tried), (number, part)
            assert len(reason) > 10


def test_every_rule_is_used() -> None:
    """Each kind of variation, and each kind of change, is made of some solution."""
    exercises = all_exercises().values()
    kinds = {kind for each in exercises for kind, _ in varied(each.solution, each.variable)}
    assert kinds == set(VARIATIONS)
    changes = {kind for each in exercises for kind, _ in broken(each.solution)}
    assert changes == {*CHANGES, "one less"}


def difference(solution: str, code: str) -> str:
    """Return the lines that are new in a changed answer, or "no" and those that are gone."""
    before, after = (ast.unparse(ast.parse(each)).split("\n") for each in (solution, code))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith(("+ ", "- "))]
    new = [line[2:].strip() for line in changed if line.startswith("+ ")]
    gone = [f"no {line[2:].strip()}" for line in changed if line.startswith("- ")]
    return "\n".join(new or gone)


def _judged(number: str, code: str) -> Any:
    """Return the outcome; what cannot even be run is not right."""
    try:
        verdict: Verdict = judge(number, code)
    except Exception:  # noqa: BLE001 - of code that nobody has written
        return "not run"
    return verdict.outcome
