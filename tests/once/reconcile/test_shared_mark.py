"""What one replica does or suffers erases no history of another's."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from in_loop import in_loop
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler, once_jobs
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import Crash, Freeze, current_node, simulate
from kst_scheduler.triggers.factories import at, cron
from replicas import NIGHT, Night, SwitchedLedger, crawl_for, in_shown_times, night

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from apscheduler.triggers.base import BaseTrigger

    from kst_scheduler.ledger import LedgerRow
    from kst_scheduler.simulation import Incident

HOUR = timedelta(hours=1)
PERIOD = timedelta(hours=6)


class Replicas:
    """Replicas of one job, what happens to it on each, and whom they told of what."""

    def __init__(
        self,
        trigger: BaseTrigger | None = None,
        *,
        catch_up: timedelta = PERIOD,
        seconds: float = 60,
        **options: Any,
    ) -> None:
        self.ledger: MemoryLedger = MemoryLedger()
        self.alerted: list[LedgerRow] = []
        self.plan: dict[str, list[tuple[float, Callable[[KSTScheduler, Reconciler], object]]]] = {}
        self._trigger = trigger or cron(hour=3)
        self._catch_up, self._seconds, self._options = catch_up, seconds, options
        self._tasks: list[asyncio.Task[Any]] = []

    def at(
        self, node: str, hour: float, what: Callable[[KSTScheduler, Reconciler], object]
    ) -> None:
        """Do something on a node at an hour; not in a process that is started later."""
        self.plan.setdefault(node, []).append((hour, what))

    def play(
        self, incidents: Sequence[Incident] = (), *, nodes: int = 2, hours: float = 24
    ) -> Night:
        """Run some hours from midnight on."""
        end = night(hours)
        return Night(simulate(self._register, NIGHT, end, nodes, incidents), self.ledger)

    def job(self) -> Callable[[], Awaitable[int]]:
        """Return the job of the node that asks."""
        options = {"catch_up": self._catch_up, **self._options}
        return once(self.ledger, instance=current_node(), **options)(crawl_for(self._seconds))

    def _register(self, scheduler: KSTScheduler) -> None:
        scheduler.add_job(self.job(), self._trigger, id="nps", misfire_grace_time=300)
        reconciler = Reconciler(scheduler, self.ledger, on_missing=self._alert)
        reconciler.start()
        loop = asyncio.get_running_loop()
        for hour, what in self.plan.get(current_node(), ()):
            after = hour * 3600 - loop.time()
            if after >= 0:
                loop.call_later(after, self._do, what, scheduler, reconciler)

    def _do(self, what: Any, scheduler: KSTScheduler, reconciler: Reconciler) -> None:
        done = what(scheduler, reconciler)
        if asyncio.iscoroutine(done):
            self._tasks.append(asyncio.get_running_loop().create_task(done))

    async def _alert(self, rows: list[LedgerRow]) -> None:
        self.alerted += rows


def pause(scheduler: KSTScheduler, _reconciler: Reconciler) -> None:
    """Pause the job."""
    scheduler.pause_job("nps")


def resume(scheduler: KSTScheduler, _reconciler: Reconciler) -> None:
    """Resume it."""
    scheduler.resume_job("nps")


def remove(scheduler: KSTScheduler, _reconciler: Reconciler) -> None:
    """Remove it."""
    scheduler.remove_job("nps")


def down(node: str, start: float, end: float | None) -> Crash:
    """Return a crash of a node from one hour to another."""
    return Crash(node, night(start), None if end is None else night(end) - night(start))


def told(story: Night) -> list[tuple[float, str]]:
    """Return the hour and the status of each row."""
    return [((row.scheduled_at - NIGHT) / HOUR, row.status) for row in story.rows()]


@pytest.mark.parametrize("act", [pause, remove])
@pytest.mark.parametrize("since", [0, 1, 2.4, 2.51, 2.75, 2.95])
def test_what_is_due_while_the_other_replica_is_down_is_its_own(act: Any, since: float) -> None:
    """Paused or removed on A, and B is down from 02:30 to 03:30: B catches up.

    Also where A was the last to look, as it was paused while B was down already.
    """
    replicas = Replicas()
    replicas.at("A", since, act)
    story = replicas.play([down("B", 2.5, 3.5)])
    row = story.row()
    assert (row.status, row.instance) == ("ok", "B")
    assert replicas.alerted == []


@pytest.mark.parametrize("since", [2.4, 2.51, 2.75, 2.95])
def test_what_is_due_while_the_other_replica_is_frozen_is_its_own(since: float) -> None:
    """As for one that is down."""
    replicas = Replicas()
    replicas.at("A", since, pause)
    row = replicas.play([Freeze("B", night(2.5), HOUR)]).row()
    assert (row.status, row.instance) == ("ok", "B")


@pytest.mark.parametrize("since", [2.4, 2.51, 2.75, 2.95])
def test_a_one_shot_job_waits_for_the_replica_that_is_down(since: float) -> None:
    """It has left the scheduler of B's next process at once."""
    replicas = Replicas(at(night(3)))
    replicas.at("A", since, pause)
    row = replicas.play([down("B", 2.5, 3.5)]).row()
    assert (row.status, row.instance) == ("ok", "B")


async def drain(scheduler: KSTScheduler, reconciler: Reconciler) -> None:
    """End as a process does that is stopped."""
    await reconciler.stop()
    await scheduler.drain(5)


def test_what_is_due_after_a_drain_is_that_of_the_next_process() -> None:
    """B is drained for a deployment at 02:24, A is paused at 02:30, and B is back at 03:30."""
    replicas = Replicas()
    replicas.at("B", 2.4, drain)
    replicas.at("A", 2.5, pause)
    row = replicas.play([down("B", 2.45, 3.5)]).row()
    assert (row.status, row.instance) == ("ok", "B")


def test_a_restart_ends_a_pause() -> None:
    """A was paused, and is restarted while B is down: it runs what nobody has run."""
    replicas = Replicas()
    replicas.at("A", 2.75, pause)
    row = replicas.play([down("B", 2.5, None), down("A", 3.2, 3.3)]).row()
    assert (row.status, row.instance) == ("ok", "A")


@pytest.mark.parametrize("since", [0, 2.75])
def test_what_is_too_late_for_the_other_replica_is_written_once(since: float) -> None:
    """The catch-up window is a quarter of an hour: a row, and one alert."""
    replicas = Replicas(catch_up=timedelta(minutes=15))
    replicas.at("A", since, pause)
    story = replicas.play([down("B", 2.5, 3.5)])
    assert told(story) == [(3, "missed")]
    assert replicas.alerted == [story.row()]


def test_the_end_of_the_pause_may_come_first() -> None:
    """B never comes back, and A is resumed at 04:00."""
    replicas = Replicas()
    replicas.at("A", 0, pause)
    replicas.at("A", 4, resume)
    row = replicas.play([down("B", 2.5, None)]).row()
    assert (row.status, row.instance) == ("ok", "A")


def test_a_removed_job_that_is_added_again_goes_on_where_the_others_are() -> None:
    """Removed on A from 01:00 to 02:00: B runs each hour."""
    replicas = Replicas(cron(minute=0))
    replicas.at("A", 0.9, remove)
    replicas.at("A", 2.1, lambda s, _r: s.add_job(replicas.job(), cron(minute=0), id="nps"))
    assert told(replicas.play(hours=4)) == [(hour, "ok") for hour in range(4)]
    assert replicas.alerted == []


@pytest.mark.parametrize("a", [1.1, 1.4, 1.101])
@pytest.mark.parametrize("first", ["A", "B"])
def test_a_job_that_is_paused_everywhere_leaves_no_row(a: float, first: str) -> None:
    """Paused on A and on B, and resumed on either first: nothing is missed, and nobody is told."""
    replicas = Replicas(cron(minute=0))
    replicas.at("A", a, pause)
    replicas.at("B", 1.1, pause)
    replicas.at(first, 5.5, resume)
    replicas.at("AB".replace(first, ""), 5.6, resume)
    story = replicas.play(hours=8)
    assert told(story) == [(hour, "ok") for hour in (0, 1, 6, 7)]
    assert replicas.alerted == []


def test_pauses_leave_no_more_notes_the_longer_a_service_runs() -> None:
    """Paused a dozen times, each time longer than a look: the ledger has the names of one pause."""
    replicas, names = Replicas(cron(minute=0)), []
    for hour in range(12):
        for node in "AB":
            replicas.at(node, hour + 0.3, pause)
            replicas.at(node, hour + 0.7, resume)
        replicas.at("A", hour + 0.9, lambda *_: names.append({*replicas.ledger._watermarks}))
    story = replicas.play(hours=12)
    assert told(story) == [(hour, "ok") for hour in range(12)]
    assert names[0] == names[-1]
    assert len(names[0]) == 4


def test_a_pause_on_all_replicas_ends_where_one_of_them_dies() -> None:
    """B, the last one to look, dies at 02:30 while it is paused: what is due then is not paused."""
    replicas = Replicas(cron(minute=30))
    replicas.at("A", 0.9, pause)
    replicas.at("B", 1.1, pause)
    replicas.at("A", 3.7, resume)
    story = replicas.play([down("B", 2.7, None)], hours=5)
    assert told(story) == [(0.5, "ok"), (3.5, "ok"), (4.5, "ok")]


def test_a_pause_survives_a_restart_of_the_other_replica() -> None:
    """B goes on where it was, and A keeps out of it."""
    replicas = Replicas(cron(minute=0))
    replicas.at("A", 0.5, pause)
    story = replicas.play([down("B", 1.5, 2.5), down("B", 3.5, 3.6)], hours=6)
    assert told(story) == [(hour, "ok") for hour in range(6)]


@pytest.mark.parametrize("act", [pause, remove])
@pytest.mark.parametrize(
    ("options", "hour"),
    [({"catch_up": HOUR}, 4), ({"catch_up": HOUR, "repeatable": False}, 3.5)],
)
def test_a_run_that_a_dead_replica_lost_is_closed_by_whoever_is_left(
    act: Any, options: dict[str, Any], hour: float
) -> None:
    """B dies at 03:05 in the middle of its run, and A has no such job to run."""
    replicas = Replicas(seconds=900, **options)
    replicas.at("A", 2, act)
    story = replicas.play([down("B", 3.1, None)], hours=hour + 0.2)
    row = story.row()
    assert (row.status, row.instance) == ("error", "B")
    assert row.error is not None
    assert row.error.startswith("abandoned: attempt 1 on B lost its lease")
    assert list(map(in_shown_times, replicas.alerted)) == [row]


@pytest.mark.parametrize("act", [pause, remove])
def test_a_run_that_a_dead_replica_lost_is_left_to_its_next_process(act: Any) -> None:
    """Within its window it may be run again, and A cannot know that nobody will."""
    replicas = Replicas(seconds=900)
    replicas.at("A", 2, act)
    row = replicas.play([down("B", 3.1, 4)], hours=6).row()
    assert (row.status, row.attempt, row.instance) == ("ok", 2, "B")
    assert replicas.alerted == []


def test_only_so_many_removed_jobs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that adds and removes many does not keep them all; plain jobs do not count."""
    monkeypatch.setattr(once_jobs, "MAX_REMOVED", 3)
    kept: list[list[str]] = []

    def come_and_go(scheduler: KSTScheduler, reconciler: Reconciler) -> None:
        for number in range(5):
            scheduler.add_job(replicas.job(), cron(hour=3), id=f"job-{number}")
            scheduler.remove_job(f"job-{number}")
        scheduler.add_job(crawl_for(0), cron(hour=3), id="plain")
        scheduler.remove_job("plain")
        scheduler.remove_all_jobs()
        kept.append([job.id for job, _ in reconciler._jobs.removed()])

    replicas = Replicas()
    replicas.at("A", 1, come_and_go)
    replicas.play(nodes=1, hours=2)
    assert kept == [["job-3", "job-4", "nps"]]


async def _restart(_scheduler: KSTScheduler, reconciler: Reconciler) -> None:
    await reconciler.stop()
    reconciler.start()


async def _away_from_two_to_four(_scheduler: KSTScheduler, reconciler: Reconciler) -> None:
    await reconciler.stop()
    await asyncio.sleep(2 * 3600)
    reconciler.start()


@pytest.mark.parametrize("act", [_restart, _away_from_two_to_four])
def test_a_reconciler_that_was_started_again_hears_of_one_shot_jobs(act: Any) -> None:
    """The run of 03:00 is lost at 03:05, and the job has left the scheduler."""
    replicas = Replicas(at(night(3)), seconds=900)
    for node in "AB":
        replicas.at(node, 2, act)
    winner = replicas.play(hours=3.05).row().instance
    replicas.ledger = MemoryLedger()
    row = replicas.play([down(winner, 3.1, None)], hours=8).row()
    assert (row.status, row.attempt) == ("ok", 2)
    assert row.instance != winner


@in_loop
async def test_a_stopped_reconciler_leaves_no_listener_and_a_started_one_has_its_own() -> None:
    """However often."""
    scheduler, ledger = KSTScheduler(), MemoryLedger()
    scheduler.add_job(once(ledger)(crawl_for(0)), cron(hour=3), id="nps")
    scheduler.start()
    reconciler = Reconciler(scheduler, ledger)
    for _ in range(3):
        reconciler.start()
        reconciler.start()
        assert len(scheduler._listeners) == 2
        await reconciler.stop()
        assert scheduler._listeners == []
    await scheduler.drain(1)


@pytest.mark.parametrize(("start", "end"), [(2.5, 3.5), (3.5, 4.5)])
def test_what_waited_before_a_pause_is_not_lost_by_it(start: float, end: float) -> None:
    """A run of four hours keeps 02:00 waiting; only what is due in the pause leaves no row."""
    replicas = Replicas(cron(hour="*/2", minute=0), catch_up=HOUR, seconds=15_000)
    replicas.at("A", start, pause)
    replicas.at("A", end, resume)
    rows = dict(told(replicas.play(nodes=1, hours=12)))
    assert rows[0] == "ok"
    assert rows[2] in {"missed", "skipped"}
    assert (4 in rows) == (not start < 4 < end)
    assert 6 in rows


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("second", [32, 45])
def test_what_was_due_just_before_a_pause_is_not_lost_by_it(second: int, nodes: int) -> None:
    """The ledger is away at 03:00, for longer than a claim waits, and no look comes in between.

    A       03:00: claims | gives up | is paused | looks ... | resumes: 03:00 was not paused
    ledger  [.......... away ..........]
    """
    replicas = Replicas()
    replicas.ledger = SwitchedLedger(away=lambda _name, now: 10_795 < now < 10_835)
    for node in "AB"[:nodes]:
        replicas.at(node, 3 + second / 3600, pause)
        replicas.at(node, 4.5, resume)
    assert told(replicas.play(nodes=nodes, hours=6)) == [(3, "ok")]


class FrozenLook(MemoryLedger):
    """Freezes one replica between its reading of the clock and that of the mark, for two hours."""

    is_due = False

    async def now(self) -> datetime:
        """Read the clock, and freeze once."""
        moment = await super().now()
        if self.is_due and current_node() == "A":
            self.is_due = False
            time.sleep(2 * 3600)  # noqa: ASYNC251 - as a virtual machine that is moved
        return moment

    def freeze_next(self, *_: object) -> None:
        """Freeze the next look."""
        self.is_due = True


def test_a_look_that_was_frozen_takes_no_mark_for_one_of_a_clock_ahead() -> None:
    """Set back, the mark would lie before a pause of all replicas, whose runs were called missed.

    A reads the clock at 04:30 and is frozen; B moves the mark on to 06:30; A reads the mark.
    """
    replicas = Replicas(cron(minute=0))
    replicas.ledger = ledger = FrozenLook()
    for node in "AB":
        replicas.at(node, 1.1, pause)
        replicas.at(node, 3.1, resume)
    replicas.at("A", 4.501, ledger.freeze_next)
    story = replicas.play(hours=8)
    assert told(story) == [(hour, "ok") for hour in (0, 1, 4, 5, 6, 7)]
    assert replicas.alerted == []


def times_the_clock_is_read(jobs: int) -> int:
    """Return how often two replicas read the ledger's clock in two hours without a fire."""

    class Ledger(MemoryLedger):
        read = 0

        async def now(self) -> datetime:
            self.read += 1
            return await super().now()

    ledger = Ledger()

    def register(scheduler: KSTScheduler) -> None:
        job = once(ledger, instance=current_node())(crawl_for(1))
        for number in range(jobs):
            scheduler.add_job(job, cron(hour=3), id=f"job-{number}")
        Reconciler(scheduler, ledger).start()

    simulate(register, NIGHT, night(2), 2)
    return ledger.read


def test_twenty_jobs_cost_no_more_readings_of_the_clock_than_one() -> None:
    """Each is a round trip, and another replica has moved the marks a moment ago."""
    assert times_the_clock_is_read(20) == times_the_clock_is_read(1)
