"""What the reader calls: check an answer, ask for a hint or the solution, see the map."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kst_workbook.exercises.attempt import untouched
from kst_workbook.exercises.exercise import NotYetError, error_in_words, find
from kst_workbook.exercises.host_zone import another_host
from kst_workbook.exercises.lasting import lasting_jobs
from kst_workbook.exercises.leftovers import end_leftovers
from kst_workbook.exercises.place import their_place
from kst_workbook.exercises.progress_file import note
from kst_workbook.exercises.surroundings import restore_surroundings
from kst_workbook.exercises.time_limit import TookTooLongError, time_limit
from kst_workbook.exercises.verdict import Note, Verdict

if TYPE_CHECKING:
    from kst_workbook.exercises.exercise import Exercise
    from kst_workbook.exercises.progress_map import ProgressMap

WAITING: Final = 30.0
"""Seconds for which an answer may wait in real time: no exercise asks for any."""

_HERE: Final = Path(__file__).parent
_hints_shown: Counter[str] = Counter()
_wrong_tries: Counter[str] = Counter()


def check(number: str, answer: Any = ...) -> Verdict:
    """Run the reader's answer to an exercise and say what it does.

    The verdict's ``outcome`` is "not attempted" (the answer is still ``...``, or a function whose
    body is), "not yet" or "right". An answer that raises, or has not ended after the CPU time that
    its exercise allows, mostly 10 seconds, or 30 seconds of waiting, is not yet right. It is judged
    as on a host in New York, wherever this one is. What the answer changes around it, such as an
    environment variable, is put back.

    The message says what the answer does, and never what is right. From the second wrong try on, a
    picture of the expected result is shown below that of the answer.

    Raises:
        InvalidArgumentError: there is no exercise of that number.

    """
    exercise = find(number)
    if untouched(answer):
        message = (
            f"`{exercise.variable}` is still as the notebook has it. Replace the `...`, and run "
            f'this cell again. `hint("{number}")` helps.'
        )
        return Verdict(number, "not attempted", message)
    with end_leftovers():
        verdict, changed = _judged(exercise, answer)
    verdict, later = _without_the_answer(verdict)
    kept = note(number, solved=verdict.outcome == "right")
    return verdict.with_notes(*changed, *kept, *later)


def _without_the_answer(verdict: Verdict) -> tuple[Verdict, list[str]]:
    """Leave the picture of the expected result out of a first wrong try; return a note of it."""
    if verdict.outcome != "not yet":
        return verdict, []
    _wrong_tries[verdict.number] += 1
    own, asked_for = verdict.pictures[:1], verdict.pictures[1:]
    if _wrong_tries[verdict.number] > 1 or not asked_for:
        return verdict, []
    later = "From the second try on, a picture of the expected result is shown below this one."
    return replace(verdict, pictures=own), [later]


def hint(number: str) -> Note:
    """Return the next hint to an exercise; the last one stays.

    Raises:
        InvalidArgumentError: there is no exercise of that number.

    """
    hints = find(number).hints
    shown = min(_hints_shown[number], len(hints) - 1)
    _hints_shown[number] = shown + 1
    last = shown + 1 == len(hints)
    more = f'`solution("{number}")` shows an answer.' if last else "Ask again for the next one."
    return Note(f"Hint {shown + 1} of {len(hints)} for {number}", f"{hints[shown]}\n\n{more}")


def solution(number: str) -> Note:
    """Return one answer to an exercise that is right.

    Raises:
        InvalidArgumentError: there is no exercise of that number.

    """
    exercise = find(number)
    return Note(f"One solution of {number}", "", code=exercise.solution, link=exercise.link)


def progress() -> ProgressMap:
    """Return the map of the workbook: which exercises are right, tried, or still to do."""
    from kst_workbook.exercises.progress_map import (  # noqa: PLC0415 - brings matplotlib
        ProgressMap,
    )

    return ProgressMap()


def _judged(exercise: Exercise, answer: Any) -> tuple[Verdict, list[str]]:
    changed: list[str] = []
    try:
        with (
            another_host(),
            restore_surroundings(changed),
            time_limit(exercise.seconds, WAITING),
            lasting_jobs(),
        ):
            right = exercise.judge(answer)
    except NotYetError as error:
        return Verdict(exercise.number, "not yet", str(error), error.pictures), changed
    except TookTooLongError as error:
        return Verdict(exercise.number, "not yet", _too_long(exercise, error)), changed
    except (Exception, SystemExit) as error:
        if Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(_HERE):
            raise  # the judge's own fault
        return Verdict(exercise.number, "not yet", _their_error(exercise, error)), changed
    verdict = Verdict(exercise.number, "right", right.why, right.pictures, link=exercise.link)
    return verdict, changed


def _too_long(exercise: Exercise, error: TookTooLongError) -> str:
    """Say whether the answer was busy or waited, and in which line of the reader's own code."""
    place = their_place(error.where)
    if error.waited:
        return (
            f"`{exercise.variable}` waited for {WAITING:g} seconds and did next to nothing else, "
            f"so it was stopped.{place and f' It waits in {place}.'} Look for a call whose answer "
            "never comes: a lock that is never released, a long `time.sleep`, a server that does "
            "not answer."
        )
    return (
        f"`{exercise.variable}` used {exercise.seconds:g} seconds of CPU time and had not ended, "
        f"so it was stopped.{place and f' It was in {place}.'} Look for a loop that never ends."
    )


def _their_error(exercise: Exercise, error: BaseException) -> str:
    """Name the error, and the line of the reader's own code where it came up."""
    place = their_place(traceback.extract_tb(error.__traceback__))
    return f"`{exercise.variable}` raised an error.\n\n`{error_in_words(error)}`" + (
        f"\n\nin {place}" if place else ""
    )
