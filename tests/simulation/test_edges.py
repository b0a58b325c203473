"""What simulate is given at its edges: its very start, other centuries, numbers that are none."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import (
    KST,
    ClockJump,
    Crash,
    Freeze,
    InvalidArgumentError,
    Node,
    cron,
    kst,
    simulate,
)

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

START = kst(2026, 5, 10, 3)
END = START + timedelta(hours=2)
HALF = timedelta(minutes=30)


async def nothing() -> None:
    """Do nothing."""


def hourly(scheduler: AsyncIOScheduler) -> None:
    """Add a job that is due at the start of the span."""
    scheduler.add_job(nothing, cron(minute=0, second=0), id="hourly")


def hourly_and_started(scheduler: AsyncIOScheduler) -> None:
    """Add the job to a scheduler that runs already, as the lifespan of an application does."""
    scheduler.start()
    hourly(scheduler)


@pytest.mark.parametrize("register", [hourly, hourly_and_started])
def test_a_process_that_freezes_at_the_start_does_nothing_before(register: Any) -> None:
    """What is due then is half an hour late when it thaws."""
    runs = simulate(register, START, END, incidents=[Freeze("A", START, HALF)]).runs
    assert list(runs["scheduled_at"]) == [START, START + timedelta(hours=1)]
    assert list(runs["status"]) == ["missed", "ok"]
    assert runs["detail"][0].startswith("0:30:00")


@pytest.mark.parametrize("register", [hourly, hourly_and_started])
def test_a_process_that_crashes_at_the_start_runs_nothing_before(register: Any) -> None:
    """What is due then is due while it is down; the other node runs it."""
    crash = Crash("A", START, restart_after=HALF)
    runs = simulate(register, START, END, nodes=2, incidents=[crash]).runs
    rows = zip(runs["node"], runs["scheduled_at"].dt.hour, runs["status"], strict=True)
    assert sorted(rows) == [("A", 3, "missed"), ("A", 4, "ok"), ("B", 3, "ok"), ("B", 4, "ok")]


@pytest.mark.parametrize("year", [1911, 1969])
def test_a_year_that_no_cron_trigger_knows_is_refused(year: int) -> None:
    """An empty table would say that nothing is due."""
    start = datetime(year, 3, 1, tzinfo=KST)
    with pytest.raises(InvalidArgumentError, match="is before 1970"):
        simulate(hourly, start, start + timedelta(hours=5))


@pytest.mark.parametrize("year", [1970, 2037, 2100, 9998])
def test_any_other_year_has_its_fires(year: int) -> None:
    """Also where a count of seconds no longer fits into 32 bits."""
    start = datetime(year, 3, 1, tzinfo=KST)
    runs = simulate(hourly, start, start + timedelta(hours=5)).runs
    assert list(runs["status"]) == ["ok"] * 5
    assert runs["scheduled_at"].dt.year.unique().tolist() == [year]


@pytest.mark.parametrize(
    "number",
    [math.nan, math.inf, -math.inf, "60", None, True, 1e12, -1e12, 1e300, 10**12, 10**400],
)
def test_a_clock_offset_is_a_finite_number(number: Any) -> None:
    """Of a node, and of a jump."""
    with pytest.raises(InvalidArgumentError, match="clock_offset"):
        simulate(hourly, START, END, nodes=[Node("A", number)])
    with pytest.raises(InvalidArgumentError, match="seconds"):
        simulate(hourly, START, END, incidents=[ClockJump("A", START, number)])


def test_a_clock_shows_a_year_that_there_is() -> None:
    """Also where several jumps add up, or the simulated span itself is far off."""
    decade = 3e8
    first, last = datetime(1972, 1, 1, tzinfo=KST), datetime(9997, 1, 1, tzinfo=KST)
    for start, sign in [(first, -1), (last, 1)]:
        span = start, start + HALF
        with pytest.raises(InvalidArgumentError, match="from 1970 to 9998"):
            simulate(hourly, *span, nodes=[Node("A", sign * decade)])
        with pytest.raises(InvalidArgumentError, match="from 1970 to 9998"):
            simulate(hourly, *span, incidents=[ClockJump("A", start, sign * decade / 5)] * 5)


@pytest.mark.parametrize("name", [5, None, "", True, []])
def test_a_node_has_a_name(name: Any) -> None:
    """A text, by which incidents and tables call it."""
    with pytest.raises(InvalidArgumentError, match="name is not a text"):
        simulate(hourly, START, END, nodes=[Node(name)])


@pytest.mark.parametrize("incidents", [None, 5, 1e12, math.nan, "A", Crash("A", START)])
def test_incidents_are_a_list(incidents: Any) -> None:
    """One alone is none."""
    with pytest.raises(InvalidArgumentError, match=r"incidents=.*is not a list"):
        simulate(hourly, START, END, incidents=incidents)


@pytest.mark.parametrize(
    "nodes", [2.0, 1e12, -1e12, 10**12, math.inf, "AB", None, ["A", "B"], True, math.nan, Node("A")]
)
def test_nodes_are_a_count_or_nodes(nodes: Any) -> None:
    """Anything else says what to write."""
    with pytest.raises(InvalidArgumentError, match=r"nodes=.*Node\("):
        simulate(hourly, START, END, nodes=nodes)


@pytest.mark.parametrize("duration", [30, None, "1h", math.nan, 1e12, True, timedelta.max])
def test_the_length_of_an_incident_is_a_timedelta(duration: Any) -> None:
    """Of a freeze, and of the time until a restart; None: it is not restarted."""
    with pytest.raises(InvalidArgumentError, match="timedelta"):
        simulate(hourly, START, END, incidents=[Freeze("A", START, duration)])
    if duration is not None:
        with pytest.raises(InvalidArgumentError, match="timedelta"):
            simulate(hourly, START, END, incidents=[Crash("A", START, duration)])


@pytest.mark.parametrize("seconds", [-1, math.nan, "1", None])
def test_a_sleep_that_is_none_raises_what_the_real_one_raises(seconds: Any) -> None:
    """In a thread and in the event loop."""
    with pytest.raises((ValueError, TypeError)) as real:
        time.sleep(seconds)
    said: list[str] = []

    def register(scheduler: AsyncIOScheduler) -> None:
        def job() -> None:
            try:
                time.sleep(seconds)
            except (ValueError, TypeError) as error:
                said.append(repr(error))

        scheduler.add_job(job, cron(minute=0, second=0), id="job")

    simulate(register, START, START + HALF)
    assert said == [repr(real.value)]
