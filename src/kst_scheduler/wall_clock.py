"""A scheduler whose timers follow the wall clock, wherever that is set to.

APScheduler works out how long it has to wait, and leaves that to the event loop. A loop counts on
the monotonic clock: it does not see that the wall clock is set, and it does not count while the
machine is suspended. So a clock set forward an hour at 01:00 makes the job of 03:00 an hour late,
and a clock that was ahead for a minute leaves each job its next run far in the future.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.events import EVENT_JOB_MISSED, EVENT_JOB_SUBMITTED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_PAUSED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from apscheduler.events import SchedulerEvent
    from apscheduler.job import Job

MAX_SLEEP: Final = 60.0
"""Seconds after which a scheduler looks at the wall clock again, however long nothing is due."""

MAX_STEP: Final = timedelta(seconds=1)
"""A clock that goes back further than this against the monotonic one was set, not slewed."""

MAX_REMEMBERED: Final = 10_000
"""How many run times a scheduler remembers, so that a clock set back repeats none of them."""


class WallClockScheduler(AsyncIOScheduler):  # type: ignore[misc] # the library is untyped
    """An AsyncIOScheduler that notices within a minute that the wall clock was set.

    Where it was set forward, what is due by it is run, if it is in time for its grace time. Where
    it was set back, each job gets the next run time that its trigger has by that clock, except for
    those it has run already. A job whose next run time is not its trigger's (it was set by hand,
    or has jitter) keeps it.

    Of APScheduler's private names it uses ``_start_timer``, ``_process_jobs`` and ``_eventloop``;
    checked on 3.11.3.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._run_times: dict[tuple[str, datetime], None] = {}
        """Those that were run lately, the oldest first."""
        self._last_reading: tuple[datetime, float] | None = None
        """The wall clock and the loop's, when due jobs were looked for last."""
        self.add_listener(self._note_run_times, EVENT_JOB_SUBMITTED | EVENT_JOB_MISSED)

    def _start_timer(self, wait_seconds: float | None) -> None:
        if wait_seconds is not None:
            wait_seconds = min(wait_seconds, longest_sleep(self._eventloop))
        super()._start_timer(wait_seconds)

    def _process_jobs(self) -> float | None:
        if self.state != STATE_PAUSED:
            self._read_clock()
        wait_seconds: float | None = super()._process_jobs()
        return wait_seconds

    def _read_clock(self) -> None:
        now, counted = datetime.now(self.timezone), self._eventloop.time()
        if self._last_reading is not None:
            then, began = self._last_reading
            expected = then + timedelta(seconds=counted - began)
            if expected - now > MAX_STEP:
                self._logger.warning("The clock was set back by %s", expected - now)
                # A job's next run time was worked out when due jobs were looked for last, or later.
                self._turn_back((then + timedelta(microseconds=1), expected), now)
        self._last_reading = now, counted

    def _turn_back(self, before: Sequence[datetime], now: datetime) -> None:
        """Give each job the next run time that it has by a clock that was set back to ``now``."""
        for job in self.get_jobs():
            try:
                self._turn_back_job(job, before, now)
            except Exception:
                self._logger.exception("Job %r keeps its next run time", job.id)

    def _turn_back_job(self, job: Job, before: Sequence[datetime], now: datetime) -> None:
        next_run_time, trigger = job.next_run_time, job.trigger
        if next_run_time is None or next_run_time <= now:
            return
        if next_run_time not in {trigger.get_next_fire_time(None, each) for each in before}:
            return
        fire = trigger.get_next_fire_time(None, now)
        while fire and (job.id, fire) in self._run_times:
            fire = trigger.get_next_fire_time(fire, fire)
        if fire and fire < next_run_time:
            self.modify_job(job.id, next_run_time=fire)

    def _note_run_times(self, event: SchedulerEvent) -> None:
        if event.code == EVENT_JOB_MISSED:
            self._run_times.pop((event.job_id, event.scheduled_run_time), None)
            return
        for run_time in event.scheduled_run_times:
            self._run_times[event.job_id, run_time] = None
        while len(self._run_times) > MAX_REMEMBERED:
            del self._run_times[next(iter(self._run_times))]


def longest_sleep(loop: asyncio.AbstractEventLoop) -> float:
    """Return for how many seconds a scheduler may rely on the loop's clock alone.

    A simulated loop knows when its host's clock is set, so a quiet year there has no wake-ups but
    the first one after that which a real scheduler would have.
    """
    steady_for = getattr(loop, "steady_for", None)
    seconds = steady_for() if steady_for else 0.0
    return seconds if math.isinf(seconds) else MAX_SLEEP * (seconds // MAX_SLEEP + 1)
