"""An occurrence: a job at one scheduled time. It is what is to run once, whoever runs it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import KSTSchedulerError, NoOccurrenceError
from kst_scheduler.timezone import UTC, require_aware

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A job and one of its scheduled times; equal to another of the same job at the same instant.

    A ``manual`` one was asked for by hand (``KSTScheduler.run_now``): its scheduled time is the
    moment of asking.

    Raises:
        NaiveDatetimeError: ``scheduled_at`` has no zone.

    """

    job_id: str
    scheduled_at: datetime
    manual: bool = False

    def __post_init__(self) -> None:
        require_aware(self.scheduled_at, "scheduled_at")

    @property
    def key(self) -> str:
        """The name that every replica gives this occurrence.

        The scheduled time stands in UTC and whole seconds, as in
        ``nightly-crawl@2026-05-09T18:00:00Z``: two runs of one job within a second would share
        a key. A manual run has a key of its own, to the microsecond:
        ``nightly-crawl@2026-05-09T18:00:00.250000Z/manual``.
        """
        moment = self.scheduled_at.astimezone(UTC).replace(tzinfo=None)
        if self.manual:
            return f"{self.job_id}@{moment.isoformat(timespec='microseconds')}Z/manual"
        return f"{self.job_id}@{moment.isoformat(timespec='seconds')}Z"

    def __str__(self) -> str:
        return self.key


RUNNING: Final[ContextVar[tuple[str, datetime, bool] | None]] = ContextVar(
    "kst_scheduler.running", default=None
)
"""Set by the executor around each run: the arguments of its ``Occurrence``, which is built only
when somebody asks."""

ATTEMPT: Final[ContextVar[tuple[str, int] | None]] = ContextVar(
    "kst_scheduler.attempt", default=None
)
"""Set by ``once`` for a claim: the occurrence's key, and which attempt it is. Logs name it."""


def current_occurrence() -> Occurrence:
    """Return the occurrence that the calling job runs.

    The job's own functions, its tasks and ``asyncio.to_thread`` see it too. ``job.next_run_time``
    is no substitute: inside a job it is the next one already.

    Raises:
        NoOccurrenceError: called outside a job, or on an executor other than OccurrenceExecutor.

    """
    running = RUNNING.get()
    if running is None:
        raise NoOccurrenceError(
            "current_occurrence() was called where no job runs; call it inside a job that "
            "OccurrenceExecutor runs, which is the default executor of KSTScheduler"
        )
    return Occurrence(*running)


class AlreadyRunningError(KSTSchedulerError):
    """Raised when a job runs as often at once as max_instances allows.

    ``running`` holds the occurrences that are in progress, as far as the executor knows them.
    """

    def __init__(self, message: str, running: tuple[Occurrence, ...] = ()) -> None:
        super().__init__(message)
        self.running = running
