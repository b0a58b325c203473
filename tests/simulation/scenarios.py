"""Sixty scenarios, each with its fate in APScheduler 3.11.3, worked out from the library's source.

Times are seconds since a whole ten of them, so that a scenario can run in real time, too. ``fate``
has a word a row: job, due time, outcome, and when it began; a coalesced, skipped or missed run did
not. What decides stands in ``why``, by its function:

- ``run_times``: ``Job._get_run_times`` collects every time that is due by now.
- ``coalesce``: ``BaseScheduler._process_jobs`` keeps the last of them.
- ``max_instances``: ``BaseExecutor.submit_job`` refuses, and the fire times are spent all the same.
- ``grace``: ``run_job`` and ``run_coroutine_job`` compare each time with the clock when it begins.
- ``first fire``: ``add_job``, ``resume_job`` and ``reschedule_job`` ask the trigger as if it had
  never fired.
- ``one loop``: coroutines share the event loop, and what blocks it delays the others' begin.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler import KST

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

END = 7
"""Seconds that a scenario lasts."""


class Stage:
    """The scheduler of a scenario, with its times counted from the beginning."""

    def __init__(self, scheduler: AsyncIOScheduler, start: datetime) -> None:
        self.scheduler = scheduler
        self.start = start

    def at(self, seconds: float) -> datetime:
        """Return a moment."""
        return self.start + timedelta(seconds=seconds)

    def once_at(self, seconds: float) -> DateTrigger:
        """Return a trigger that fires once."""
        return DateTrigger(self.at(seconds))

    def every(self, seconds: float, first: float = 1, last: float | None = None) -> IntervalTrigger:
        """Return a trigger that fires again and again."""
        end = None if last is None else self.at(last)
        return IntervalTrigger(seconds=seconds, start_date=self.at(first), end_date=end)

    def add(self, trigger: Any, lasts: float = 0, job_id: str = "a", **options: Any) -> None:
        """Add a coroutine that waits, as a request does."""

        async def job() -> None:
            await asyncio.sleep(lasts)

        self.scheduler.add_job(job, trigger, id=job_id, **options)

    def add_blocking(self, trigger: Any, lasts: float, job_id: str, **options: Any) -> None:
        """Add a coroutine that blocks its event loop."""

        async def job() -> None:
            time.sleep(lasts)  # noqa: ASYNC251 - the point

        self.scheduler.add_job(job, trigger, id=job_id, **options)

    def add_in_thread(self, trigger: Any, lasts: float, job_id: str, **options: Any) -> None:
        """Add a plain function, which gets a thread."""
        self.scheduler.add_job(lambda: time.sleep(lasts), trigger, id=job_id, **options)

    def block(self, begin: float, end: float) -> None:
        """Block the event loop, as a frozen process is."""
        self.later(begin, lambda: time.sleep(end - begin))

    def later(self, seconds: float, function: Callable[[], Any]) -> None:
        """Call a function, on the event loop."""
        asyncio.get_running_loop().call_later(seconds - self.now(), function)

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return (datetime.now(KST) - self.start).total_seconds()


@dataclass(frozen=True)
class Scenario:
    """What is set up, the outcome, and why."""

    name: str
    play: Callable[[Stage], None]
    fate: str
    why: str
    in_real_time: bool = False


SCENARIOS: list[Scenario] = []


def scenario(
    name: str, play: Callable[[Stage], None], fate: str, why: str, *, in_real_time: bool = False
) -> None:
    """Add one."""
    SCENARIOS.append(Scenario(name, play, fate, why, in_real_time))


def late(lateness: float, **options: Any) -> Callable[[Stage], None]:
    """Return a play in which a run at 2 s begins late."""

    def play(stage: Stage) -> None:
        stage.add(stage.once_at(2), **options)
        stage.block(1.5, 2 + lateness)

    return play


def three_due(**options: Any) -> Callable[[Stage], None]:
    """Return a play in which the runs of 2, 3 and 4 s are due together at 4.5 s."""

    def play(stage: Stage) -> None:
        stage.add(stage.every(1, last=5), **options)
        stage.block(1.5, 4.5)

    return play


def overlapping(lasts: float, instances: int) -> Callable[[Stage], None]:
    """Return a play in which a job is due each second."""
    return lambda stage: stage.add(stage.every(1), lasts, max_instances=instances)


# A run that begins late, against its grace time. Coalescing changes nothing for one fire time.
for coalesce in (True, False):
    words = "coalescing" if coalesce else "not coalescing"
    for lateness, grace, fate in [
        (0.5, 1, "a2=ok@2.5"),
        (0.5, 2, "a2=ok@2.5"),
        (0.5, None, "a2=ok@2.5"),
        (1.5, 1, "a2=missed"),
        (1.5, 2, "a2=ok@3.5"),
        (1.5, None, "a2=ok@3.5"),
        (2.5, 1, "a2=missed"),
        (2.5, 2, "a2=missed"),
        (2.5, None, "a2=ok@4.5"),
    ]:
        scenario(
            f"{lateness} s late, grace {grace}, {words}",
            late(lateness, misfire_grace_time=grace, coalesce=coalesce),
            fate,
            "grace",
            in_real_time=coalesce and lateness == 1.5,
        )
scenario("1.5 s late, grace not given", late(1.5), "a2=missed", "grace: the default is 1 s")

# Three fire times that are due together.
for coalesce, grace, fate in [
    (True, 1, "a1=ok@1 a2=coalesced a3=coalesced a4=ok@4.5 a5=ok@5"),
    (True, 2, "a1=ok@1 a2=coalesced a3=coalesced a4=ok@4.5 a5=ok@5"),
    (True, None, "a1=ok@1 a2=coalesced a3=coalesced a4=ok@4.5 a5=ok@5"),
    (False, 1, "a1=ok@1 a2=missed a3=missed a4=ok@4.5 a5=ok@5"),
    (False, 2, "a1=ok@1 a2=missed a3=ok@4.5 a4=ok@4.5 a5=ok@5"),
    (False, 3, "a1=ok@1 a2=ok@4.5 a3=ok@4.5 a4=ok@4.5 a5=ok@5"),
    (False, None, "a1=ok@1 a2=ok@4.5 a3=ok@4.5 a4=ok@4.5 a5=ok@5"),
]:
    scenario(
        f"three due at once, coalesce {coalesce}, grace {grace}",
        three_due(coalesce=coalesce, misfire_grace_time=grace),
        fate,
        "run_times, coalesce, grace",
        in_real_time=grace == 2,
    )


def two_seconds_late_and_coalesced(stage: Stage) -> None:
    """Let the last of two due times be beyond its grace."""
    stage.add(stage.every(1, first=1, last=3), misfire_grace_time=1, coalesce=True)
    stage.block(1.5, 4.5)


scenario(
    "the last of two is beyond its grace",
    two_seconds_late_and_coalesced,
    "a1=ok@1 a2=coalesced a3=missed",
    "coalesce comes before grace: the last one is kept, and is too late",
    in_real_time=True,
)

# A job that lasts longer than its interval.
for lasts, instances, fate in [
    (0.5, 1, "a1=ok@1 a2=ok@2 a3=ok@3 a4=ok@4 a5=ok@5 a6=ok@6"),
    (0.5, 2, "a1=ok@1 a2=ok@2 a3=ok@3 a4=ok@4 a5=ok@5 a6=ok@6"),
    (0.5, 3, "a1=ok@1 a2=ok@2 a3=ok@3 a4=ok@4 a5=ok@5 a6=ok@6"),
    (1.5, 1, "a1=ok@1 a2=skipped a3=ok@3 a4=skipped a5=ok@5 a6=skipped"),
    (1.5, 2, "a1=ok@1 a2=ok@2 a3=ok@3 a4=ok@4 a5=ok@5 a6=running@6"),
    (1.5, 3, "a1=ok@1 a2=ok@2 a3=ok@3 a4=ok@4 a5=ok@5 a6=running@6"),
    (2.5, 1, "a1=ok@1 a2=skipped a3=skipped a4=ok@4 a5=skipped a6=skipped"),
    (2.5, 2, "a1=ok@1 a2=ok@2 a3=skipped a4=ok@4 a5=running@5 a6=skipped"),
    (2.5, 3, "a1=ok@1 a2=ok@2 a3=ok@3 a4=ok@4 a5=running@5 a6=running@6"),
]:
    scenario(
        f"lasts {lasts} s, due each second, max_instances {instances}",
        overlapping(lasts, instances),
        fate,
        "max_instances",
        in_real_time=lasts == 2.5 and instances < 3,
    )


def busy_and_blocked(*, coalesce: bool) -> Callable[[Stage], None]:
    """Return a play in which three times are due at once while the job is at work."""

    def play(stage: Stage) -> None:
        stage.add(stage.every(1, last=5), 5, coalesce=coalesce, misfire_grace_time=None)
        stage.block(1.5, 4.5)

    return play


scenario(
    "three due at once while it runs, coalescing",
    busy_and_blocked(coalesce=True),
    "a1=ok@1 a2=coalesced a3=coalesced a4=skipped a5=skipped",
    "coalesce keeps the last, max_instances refuses it",
)
scenario(
    "three due at once while it runs, not coalescing",
    busy_and_blocked(coalesce=False),
    "a1=ok@1 a2=skipped a3=skipped a4=skipped a5=skipped",
    "one submission of three times, refused as a whole",
    in_real_time=True,
)

# Triggers that begin, end, or are in the past.
scenario(
    "an interval ends",
    lambda stage: stage.add(stage.every(1, last=3)),
    "a1=ok@1 a2=ok@2 a3=ok@3",
    "the end is included",
)
scenario(
    "an interval began long ago",
    lambda stage: stage.add(stage.every(2, first=-99)),
    "a1=ok@1 a3=ok@3 a5=ok@5",
    "first fire: the next multiple of the interval",
)
scenario(
    "a date five seconds ago, any lateness",
    lambda stage: stage.add(stage.once_at(-5), misfire_grace_time=None),
    "a-5=ok@0",
    "first fire: DateTrigger returns its date, past or not",
)
scenario(
    "a date five seconds ago, grace 1",
    lambda stage: stage.add(stage.once_at(-5), misfire_grace_time=1),
    "a-5=missed",
    "first fire, grace",
)
scenario(
    "two dates in one trigger",
    lambda stage: stage.add(OrTrigger([stage.once_at(4), stage.once_at(2)])),
    "a2=ok@2",
    "OrTrigger asks both with the time of the last fire, and a DateTrigger that is told of one has "
    "no other: the second date is lost",
)
scenario(
    "cron, every second second",
    lambda stage: stage.add(CronTrigger(second="*/2", start_date=stage.at(1), timezone=KST)),
    "a2=ok@2 a4=ok@4 a6=ok@6",
    "CronTrigger.get_next_fire_time",
    in_real_time=True,
)
scenario(
    "cron, a list and an end",
    lambda stage: stage.add(CronTrigger(second="1,4,5", end_date=stage.at(4.5), timezone=KST)),
    "a1=ok@1 a4=ok@4",
    "CronTrigger: none after its end",
)
scenario(
    "a first run of its own",
    lambda stage: stage.add(stage.every(3, first=3), next_run_time=stage.at(1)),
    "a1=ok@1 a4=ok@4",
    "IntervalTrigger counts from the last fire time, so the phase is that of next_run_time",
)
scenario(
    "next_run_time=None",
    lambda stage: stage.add(stage.every(1), next_run_time=None),
    "",
    "a paused job is never due",
)


# What is done to jobs while they are scheduled.
def removed(stage: Stage) -> None:
    """Remove it between two runs."""
    stage.add(stage.every(1))
    stage.later(2.5, lambda: stage.scheduler.remove_job("a"))


def removed_at_work(stage: Stage) -> None:
    """Remove it while it is at work."""
    stage.add(stage.every(1), 2.5)
    stage.later(1.5, lambda: stage.scheduler.remove_job("a"))


def paused_and_resumed(stage: Stage) -> None:
    """Pause it, and resume it later."""
    stage.add(stage.every(1))
    stage.later(1.5, lambda: stage.scheduler.pause_job("a"))
    stage.later(4.5, lambda: stage.scheduler.resume_job("a"))


def scheduler_paused(stage: Stage) -> None:
    """Pause the whole scheduler, and resume it later."""
    stage.add(stage.every(1, last=5), misfire_grace_time=1)
    stage.later(1.5, stage.scheduler.pause)
    stage.later(4.5, stage.scheduler.resume)


def rescheduled(stage: Stage) -> None:
    """Give it another trigger."""
    stage.add(stage.every(1))
    trigger = stage.every(2, first=3)
    stage.later(2.5, lambda: stage.scheduler.reschedule_job("a", trigger=trigger))


def run_by_hand(stage: Stage) -> None:
    """Let it run now, as the lesson does."""
    stage.add(stage.every(3, first=3))
    now = stage.at(1.5)
    stage.later(1.5, lambda: stage.scheduler.modify_job("a", next_run_time=now))


def run_by_hand_at_work(stage: Stage) -> None:
    """Let it run now, while it is at work."""
    stage.add(stage.once_at(1), 3)
    stage.add(stage.every(3, first=3), 2, job_id="b")
    now = stage.at(3.5)
    stage.later(3.5, lambda: stage.scheduler.modify_job("b", next_run_time=now))


def replaced(stage: Stage) -> None:
    """Replace it by another job of its id."""
    stage.add(stage.every(1))
    trigger = stage.every(2, first=4)
    stage.later(2.5, lambda: stage.add(trigger, replace_existing=True))


def added_late(stage: Stage) -> None:
    """Add it to a scheduler that runs."""
    stage.add(stage.every(6))
    stage.later(3.2, lambda: stage.add(stage.every(2), job_id="b"))


OVER_TIME: list[tuple[str, Callable[[Stage], None], str, str]] = [
    ("removed between two runs", removed, "a1=ok@1 a2=ok@2", "remove_job"),
    ("removed at work", removed_at_work, "a1=ok@1", "a run that began is not stopped"),
    ("paused and resumed", paused_and_resumed, "a1=ok@1 a5=ok@5 a6=ok@6", "first fire"),
    (
        *("the scheduler paused and resumed", scheduler_paused),
        *("a1=ok@1 a2=coalesced a3=coalesced a4=ok@4.5 a5=ok@5", "run_times at resume()"),
    ),
    ("rescheduled", rescheduled, "a1=ok@1 a2=ok@2 a3=ok@3 a5=ok@5", "first fire"),
    ("run by hand", run_by_hand, "a1.5=ok@1.5 a4.5=ok@4.5", "IntervalTrigger counts from there"),
    (
        *("run by hand, at work", run_by_hand_at_work),
        *("a1=ok@1 b3=ok@3 b3.5=skipped b6.5=running@6.5", "max_instances; it counts on"),
    ),
    ("replaced", replaced, "a1=ok@1 a2=ok@2 a4=ok@4 a6=ok@6", "first fire"),
    ("added to a scheduler that runs", added_late, "a1=ok@1 b5=ok@5", "first fire"),
]
for entry in OVER_TIME:
    scenario(*entry)


# Jobs that fail, and jobs that are in each other's way.
def failing(stage: Stage) -> None:
    """Raise an error in every run."""

    async def job() -> None:
        raise ConnectionError("503")

    stage.scheduler.add_job(job, stage.every(1, last=3), id="a")


def failing_in_a_thread(stage: Stage) -> None:
    """Raise an error in every run, in a thread."""

    def job() -> None:
        raise ConnectionError("503")

    stage.scheduler.add_job(job, stage.every(1, last=3), id="a")


def blocking_neighbour(grace: int | None, neighbour: str = "blocks") -> Callable[[Stage], None]:
    """Return a play in which a neighbour begins at the same moment, and lasts 1.5 s."""

    def play(stage: Stage) -> None:
        add = stage.add_blocking if neighbour == "blocks" else stage.add_in_thread
        add(stage.once_at(2), 1.5, "a")
        stage.add(stage.once_at(2), job_id="b", misfire_grace_time=grace)

    return play


NEIGHBOURS: list[tuple[str, Callable[[Stage], None], str, str]] = [
    ("an error in each run", failing, "a1=error@1 a2=error@2 a3=error@3", "run_coroutine_job"),
    ("an error in a thread", failing_in_a_thread, "a1=error@1 a2=error@2 a3=error@3", "run_job"),
    ("a neighbour blocks, grace 1", blocking_neighbour(1), "a2=ok@2 b2=missed", "one loop, grace"),
    ("a neighbour blocks, grace 2", blocking_neighbour(2), "a2=ok@2 b2=ok@3.5", "one loop, grace"),
    ("a neighbour blocks, no limit", blocking_neighbour(None), "a2=ok@2 b2=ok@3.5", "one loop"),
    ("a neighbour in a thread", blocking_neighbour(1, "thread"), "a2=ok@2 b2=ok@2", "a pool"),
]
for entry in NEIGHBOURS:
    scenario(*entry, in_real_time=entry[0].startswith("a neighbour blocks, grace"))
