from __future__ import annotations

import traceback
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apscheduler.executors.base
from apscheduler.events import EVENT_JOB_ERROR
from lessons import NIGHT

from kst_scheduler import simulate
from kst_scheduler.simulation import tracebacks

if TYPE_CHECKING:
    import pytest


async def fail(number: int) -> None:
    """Raise, at one of two places."""
    if number:
        raise ValueError("down")
    raise ValueError("up")


def fails_in_a_thread() -> None:
    """Raise in a thread of the pool."""
    raise KeyError("x")


def test_each_event_has_the_text_of_its_own_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places in one function are two texts; each is formatted once."""
    formatted: list[str] = []
    format_tb = apscheduler.executors.base.format_tb

    def count(error: Any) -> list[str]:
        lines: list[str] = format_tb(error)
        formatted.append("".join(lines))
        return lines

    monkeypatch.setattr(apscheduler.executors.base, "format_tb", count)
    heard: list[str] = []

    def register(scheduler: Any) -> None:
        scheduler.add_job(fail, "cron", minute="*/10", args=[0], id="up")
        scheduler.add_job(fail, "cron", minute="*/15", args=[1], id="down")
        scheduler.add_job(fails_in_a_thread, "cron", minute="*/30", id="thread")
        scheduler.add_listener(lambda event: heard.append(event.traceback), EVENT_JOB_ERROR)

    simulate(register, NIGHT, NIGHT + timedelta(hours=2))
    raised = {
        line: sum(line in text for text in heard)
        for line in ('raise ValueError("up")', 'raise ValueError("down")', 'raise KeyError("x")')
    }
    assert list(raised.values()) == [12, 8, 4]
    assert sorted(set(heard)) == sorted(formatted)
    assert len(formatted) == 3
    assert apscheduler.executors.base.format_tb is count


def test_the_texts_of_code_that_is_made_for_each_run_do_not_add_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each run raises in code of its own; its text is right, and not all texts are kept."""
    monkeypatch.setattr(tracebacks, "MAX_TEXTS", 10)
    alive: list[weakref.ref[Any]] = []
    heard: list[str] = []

    def makes_code() -> None:
        code = compile("def fails(): 1 / 0", f"run {len(alive)}", "exec")
        names: dict[str, Any] = {}
        exec(code, names)  # noqa: S102 - what a template engine does
        alive.append(weakref.ref(names["fails"].__code__))
        names["fails"]()

    def register(scheduler: Any) -> None:
        scheduler.add_job(makes_code, "cron", minute="*", id="makes-code")
        scheduler.add_listener(lambda event: heard.append(event.traceback), EVENT_JOB_ERROR)
        scheduler.add_listener(
            lambda _event: counts.append(sum(ref() is not None for ref in alive))
        )

    counts: list[int] = []
    simulate(register, NIGHT, NIGHT + timedelta(hours=1))
    assert [f'File "run {run}"' in text for run, text in enumerate(heard)] == [True] * 60
    assert max(counts) < 40  # of 60: how soon one goes is the garbage collector's affair


def test_apscheduler_formats_tracebacks_by_this_name() -> None:
    """The private name that is replaced; a new release that has another one fails here."""
    assert apscheduler.executors.base.format_tb is traceback.format_tb
