from __future__ import annotations

import dataclasses
import importlib
import os
import re
import threading
from typing import Any

import pytest
from apscheduler.triggers.base import BaseTrigger

from kst_scheduler import InvalidArgumentError, cron
from kst_workbook.exercises import check, commands, hint, progress, solution
from kst_workbook.exercises import exercise as exercise_module
from kst_workbook.exercises import progress_file as progress_module
from kst_workbook.exercises.exercise import Exercise, Right, find

RIGHT = cron(day_of_week="mon-fri", hour=8, minute=30)


@pytest.fixture(autouse=True)
def _new_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with no hint shown and nothing solved."""
    commands._hints_shown.clear()
    commands._wrong_tries.clear()
    monkeypatch.setattr(progress_module, "_seen_here", {})


class Answer(BaseTrigger):  # type: ignore[misc] # the library is untyped
    """A trigger whose fire times are what a function does."""

    def __init__(self, action: Any) -> None:
        self.action = action

    def get_next_fire_time(self, _previous: Any, _now: Any) -> Any:
        """Do it."""
        return self.action()


def test_the_three_outcomes() -> None:
    """As shipped, wrong, and right with a link; the wrong one names the reader's own value."""
    assert check("3.1").outcome == check("3.1", ...).outcome == "not attempted"
    assert "`trigger` is still as the notebook has it" in check("3.1").message
    wrong = check("3.1", "30 8 * * 1-5")
    assert wrong.outcome == "not yet"
    assert "`'30 8 * * 1-5'`, a str" in wrong.message
    right = check("3.1", RIGHT)
    assert right.outcome == "right"
    assert right.link in repr(right)
    assert "✓ 3.1: right" in repr(right)


def test_a_first_wrong_try_draws_nothing_that_is_asked_for() -> None:
    """The picture of it comes with the second one, and with each after that."""
    wrong = [check("3.1", cron(hour=8)) for _ in range(3)]
    assert [len(verdict.pictures) for verdict in wrong] == [1, 2, 2]
    assert "What is expected:" not in wrong[0]._repr_html_()
    assert "From the second try on" in wrong[0].notes[0]
    assert not wrong[1].notes
    assert len(check("3.4", cron(hour=8, day=1)).pictures) == 1  # the first of another exercise
    assert len(check("3.1", RIGHT).pictures) == 1


def test_an_answer_that_raises_is_shown_as_their_error() -> None:
    """Its type, its words, and the line of theirs."""

    def fails() -> None:
        raise RuntimeError("no such place")

    message = check("3.1", Answer(fails)).message
    assert "`trigger` raised an error." in message
    assert "`RuntimeError: no such place`" in message
    assert '`raise RuntimeError("no such place")`' in message


def test_an_answer_that_ends_the_process_does_not() -> None:
    """sys.exit() in an answer is an error of theirs, too."""

    def leaves() -> None:
        raise SystemExit

    assert "`SystemExit`" in check("3.1", Answer(leaves)).message


def test_an_answer_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a message that says so, and names a line of theirs; the kernel goes on."""

    def never() -> None:
        while True:
            pass

    quick = dataclasses.replace(find("3.1"), seconds=0.1)
    monkeypatch.setitem(exercise_module._EXERCISES, "3.1", quick)
    message = check("3.1", Answer(never)).message
    assert "`trigger` used 0.1 seconds of CPU time and had not ended" in message
    assert "a loop that never ends" in message
    assert re.search(r"It was in line \d+: `(while True:|pass)`", message)
    assert "wait" not in message
    assert check("3.1", RIGHT).outcome == "right"


def test_an_answer_that_waits_for_ever_is_told_that_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And where; it is not told to look for a loop."""
    lock = threading.Lock()
    lock.acquire()

    def waits() -> None:
        lock.acquire()

    monkeypatch.setattr(commands, "WAITING", 0.2)
    message = check("3.1", Answer(waits)).message
    assert "`trigger` waited for 0.2 seconds" in message
    assert re.search(r"It waits in line \d+: `lock.acquire\(\)`", message)
    assert "loop" not in message
    assert check("3.1", RIGHT).outcome == "right"


def test_what_an_answer_changes_is_put_back_and_said() -> None:
    """Beside the verdict."""

    def sets() -> None:
        os.environ["TZ"] = "Asia/Tokyo"  # the zone of no host of the tests

    before = os.environ.get("TZ")
    verdict = check("3.1", Answer(sets))
    assert os.environ.get("TZ") == before
    assert verdict.notes == (
        "Your answer changed the environment variable `TZ`; it is as before.",
        "From the second try on, a picture of the expected result is shown below this one.",
    )


def test_a_fault_of_the_judge_is_not_put_on_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised as it is."""

    def judge(answer: Any) -> Right:
        return find(answer).number  # type: ignore[return-value]

    broken = Exercise("3.1", "", "trigger", ("", ""), "", "https://", judge)
    monkeypatch.setattr(commands, "find", lambda _number: broken)
    with pytest.raises(InvalidArgumentError):
        check("3.1", "9.99")


@pytest.mark.parametrize("number", ["3.99", "3", 3.1, None, ""])
@pytest.mark.parametrize("ask", [check, hint, solution])
def test_an_unknown_number_names_one_that_exists(ask: Any, number: Any) -> None:
    """In all three."""
    with pytest.raises(InvalidArgumentError, match=r'there is no exercise .*; write "\d+\.\d+"'):
        ask(number)


def test_an_exercise_brings_along_the_judges_of_its_own_notebook_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of all notebooks import every library there is, and a kernel checks one notebook."""
    find("8.1")  # the judges add themselves when they are imported first
    imported: list[str] = []
    exercise_module._import_judges.cache_clear()
    monkeypatch.setattr(importlib, "import_module", imported.append)
    assert find("8.1").number == "8.1"
    exercise_module._import_judges.cache_clear()
    names = [name.rpartition(".")[2] for name in imported]
    assert sorted(names) == ["e08_1_what_a_restart_makes_up_for"]


def test_hints_lead_on_and_the_last_one_stays() -> None:
    """Each names what may be asked next."""
    number = len(find("3.1").hints)
    shown = [hint("3.1") for _ in range(number + 1)]
    assert [note.heading for note in shown[:2]] == [
        f"Hint 1 of {number} for 3.1",
        f"Hint 2 of {number} for 3.1",
    ]
    assert shown[-1] == shown[-2]
    assert "Ask again for the next one." in shown[0].message
    assert '`solution("3.1")` shows an answer.' in shown[-1].message


def test_a_solution_is_code_and_a_link() -> None:
    """And looking it up solves nothing."""
    assert find("3.1").solution in repr(solution("3.1"))
    assert find("3.1").link in solution("3.1")._repr_html_()
    assert progress().solved == []


def test_progress_knows_what_was_tried_and_what_is_right() -> None:
    """What was not attempted is not tried."""
    check("3.1")
    assert progress().answers == {}
    check("3.1", 5)
    assert progress().answers == {"3.1": False}
    check("3.1", RIGHT)
    assert progress().solved == ["3.1"]
    assert repr(progress()).startswith("1 of ")
    png, metadata = progress()._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20]) == 2 * metadata["width"]
    assert metadata["alt"] == repr(progress()).partition("\n")[0]
