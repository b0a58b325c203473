from __future__ import annotations

import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apscheduler.executors.base
from apscheduler.events import EVENT_JOB_ERROR
from lessons import NIGHT

from kst_scheduler import simulate

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


def test_apscheduler_formats_tracebacks_by_this_name() -> None:
    """The private name that is replaced; a new release that has another one fails here."""
    assert apscheduler.executors.base.format_tb is traceback.format_tb
