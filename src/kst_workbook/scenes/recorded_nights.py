"""The nights of notebook 09, and the database in which the lesson notes what it knows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation import ClockJump, Crash, Freeze, simulate
from kst_scheduler.timezone import kst
from kst_workbook.scenes.memory_database import connect_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.simulation import Incident

SPAN: Final = (kst(2026, 5, 10, 2, 45), kst(2026, 5, 10, 3, 45))
TEN_TO: Final = kst(2026, 5, 10, 2, 50)
FIVE_PAST: Final = kst(2026, 5, 10, 3, 5)

NIGHTS: Final[dict[str, dict[str, Any]]] = {
    "down at 03:00": {"incidents": [Crash("A", TEN_TO, timedelta(minutes=20))]},
    "frozen at 03:00": {"incidents": [Freeze("A", TEN_TO, timedelta(minutes=20))]},
    "killed at 03:05": {"incidents": [Crash("A", FIVE_PAST, timedelta(minutes=1))]},
    "quiet": {},
    "stopped at 03:05": {"deployment": FIVE_PAST},
}
"""What happens in each night, as ``one_night`` takes it."""

SET_CLOCKS: Final[dict[str, dict[str, Any]]] = {
    "clock set back": {"incidents": [ClockJump("A", FIVE_PAST, -3600)]},
    "clock set forward": {"incidents": [ClockJump("A", FIVE_PAST, +3600)]},
}
"""Nights whose crawl works while the clock of its host is set by an hour."""


class LessonDatabase:
    """The lesson's ``db``, and its table ``crawl_runs``: SQLite in memory, which also takes $1."""

    def __init__(self) -> None:
        self._sqlite = connect_in_memory(self)
        self._sqlite.execute("CREATE TABLE crawl_runs (source, status, rows, duration_ms, error)")
        self._away = 0

    def clear(self, away: int = 0) -> None:
        """Begin with an empty table; the next ``away`` calls of ``execute`` raise."""
        self._sqlite.execute("DELETE FROM crawl_runs")
        self._away = away

    async def execute(self, query: str, *values: Any) -> None:
        """Run a statement with its values, as a connection of asyncpg does.

        Raises:
            ConnectionError: it is one of the calls for which the database is away.

        """
        if self._away > 0:
            self._away -= 1
            raise ConnectionError("the database is away")
        self._sqlite.execute(query, {str(n): value for n, value in enumerate(values, 1)})

    def outcome(self) -> list[Any]:
        """Return what the first row knows: status, rows, duration_ms, error; or "no row"."""
        return list(self.rows()[0][1:]) if self.rows() else ["no row", "", "", ""]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of ``crawl_runs``: source, status, rows, duration_ms, error."""
        return self._sqlite.execute("SELECT * FROM crawl_runs").fetchall()


def one_night(
    register: Callable[[AsyncIOScheduler], object],
    scheduler: Callable[[], AsyncIOScheduler],
    incidents: list[Incident] | tuple[Incident, ...] = (),
    deployment: datetime | None = None,
) -> pd.DataFrame:
    """Return the runs of the job ``nps`` from 02:45 to 03:45 on one host.

    register: adds the job. incidents: what happens to the host. deployment: when the scheduler
    is shut down.
    """

    def program(scheduler: AsyncIOScheduler) -> None:
        register(scheduler)
        if deployment is not None:
            scheduler.add_job(scheduler.shutdown, "date", run_date=deployment, id="deployment")

    night = simulate(program, *SPAN, incidents=incidents, scheduler=scheduler)
    return night.runs[night.runs["job_id"] == "nps"]
