"""A scheduler whose timers follow the wall clock, wherever that is set to.

APScheduler works out how long it has to wait, and leaves that to the event loop. A loop counts on
the monotonic clock: it does not see that the wall clock is set, and it does not count while the
machine is suspended. So a clock set forward an hour at 01:00 makes the job of 03:00 an hour late,
and a clock that was ahead for a minute leaves each job its next run far in the future.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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

MAX_STEP: Final = 1.0
"""Seconds; a clock that goes back further against the monotonic one was set, and not slewed."""

TRUSTED_AFTER: Final = 900.0
"""Seconds after which a clock is trusted that is further back than ever since the start."""

MAX_REMEMBERED: Final = 10_000
"""How many run times a scheduler remembers, so that a clock set back repeats none of them."""


class _Reading(NamedTuple):
    """What the clocks showed at one moment; in seconds, as one is taken whenever jobs are due."""

    shown: float
    """The wall clock, since 1970 in UTC."""
    counted: float
    """The loop's time."""

    @property
    def zero(self) -> float:
        """What the wall clock showed when the loop's time was 0, if it was not set since."""
        return self.shown - self.counted


class WallClockScheduler(AsyncIOScheduler):  # type: ignore[misc] # the library is untyped
    """An AsyncIOScheduler that notices within a minute that the wall clock was set.

    Where it was set forward, what is due by it is run, if it is in time for its grace time. Where
    it was set back, each job gets the next run time that its trigger has by that clock, except for
    those it has run already; a clock further back than ever since the start is trusted after 15
    minutes. A job whose next run time is not its trigger's (it was set by hand, or has jitter)
    keeps it.

    Of APScheduler's private names it uses ``_start_timer``, ``_process_jobs``,
    ``_dispatch_event`` and ``_eventloop``; checked on 3.11.3.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._run_times: OrderedDict[tuple[str, datetime], None] = OrderedDict()
        """Those that were run lately, the oldest first."""
        self._last_reading: _Reading | None = None
        """The clocks when due jobs were looked for last."""
        self._earliest_zero = math.inf
        """Where the wall clock was set to at its earliest, as it showed the zero of the loop's."""
        self._set_back: tuple[_Reading, _Reading] | None = None
        """Before and after the wall clock was set back, until that is trusted."""

    def _start_timer(self, wait_seconds: float | None) -> None:
        if wait_seconds is not None and wait_seconds > MAX_SLEEP:
            limit = MAX_SLEEP if self._set_back else max_sleep(self._eventloop)
            wait_seconds = min(wait_seconds, limit)
        super()._start_timer(wait_seconds)

    def _process_jobs(self) -> float | None:
        if self.state != STATE_PAUSED:
            self._read_clock()
        wait_seconds: float | None = super()._process_jobs()
        return wait_seconds

    def _read_clock(self) -> None:
        reading = _Reading(time.time(), self._eventloop.time())
        last = self._last_reading or reading
        if abs(reading.zero - last.zero) > MAX_STEP:
            self._handle_clock_set(last, reading)
        elif self._set_back is None:
            self._earliest_zero = min(self._earliest_zero, reading.zero)
        elif reading.counted - self._set_back[1].counted >= TRUSTED_AFTER:
            self._turn_back(*self._set_back)
        self._last_reading = reading

    def _handle_clock_set(self, last: _Reading, reading: _Reading) -> None:
        """Turn back the jobs of a clock that was set back: now, or when it has stood for a while.

        A clock that is back where it was before is right. One that is further back than ever since
        the start may be wrong itself, and each job has run what that clock shows.
        """
        set_back, self._set_back = self._set_back or (last, reading), None
        if reading.zero < self._earliest_zero - MAX_STEP:
            self._set_back = set_back[0], reading
        elif reading.zero < last.zero:
            self._turn_back(last, reading)

    def _turn_back(self, last: _Reading, reading: _Reading) -> None:
        """Give each job the next run time that it has by a clock that was set back."""
        span = timedelta(seconds=round(last.zero - reading.zero))
        self._logger.warning("The clock was set back by %s", span)
        self._set_back = None
        self._earliest_zero = min(self._earliest_zero, reading.zero)
        # A job's next run time was worked out when due jobs were looked for last, or later.
        moments = (last.shown + 1e-6, last.zero + reading.counted, reading.shown)
        *before, now = (datetime.fromtimestamp(each, self.timezone) for each in moments)
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

    def _dispatch_event(self, event: SchedulerEvent) -> None:
        if event.code == EVENT_JOB_SUBMITTED:
            for run_time in event.scheduled_run_times:
                self._run_times[event.job_id, run_time] = None
            while len(self._run_times) > MAX_REMEMBERED:
                self._run_times.popitem(last=False)
        elif event.code == EVENT_JOB_MISSED:  # perhaps in a thread of its executor
            self._run_times.pop((event.job_id, event.scheduled_run_time), None)
        super()._dispatch_event(event)


def max_sleep(loop: asyncio.AbstractEventLoop) -> float:
    """Return for how many seconds a scheduler may rely on the loop's clock alone.

    A simulated loop knows when its host's clock is set, so a quiet year there has no wake-ups but
    the first one after that which a real scheduler would have.
    """
    steady_for = getattr(loop, "steady_for", None)
    seconds = steady_for() if steady_for else 0.0
    return seconds if math.isinf(seconds) else MAX_SLEEP * (seconds // MAX_SLEEP + 1)
