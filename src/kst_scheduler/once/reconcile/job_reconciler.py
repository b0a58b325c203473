"""One look at one job: what should have run is compared with its rows, and put right."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    LedgerUnavailableError,
    NotRunningError,
)
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.ledger.clock_watch import TRUSTED_AFTER
from kst_scheduler.once.reconcile.fire_plan import MAX_AT_ONCE
from kst_scheduler.once.reconcile.overdue import Overdue, nominal_time
from kst_scheduler.once.reconcile.pause_notes import Pause, note_pause, noted_pause
from kst_scheduler.scheduler.occurrence import AlreadyRunningError, Occurrence
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from apscheduler.job import Job

    from kst_scheduler.ledger import Ledger, LedgerRow
    from kst_scheduler.once.decorator import OnceJob
    from kst_scheduler.once.reconcile.fire_plan import FirePlan
    from kst_scheduler.scheduler.run_control import RunControl

MAX_MISSED: Final = 10_000
"""How many occurrences of one job a look takes on; those due before are one line of the log."""

MAX_ROWS: Final = 1_000
"""How many rows are read at a time: some milliseconds."""

MAX_LEAD: Final = timedelta(minutes=1)
"""How far ahead of this look's time another replica's look may be."""

_LOGGER: Final = logging.getLogger(__name__)


@dataclass
class ReconcileResult:
    """What a look did; ``nothing_to_do`` is true where all was well."""

    started: list[Occurrence] = field(default_factory=list)
    """Runs that were started here: caught up, or taken over."""
    missed: list[LedgerRow] = field(default_factory=list)
    """Rows written here for what did not run."""
    closed: list[LedgerRow] = field(default_factory=list)
    """Abandoned rows that were closed here, as errors, by a look or by a claim before it."""
    deleted: int = 0
    """How many rows were older than the retention."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether every occurrence had its row, and no row was too old."""
        return not (self.started or self.missed or self.closed or self.deleted)


class LastLook(NamedTuple):
    """How far this replica has moved on the mark of a job."""

    mark: datetime | None = None
    at: datetime | None = None
    """When it looked last, and the job was not paused here."""
    gap: timedelta = timedelta(0)
    """How long before that it had looked."""
    paused_from: datetime | None = None
    """From when on the job is paused here, as far as its looks tell; None: it is not."""
    paused_until: datetime | None = None
    """When it saw that last."""


@dataclass(frozen=True)
class Look:
    """What is the same for all jobs of one look."""

    scheduler: RunControl
    ledger: Ledger
    now: datetime
    """By the ledger's clock."""
    until: datetime
    """What was due before it, by this host's clock too, replicas have had the time to claim."""
    oldest: datetime
    """What was due before it is not kept."""
    steady_since: datetime
    """From when on the ledger's clock was not set, as far as this replica knows."""
    own_looks: dict[str, LastLook]
    """For each job, by its id, the last look of this replica that moved the mark on."""
    result: ReconcileResult


@dataclass(frozen=True)
class JobReconciler:
    """One look at one job."""

    look: Look
    job: Job
    once_job: OnceJob
    plan: FirePlan
    window: timedelta
    """How long after its time an occurrence may still be run."""
    abandoned: Sequence[LedgerRow]
    """The job's rows whose run lost its lease."""
    paused_at: datetime | None = None
    """When the job was paused here, by this host's clock; None: that is not known. What was due
    before it, since the last look, is not lost by the pause."""
    is_over: bool = False
    """Whether the job has left the scheduler because its trigger never fires again."""

    async def reconcile(self) -> bool:
        """Run or write what has no end; False when some of it is left for a later look.

        Replicas look at the same time, and the mark moves on last::

            A   mark 02:00 | 03:00 has no row: writes it as missed        | mark -> 03:05
            B   mark 02:00 | 03:00 has no row: starts a run, which claims | mark -> 03:00

        One row can be inserted for 03:00, so one of the two does nothing. Were the mark moved on
        first, a process that ends in between would lose 03:00. So B, whose run has yet to claim,
        leaves 03:00 to its next look; a mark never moves back to an earlier time.
        """
        mark = await self._mark()
        # A job that was over when it was added never had a next run time, and is not paused.
        if self.job.next_run_time is None and not self.is_over:
            return await self._leave_paused(mark)
        since = self.look.now if mark is None else mark  # without one, its history begins now
        pause = await self._pause(mark)
        overdue = await self._overdue(since, pause)
        left = await self._handle(overdue) if overdue else []
        await self._move_on(mark, min([max(since, self.look.until), *left]), pause)
        return not left

    async def close_lost(self) -> None:
        """Close the runs that were lost of a job that this replica does not run."""
        await self._close(self._lost().given_up())

    async def _leave_paused(self, mark: datetime | None) -> bool:
        """Move nothing on, as what a paused job would have run may be the duty of another replica.

        The mark is shared, and only a replica where the job is not paused moves it on. So a replica
        that was down goes on from there, whichever was the last one to look:

            A: looks until 02:45, is paused    ...          ...
            B:  down since 02:30     ...        is back: 03:00 is since the mark

        The last one to have moved it on is paused, too, and lives: that it notes
        (``pause_notes``), for those that are paused as well. When their pause ends, nobody but
        they could have run the job until then, and what it would have run leaves no row.
        """
        await self.close_lost()
        own = self.look.own_looks.get(self.job.id, LastLook())
        if own.paused_from is None and own.at is not None:
            # A process that was frozen until now was not paused all the while.
            paused_from = max(own.at, self.look.until - 2 * own.gap)
            if self.paused_at is not None:
                paused_from = max(paused_from, min(self.paused_at, self.look.now))
            own = own._replace(paused_from=paused_from)
        if mark is not None and own.mark == mark:
            pause = Pause(own.paused_from or mark, self.look.until)
            await note_pause(self.look.ledger, self.job.id, mark, pause)
        self.look.own_looks[self.job.id] = own._replace(paused_until=self.look.until)
        return True

    async def _mark(self) -> datetime | None:
        """Return up to when the job was looked at, on whichever replica; None: never yet.

        A clock that was ahead may have moved that into the future. It is set back to where the
        clock became steady; not at once, as the clock may be behind now, in its place. A process
        that is frozen in a look finds the mark ahead of it, too, so the clock is read once more::

            A   reads the clock: 04:30 | .... frozen .... | mark 06:30? reads the clock: 06:31
            B                            mark -> 06:30
        """
        mark = await self.look.ledger.watermark(self.job.id)
        is_steady = self.look.now - self.look.steady_since >= TRUSTED_AFTER
        if mark is None or mark <= self.look.now + MAX_LEAD or not is_steady:
            return mark
        if mark <= await self.look.ledger.now() + MAX_LEAD:
            return mark
        await self.look.ledger.reset_watermark(self.job.id, mark, self.look.steady_since)
        _LOGGER.warning("%s was looked at until %s, by a clock that was ahead", self.job.id, mark)
        return self.look.steady_since

    async def _move_on(self, mark: datetime | None, until: datetime, pause: Pause | None) -> None:
        own, at = self.look.own_looks.get(self.job.id, LastLook()), self.look.until
        moved = mark is None or until > mark
        if moved:
            await self.look.ledger.advance_watermark(self.job.id, until)
        gap = timedelta(0) if own.at is None else at - own.at
        # What was due before a pause, and waits for a run to end, holds the mark before the pause.
        is_past = pause is None or until >= pause.end
        paused = (None, None) if is_past else (own.paused_from, own.paused_until)
        self.look.own_looks[self.job.id] = LastLook(until if moved else own.mark, at, gap, *paused)

    async def _pause(self, mark: datetime | None) -> Pause | None:
        """Return when the job was paused on all replicas that could have run it, if it was."""
        own = self.look.own_looks.get(self.job.id)
        if mark is None or own is None or own.paused_until is None:
            return None
        start, end = own.paused_from or mark, own.paused_until
        if own.mark != mark:
            noted = await noted_pause(self.look.ledger, self.job.id, mark)
            if noted is None:
                return None
            start, end = max(start, noted.start), min(end, noted.end)
        return Pause(start, end) if start < end else None

    def _lost(self) -> Overdue:
        """Return what is known of the runs that lost their lease, where nothing is to be run."""
        return Overdue(
            now=self.look.now,
            due={},
            newest=None,
            statuses={},
            abandoned=self.abandoned,
            in_flight=(),
            window=self.window,
            repeatable=self.once_job.repeatable,
            max_attempts=self.once_job.max_attempts,
        )

    async def _overdue(self, since: datetime, pause: Pause | None) -> Overdue | None:
        """Return what is to be judged, if anything."""
        # A node whose clock is ahead runs what others will find due much later.
        abandoned = [
            row
            for row in self.abandoned
            if row.trigger == "manual" or row.scheduled_at < self.look.until
        ]
        taken = [row.scheduled_at for row in abandoned if row.trigger == "schedule"]
        start = max(self.look.oldest, min([since, *taken])).replace(microsecond=0)
        fires = await self.plan.between(start, self.look.until)
        if pause is not None:
            begin, end = (bisect_left(fires, microseconds(each)) for each in pause)
            fires = fires[:begin] + fires[end:]
        due = await self._due(fires, since) if fires else {}
        if not due and not abandoned:
            return None
        # Before the rows: what leaves the queue in between has one by then.
        waiting = await self._waiting()
        newest = self._newest(fires, due, taken)
        judged = [*islice(due, 1), *([nominal_time(newest)] if newest else [])]
        statuses = await self._statuses(min(judged, default=start))
        here = self.look.scheduler.running_occurrences(self.job.id)
        return Overdue(
            now=self.look.now,
            due=due,
            newest=newest,
            statuses=statuses,
            abandoned=abandoned,
            in_flight={nominal_time(each) for each in here if not each.manual},
            window=self.window,
            repeatable=self.once_job.repeatable,
            max_attempts=self.once_job.max_attempts,
            waiting=waiting,
        )

    async def _statuses(self, since: datetime) -> dict[datetime, str]:
        """Return the status of each row of a scheduled run since a moment, by its scheduled time.

        The loop goes on between two pages, and another replica may claim what is due::

            A   page 1 | page 2 | 03:00 is on no page: writes it as missed, or starts a run of it
            B          | claims 03:00: its row has a higher id than those of page 1

        As where B claims after the last page, the ledger refuses what A does: 03:00 has its row.
        """
        statuses: dict[datetime, str] = {}
        page: list[LedgerRow] = []
        while True:
            before = page[-1].id if page else None
            page = await self.look.ledger.rows(
                self.job.id, since=since, before_id=before, limit=MAX_ROWS
            )
            for row in page:
                if row.trigger == "schedule" and not row.is_untimely(self.look.now):
                    statuses[row.scheduled_at] = row.status
            if len(page) < MAX_ROWS:
                return statuses
            await asyncio.sleep(0)  # a ledger in memory lets nothing else run

    async def _waiting(self) -> Collection[datetime]:
        """Return the scheduled times of what was handed off, and waits for a worker."""
        queue = self.once_job.queue
        if queue is None:
            return ()
        try:
            return await queue.waiting(self.job.id)
        except LedgerUnavailableError as error:
            # It is the queue that is away, so the jobs that have none can be looked at.
            raise KSTSchedulerError(str(error)) from None

    async def _due(self, fires: list[int], since: datetime) -> dict[datetime, Occurrence]:
        """Return what was due since the last look, but no more than a look takes on.

        Each is known by its nominal time, which is worked out here and nowhere else: ten thousand
        of them at once would hold the loop.
        """
        fresh = fires[bisect_left(fires, microseconds(since)) :]
        if len(fresh) > MAX_MISSED:
            _LOGGER.error(
                "%s: %d runs were due from %s on; only the last %d of them are looked at",
                *(self.job.id, len(fresh), self.plan.moment(fresh[0]), MAX_MISSED),
            )
            fresh = fresh[-MAX_MISSED:]
        due: dict[datetime, Occurrence] = {}
        for number, fire in enumerate(fresh, 1):
            if number % MAX_AT_ONCE == 0:
                await asyncio.sleep(0)
            occurrence = Occurrence(self.job.id, self.plan.moment(fire))
            due[nominal_time(occurrence)] = occurrence
        return due

    def _newest(
        self, fires: list[int], due: dict[datetime, Occurrence], taken: Sequence[datetime]
    ) -> Occurrence | None:
        """Return the last occurrence that has come, in the trigger's zone."""
        newest = next(reversed(due.values()), None)
        if newest is None and fires:
            newest = Occurrence(self.job.id, self.plan.moment(fires[-1]))
        if taken and (newest is None or nominal_time(newest) < max(taken)):
            newest = Occurrence(self.job.id, self.plan.moment(microseconds(max(taken))))
        return newest

    async def _handle(self, overdue: Overdue) -> list[datetime]:
        """Start, write and close; return the times of what is left for a later look."""
        left = [each.scheduled_at for each in overdue.left_alone()]
        await self._record_missed(overdue.too_late())
        await self._close(overdue.given_up())
        candidate, folded = overdue.candidate(), list(overdue.folded())
        if candidate is None:
            await self._record_missed(folded)
            return left
        if await self._start(candidate):
            await self._record_missed(folded)
        else:
            left += [each.scheduled_at for each, _ in folded]
        return [*left, candidate.scheduled_at]

    async def _start(self, candidate: Occurrence) -> bool:
        """Start a run, unless another one of the job is in progress, here or elsewhere.

        Nor when this host's clock, which was set back since the look began, says it is not due.
        """
        running = await self.look.ledger.rows(self.job.id, status="running")
        if any(row not in self.abandoned for row in running):
            return False
        if candidate.scheduled_at > datetime.now(UTC):
            return False
        try:
            self.look.scheduler.run_missed(self.job, candidate.scheduled_at)
        except (AlreadyRunningError, NotRunningError):
            return False
        self.look.result.started.append(candidate)
        _LOGGER.info("%s is caught up", candidate)
        return True

    async def _record_missed(self, missed: Iterable[tuple[Occurrence, str]]) -> None:
        instance, written = self.once_job.replica(), []
        for number, (occurrence, reason) in enumerate(missed, 1):
            if number % MAX_AT_ONCE == 0:
                await asyncio.sleep(0)  # a ledger in memory lets nothing else run
            row = await self.look.ledger.record_missed(occurrence, reason, instance)
            if row is not None:
                written.append(row)
        if written:
            self.look.result.missed += written
            _LOGGER.warning(
                "%d run(s) were missed, the last is %s: %s",
                *(len(written), written[-1].occurrence, written[-1].error),
            )

    async def _close(self, given_up: Iterable[tuple[LedgerRow, str]]) -> None:
        if self.look.scheduler.running_occurrences(self.job.id):
            return  # it may be about to end
        for row, reason in given_up:
            closed = await self.look.ledger.close_abandoned(row, reason)
            if closed is not None:
                self.look.result.closed.append(closed)
                _LOGGER.warning("%s: %s", closed.occurrence, reason)


def window_of(job: Job, once_job: OnceJob, retention: timedelta) -> timedelta:
    """Return how long after its time an occurrence may still be run.

    Raises:
        InvalidArgumentError: rows are not kept for so long.

    """
    if once_job.catch_up is not None:
        window = once_job.catch_up
    elif (grace := getattr(job, "misfire_grace_time", None)) is None:
        return retention  # never too late
    else:
        window = timedelta(seconds=grace)
    if window > retention:
        raise InvalidArgumentError(
            f"its catch-up window is {window}, and rows are kept for {retention} only; "
            "write a longer retention="
        )
    return window
