"""Exercise 4.3: a slow job that blocks nobody."""

from __future__ import annotations

import asyncio
import inspect
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.simulation import SimulationResult, simulate
from kst_scheduler.timezone import KST, in_milliseconds, kst
from kst_workbook.exercises.awaited import Awaited
from kst_workbook.exercises.exercise import NotYetError, Picture, Right, exercise, run_solution
from kst_workbook.exercises.judging import moment, pictures, require_function, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

TO_THREAD: Final = "https://docs.python.org/3/library/asyncio-task.html#running-in-threads"
PAGES: Final = ["page 1", "page 2", "page 3", "page 4", "page 5"]
THREE: Final = kst(2026, 5, 10, 3)
EXPECTED_PARSE: Final = """
def register(scheduler, parse_pages, store):
    async def parse():
        pages = await asyncio.to_thread(parse_pages)
        await store(pages)

    scheduler.add_job(parse, "cron", hour=3, id="parse")
"""


class Parsing:
    """A night in which pages are parsed and stored while a token is due every minute."""

    def __init__(self, register: Callable[..., Any], *, store_fails: bool = False) -> None:
        self.parsed = 0
        self.stored: list[Any] = []
        self.stored_at: datetime | None = None
        self._register, self._store_fails = register, store_fails
        self._store = Awaited(self._store_pages)
        span = kst(2026, 5, 10, 2, 59), kst(2026, 5, 10, 3, 6)
        scheduler = partial(AsyncIOScheduler, timezone=KST)
        try:
            self.night = simulate(self._add_jobs, *span, scheduler=scheduler)
        finally:
            self._store.close()

    def _add_jobs(self, scheduler: AsyncIOScheduler) -> Any:
        scheduler.add_job(asyncio.sleep, "cron", minute="*", args=[0], id="token")
        return self._register(scheduler, self._parse_pages, self._store)

    def _parse_pages(self) -> list[str]:
        time.sleep(120)
        self.parsed += 1
        return PAGES

    async def _store_pages(self, pages: Any) -> None:
        await asyncio.sleep(60)
        if self._store_fails:
            raise ConnectionError("the database is away")
        self.stored.append(pages)
        self.stored_at = in_milliseconds(datetime.now(KST))

    @property
    def store_calls(self) -> int:
        """How often ``store`` was called, awaited or not."""
        return len(self._store.made)


@exercise(
    "4.3",
    title="A slow job that blocks nobody",
    variable="register",
    hints=(
        "A plain function as a job would not block the event loop. But who awaits `store` then?",
        "So the job is an `async def`. What of it must not be in the event loop?",
        "`asyncio.to_thread` runs a plain function in a thread, and is awaited for its result.",
    ),
    solution=EXPECTED_PARSE,
    link=TO_THREAD,
)
def parse_without_blocking(register: Any) -> Right:
    """Parse in a thread, store in the event loop, and let no token be late."""
    parsing = Parsing(require_function(register, "register", "scheduler", "parse_pages", "store"))
    night = parsing.night
    shots = pictures(night, Parsing(run_solution(EXPECTED_PARSE, "register")).night)
    run = _run_of_parse(night, shots)
    lost = night.runs[(night.runs["job_id"] == "token") & (night.runs["status"] != "ok")]
    if len(lost):
        minutes = ", ".join(f"{at:%H:%M}" for at in lost["scheduled_at"])
        raise NotYetError(
            f"Your job blocks the event loop. Tokens that are lost: {minutes}.",
            shots,
        )
    _require_stored(parsing, run["finished_at"], shots)
    _require_error(register, shots)
    why = (
        "The pages are parsed in a thread and stored in the event loop, and every token is in time."
    )
    return Right(why, shots[:1])


def _run_of_parse(night: SimulationResult, shots: tuple[Picture, ...]) -> pd.Series:
    runs = night.runs[night.runs["job_id"] == "parse"]
    if runs.empty:
        others = ", ".join(sorted({*night.runs["job_id"]} - {"token"})) or "the token alone"
        raise NotYetError(f"No job `parse` is due from 02:59 to 03:06. What is due: {others}.")
    run = runs.iloc[0]
    at = f"{run['scheduled_at']:%H:%M}"
    if len(runs) > 1 or at != "03:00":
        raise NotYetError(f"`parse` is due {len(runs)} times, first at {at}.", shots)
    if run["scheduled_at"] != THREE:
        raise NotYetError(f"`parse` is due at {moment(run['scheduled_at'])}.", shots)
    if run["status"] == "error":
        raise NotYetError(f"Your job ends with an error: `{run['detail']}`", shots)
    return run


def _require_stored(parsing: Parsing, over_at: datetime, shots: tuple[Picture, ...]) -> None:
    if parsing.parsed > 1:
        raise NotYetError(f"Your job calls `parse_pages` {parsing.parsed} times.", shots)
    if parsing.store_calls > 1:
        raise NotYetError(f"Your job calls `store` {parsing.store_calls} times.", shots)
    if not parsing.store_calls:
        done = "parses the pages, and" if parsing.parsed else "does not call `parse_pages`, and"
        raise NotYetError(f"Your job {done} never calls `store`.", shots)
    if not parsing.stored:
        raise NotYetError(
            "Your job calls `store`, and nobody awaits what it returns: nothing is stored.", shots
        )
    pages = parsing.stored[0]
    if pages != PAGES:
        if inspect.iscoroutine(pages):
            pages.close()
        raise NotYetError(f"`store` gets {shown(pages)}. It should get the pages.", shots)
    if not parsing.parsed:
        raise NotYetError("Your job stores pages, and never calls `parse_pages`.", shots)
    if parsing.stored_at and over_at < parsing.stored_at:
        raise NotYetError(
            f"Your run calls itself done at {over_at:%H:%M}, and the pages are stored at "
            f"{parsing.stored_at:%H:%M}. A drain between the two would lose them.",
            shots,
        )


def _require_error(register: Callable[..., Any], shots: tuple[Picture, ...]) -> None:
    """A run that stores nothing does not call itself ok."""
    runs = Parsing(register, store_fails=True).night.runs
    if "ok" in runs[runs["job_id"] == "parse"]["status"].tolist():
        raise NotYetError(
            "On a night on which `store` raises `ConnectionError` nothing is stored, and your run "
            "is ok: nobody hears of it.",
            shots,
        )
