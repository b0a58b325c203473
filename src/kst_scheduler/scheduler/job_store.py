"""The job store that does not let a thousand due jobs hold up the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apscheduler.jobstores.memory import MemoryJobStore

if TYPE_CHECKING:
    from datetime import datetime

    from apscheduler.job import Job

MAX_DUE_A_TURN: Final = 25
"""How many due jobs are started in one turn of the event loop; a cron job takes about 0.1 ms."""


class TurnByTurnJobStore(MemoryJobStore):  # type: ignore[misc] # the library is untyped
    """A MemoryJobStore that hands out the due jobs a few at a time, the longest due first.

    APScheduler works through all due jobs in one go, and nothing else runs meanwhile. Those that
    are left here are due still, so it asks again in the loop's next turn
    (``BaseScheduler._process_jobs``, checked on 3.11.3).
    """

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """Return the first of the jobs that are due at ``now``."""
        return list(super().get_due_jobs(now)[:MAX_DUE_A_TURN])
