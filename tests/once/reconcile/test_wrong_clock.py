"""A ledger on the clock of its host, and that clock is wrong for a while."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.ledger.memory import MemoryRows
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.simulation import ClockJump, Crash, Node, current_node, simulate
from kst_scheduler.triggers.factories import cron
from replicas import NIGHT, HostClockLedger, Night, crawl_for, night

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from kst_scheduler.ledger import LedgerRow
    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
    from kst_scheduler.simulation import Incident

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NIGHTS = 3
SPAN = 2.4
"""Days that are simulated, each of 1,440 looks: until nothing is caught up of the third night."""


def jumps(nodes: str, hour: float, by: timedelta) -> list[Incident]:
    """Return jumps of the clock of one host, on which all these nodes are."""
    return [ClockJump(node, night(hour), by.total_seconds()) for node in nodes]


def excursion(nodes: str, hour: float, minutes: float, by: timedelta) -> list[Incident]:
    """Return a clock that is wrong for some minutes."""
    return [*jumps(nodes, hour, by), *jumps(nodes, hour + minutes / 60, -by)]


class Service:
    """Replicas on one host, and whom they told of what."""

    def __init__(
        self, catch_up: timedelta = 6 * HOUR, ledger: MemoryLedger | None = None, **options: Any
    ) -> None:
        self.ledger = HostClockLedger() if ledger is None else ledger
        self.began: list[float] = []
        """When work was begun, in true hours."""
        self.alerted: list[LedgerRow] = []
        self.catch_up = catch_up
        self.of_once: dict[str, Any] = {}
        self.options = options
        self.work: Callable[[], Any] = crawl_for(60)
        self.then: Callable[[KSTScheduler], object] = lambda _scheduler: None

    def register(self, scheduler: KSTScheduler) -> None:
        """Add the job to a new process."""
        guarded = once(self.ledger, catch_up=self.catch_up, instance=current_node(), **self.of_once)
        job = guarded(self._work)
        scheduler.add_job(job, cron(hour=3), id="nps", misfire_grace_time=300)
        Reconciler(scheduler, self.ledger, on_missing=self._alert, **self.options).start()
        self.then(scheduler)

    async def _work(self) -> object:
        self.began.append(asyncio.get_running_loop().time() / 3600)
        return await self.work()

    def nights_begun(self) -> list[int]:
        """Return the night of each work, or -1 for one that was begun at another hour."""
        return [int(hour // 24) if 3 <= hour % 24 < 4 else -1 for hour in self.began]

    async def _alert(self, rows: list[LedgerRow]) -> None:
        self.alerted += rows

    def play(self, days: float, incidents: Sequence[Incident], nodes: int = 1) -> Night:
        """Run some days from midnight on."""
        end = NIGHT + days * DAY
        return Night(simulate(self.register, NIGHT, end, nodes, incidents), self.ledger)


def nights(story: Night) -> list[tuple[int, str, int]]:
    """Return the night, the status and the attempt of each row; the first night is 0."""
    return [((row.scheduled_at - night(3)) // DAY, row.status, row.attempt) for row in story.rows()]


def all_ok(count: int) -> list[tuple[int, str, int]]:
    """Return what ``nights`` returns when each of them was run once."""
    return [(each, "ok", 1) for each in range(count)]


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "minutes", [pytest.param(0.5, marks=LONG), 10, pytest.param(14, marks=LONG)]
)
@pytest.mark.parametrize("by", [DAY, HOUR, -DAY, -HOUR])
def test_ten_minutes_of_a_wrong_clock_cost_nothing(by: timedelta, minutes: float) -> None:
    """At noon no job is due, so nothing is missed, nobody is alerted, and each night is run."""
    service = Service()
    story = service.play(SPAN, excursion("AB", 12, minutes, by), 2)
    assert nights(story) == all_ok(NIGHTS)
    assert service.nights_begun() == list(range(NIGHTS))
    assert service.alerted == []


@pytest.mark.parametrize("by", [DAY, -DAY])
@pytest.mark.parametrize("ledger", [HostClockLedger, MemoryLedger])
def test_a_job_that_is_due_meanwhile_is_caught_up(
    ledger: type[MemoryLedger], by: timedelta
) -> None:
    """The clock is wrong from 02:55 to 03:05.

    Where it is also the ledger's and is ahead, nobody can know that the night it shows has not
    come: its work is done a day early.
    """
    service = Service(ledger=ledger())
    story = service.play(SPAN, excursion("AB", 2 + 55 / 60, 10, by), 2)
    assert nights(story) == all_ok(NIGHTS)
    is_early = ledger is HostClockLedger and by > timedelta(0)
    assert service.nights_begun() == ([0, 0, 2] if is_early else list(range(NIGHTS)))


@pytest.mark.parametrize(
    ("days", "nodes", "restarts"), [(0, "A", False), (0, "AB", False), (3, "AB", True)]
)
def test_no_night_is_run_long_before_its_time(days: int, nodes: str, restarts: bool) -> None:
    """A's clock shows 02:55 at noon, and the ledger has a clock of its own.

    A   noon: shows 02:55 | five minutes later, 03:00: claims, and is refused | its clock is right
    """
    by, service = days * DAY + 14 * HOUR + 55 * MINUTE, Service(ledger=MemoryLedger())
    restart = [Crash("A", night(12, 1), timedelta(minutes=1))] if restarts else []
    story = service.play(SPAN, [*excursion("A", 12, 10, by), *restart], len(nodes))
    assert nights(story) == all_ok(NIGHTS)
    assert service.nights_begun() == list(range(NIGHTS))
    assert service.alerted == []
    said = story.result.log["message"]
    assert said.str.contains("its time has not come by the ledger's clock").any()


@pytest.mark.parametrize("ahead", [299, -299])
def test_a_clock_that_is_a_little_off_runs_its_nights(ahead: float) -> None:
    """The only replica is up to five minutes ahead or behind, and has no Reconciler."""
    ledger, began = MemoryLedger(), []

    async def work() -> None:
        began.append(asyncio.get_running_loop().time())

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(once(ledger)(work), cron(hour=3), id="nps")

    simulate(register, NIGHT, NIGHT + DAY, [Node("A", clock_offset=ahead)])
    assert began == [3 * 3600 - ahead]


def test_a_clock_that_stays_ahead_is_trusted_after_a_while() -> None:
    """Set forward an hour at 02:30, it jumps over 03:00, which is caught up."""
    story = Service().play(1, jumps("A", 2.5, HOUR))
    (row,) = story.rows()
    assert row.status == "ok"
    assert row.started_at is not None
    assert night(3, 45) <= row.started_at <= night(3, 48)  # 02:45 true time, and three looks


def test_what_a_clock_that_was_ahead_has_moved_on_is_looked_at_again() -> None:
    """Ahead for two hours, long enough to be trusted: the nights after it are reconciled."""
    service = Service()
    crashes = [Crash(node, night(24 + 2.5), 2 * HOUR) for node in "AB"]
    story = service.play(SPAN, [*excursion("AB", 12, 120, DAY), *crashes], 2)
    assert nights(story) == all_ok(NIGHTS)
    started_at = story.rows()[1].started_at
    assert started_at is not None
    assert started_at >= night(24 + 4.5)


def test_a_clock_that_was_ahead_forgets_nothing() -> None:
    """A year ahead, every row would be old."""
    service = Service(retention=10 * DAY)
    story = service.play(SPAN, excursion("AB", 24 * 2, 10, 365 * DAY), 2)
    assert nights(story) == all_ok(NIGHTS)


def test_a_process_that_is_started_by_a_wrong_clock_forgets_nothing_at_once() -> None:
    """It cannot know, but that nobody has looked for so long is reason enough to wait."""
    service = Service(retention=10 * DAY)
    begin = 24 * 2
    incidents = [
        *excursion("A", begin, 10, 365 * DAY),
        Crash("A", night(begin, 1), timedelta(minutes=1)),
    ]
    story = service.play(SPAN, incidents)
    assert [each for each in nights(story) if each[0] < NIGHTS] == all_ok(NIGHTS)


@pytest.mark.parametrize("by", [DAY, -DAY])
def test_a_run_in_progress_is_taken_from_nobody(by: timedelta) -> None:
    """It renews its lease by whatever clock there is, and its work is not begun by another."""
    service, begun = Service(), []

    async def work() -> int:
        begun.append(current_node())
        await asyncio.sleep(1800)
        return 7

    service.work = work
    story = service.play(1, excursion("AB", 3.1, 10, by), 2)
    assert nights(story) == all_ok(1)
    assert len(begun) == 1


def claim_on_b(*seconds: float) -> Callable[[KSTScheduler], None]:
    """Start runs by hand on B, so many seconds after 03:10: each of them claims."""

    def plan(scheduler: KSTScheduler) -> None:
        loop = asyncio.get_running_loop()
        for second in seconds if current_node() == "B" else ():
            loop.call_at(3 * 3600 + 600 + second, scheduler.run_now, "nps")

    return plan


@pytest.mark.parametrize("second", [0.1, 5, 18.9])
@pytest.mark.parametrize("by", [timedelta(seconds=90), HOUR])
def test_a_claim_takes_no_run_from_a_replica_that_has_not_renewed_yet(
    by: timedelta, second: float
) -> None:
    """The clock is set forward just after A has renewed its lease, which is over by it.

    A   renews | ............................... renews | works on | ok
    B                  | claims: the run counts as one in progress
    clock        set
    """
    service = Service()
    service.work, service.then = crawl_for(1800), claim_on_b(0.5 + second)
    story = service.play(0.25, jumps("AB", 3 + (10 * 60 + 0.5) / 3600, by), 2)
    assert [row.status for row in story.rows()] == ["ok", "skipped"]
    assert story.rows()[0].attempt == 1


@pytest.mark.parametrize("second", [0.1, 5, 18.9])
def test_a_claim_takes_no_run_when_the_clock_is_right_again(second: float) -> None:
    """It was behind for two minutes, and A has renewed its lease by it.

    clock   set back an hour | A renews | right again | B claims | A renews
    """
    service = Service()
    service.work, service.then = crawl_for(1800), claim_on_b(0.5 + second)
    story = service.play(0.25, excursion("AB", 3 + (8 * 60 + 0.5) / 3600, 2, -HOUR), 2)
    assert [row.status for row in story.rows()] == ["ok", "skipped"]


@pytest.mark.parametrize("max_attempts", [1, 2])
def test_a_look_closes_no_run_when_the_clock_is_right_again(max_attempts: int) -> None:
    """A has renewed a lease of an hour by a clock that was an hour behind, and works on.

    clock   set back an hour | A renews | right again | looks of A and B | A renews
    """
    service = Service()
    service.of_once, service.work = {"lease": HOUR, "max_attempts": max_attempts}, crawl_for(3000)
    story = service.play(0.25, excursion("AB", 3 + 19.5 / 60, 2, -HOUR), 2)
    assert [(row.status, row.attempt) for row in story.rows()] == [("ok", 1)]
    assert service.alerted == []


def test_a_dead_replica_is_closed_by_a_claim_once_the_clock_has_stood() -> None:
    """A dies at 03:05; set forward at 03:10, the clock is trusted 15 minutes later."""
    service = Service(catch_up=MINUTE)
    service.work, service.then = crawl_for(1800), claim_on_b(5, 600, 960)
    incidents = [*jumps("AB", 3 + 1 / 6, HOUR), Crash("A", night(3, 9, 30))]
    story = service.play(0.25, incidents, 2)
    assert [row.status for row in story.rows()] == ["error", "skipped", "skipped", "ok"]


def test_what_was_written_before_its_time_does_not_stand_in_the_way() -> None:
    """A process that was started by a wrong clock writes the next night as missed: it is run."""
    service = Service()
    incidents = [
        *excursion("A", 12, 10, DAY),
        Crash("A", night(12, 1), timedelta(minutes=1)),
    ]
    story = service.play(SPAN, incidents)
    assert {row.status for row in service.alerted} <= {"missed"}
    assert nights(story) == all_ok(NIGHTS)


class _BehindRows(MemoryRows):
    def now(self) -> datetime:
        moment = super().now()
        return moment - 2 * HOUR if night(5, 55) <= moment < night(6, 5) else moment


class BehindLedger(MemoryLedger):
    """Its clock is two hours behind for ten minutes, from 05:55 on."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = _BehindRows()


def test_what_was_missed_in_its_time_stands_also_by_a_clock_that_is_behind() -> None:
    """By the clock of that moment, the row would be one that a clock ahead has written.

    A       down at 03:00 | 05:00: back, writes 03:00 as missed
    B       three hours behind ...................................... 06:00: claims 03:00
    ledger                                 05:55: set back two hours, to before the row was written
    """
    service = Service(HOUR, BehindLedger())
    end = night(7)
    nodes = [Node("A"), Node("B", clock_offset=-3 * 3600)]
    down = [Crash("A", night(2, 50), night(5) - night(2, 50))]
    story = Night(simulate(service.register, NIGHT, end, nodes, down), service.ledger)
    assert nights(story) == [(0, "missed", 0)]
    assert service.began == []
    assert [row.status for row in service.alerted] == ["missed"]


def test_a_clock_that_was_ahead_for_long_costs_no_run_after_it_is_right() -> None:
    """Nine hours ahead for 25 minutes, long enough to be trusted: the night is run in its time.

    clock   02:30: ahead | trusted: 03:00 is missed | 02:55: right, not trusted yet
    A                                                                           | 03:00: claims
    """
    service = Service(5 * MINUTE)
    story = service.play(2, excursion("A", 24 + 2.5, 25, 9 * HOUR))
    assert nights(story) == all_ok(2)
    assert service.nights_begun() == [0, 1]
    assert [row.status for row in service.alerted] == ["missed"]


class SlowLedger(MemoryLedger):
    """Takes five seconds to say what runs."""

    async def rows(self, *arguments: Any, **options: Any) -> list[LedgerRow]:
        """Wait, and answer."""
        if options.get("status") == "running":
            await asyncio.sleep(5)
        return await super().rows(*arguments, **options)


def test_a_clock_that_is_set_back_in_the_middle_of_a_look_puts_off_what_it_found() -> None:
    """Down at 03:00, A finds the night at 05:00; its clock shows 02:00 before the run starts."""
    service = Service(ledger=SlowLedger())
    down = Crash("A", night(2, 50), night(5) - night(2, 50))
    back = ClockJump("A", night(5) + timedelta(seconds=3), -3 * 3600)
    result = simulate(service.register, NIGHT, night(8), 1, [down, back])
    assert nights(Night(result, service.ledger)) == [(0, "ok", 1)]
    assert not result.log["message"].str.contains("cannot be reconciled").any()
