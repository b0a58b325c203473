"""Exercises of notebook 04: jobs that leave the others their time."""

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
from kst_workbook.exercises.exercise import NotYetError, Picture, Right, exercise
from kst_workbook.exercises.judging import moment, pictures, require_function, shown
from kst_workbook.exercises.place import blocked_to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

TO_THREAD: Final = "https://docs.python.org/3/library/asyncio-task.html#running-in-threads"
TIMEOUT: Final = "https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout"
PAGES: Final = ["page 1", "page 2", "page 3", "page 4", "page 5"]
THREE: Final = kst(2026, 5, 10, 3)
STUCK: Final = 2
"""The hour of the run in which the reply to page 3 never comes."""

EXPECTED_PARSE: Final = """
def register(scheduler, parse_pages, store):
    async def parse():
        pages = await asyncio.to_thread(parse_pages)
        await store(pages)

    scheduler.add_job(parse, "cron", hour=3, id="parse")
"""
EXPECTED_CRAWL: Final = """
async def crawl_pages(fetch):
    pages = []
    for number in range(1, 6):
        try:
            async with asyncio.timeout(5 * 60):
                pages.append(await fetch(number))
        except TimeoutError:
            continue  # the run of the next hour asks for it again
    return pages
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
    shots = pictures(night, Parsing(_solved(EXPECTED_PARSE, "register")).night)
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


@exercise(
    "4.4",
    title="A page that never comes",
    variable="crawl_pages",
    hints=(
        "Section 4.6 has what ends a wait. What must it be around, so that one page alone is lost?",
        "It ends the wait by a `TimeoutError`, and you can go on after that.",
        "A loop over the numbers; in it `try`; in that the limit around a single `await`.",
    ),
    solution=EXPECTED_CRAWL,
    link=TIMEOUT,
)
def crawl_with_limits(crawl_pages: Any) -> Right:
    """Give up on a page that does not come, and on nothing else."""
    crawl = Crawl(require_function(crawl_pages, "crawl_pages", "fetch"))
    shots = pictures(crawl.night, Crawl(_solved(EXPECTED_CRAWL, "crawl_pages")).night)
    _require_one_at_a_time(crawl, shots)
    _require_good_night(crawl, shots)
    _require_stuck_page_lost(crawl, shots)
    _require_cancelled(crawl_pages, shots)
    why = "The run of 02:00 gives up on one page, returns the four others, and is over by 03:00."
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


def _require_one_at_a_time(crawl: Crawl, shots: tuple[Picture, ...]) -> None:
    if crawl.most_at_once > 1:
        raise NotYetError(
            f"Your run awaits {crawl.most_at_once} replies at once. The pages are asked for one "
            "after another.",
            shots,
        )


def _require_good_night(crawl: Crawl, shots: tuple[Picture, ...]) -> None:
    """At 01:00 all is well."""
    for block in crawl.blocks:
        raise NotYetError(str(block), shots)
    pages = f"returns {shown(crawl.returned.get(1))}"
    if crawl.status(1) == "error":
        pages = f"ends with an error: `{crawl.detail(1)}`"
    if crawl.returned.get(1) != PAGES:
        raise NotYetError(
            f"At 01:00 every page comes within three minutes. Your run {pages}.",
            shots,
        )


def _require_stuck_page_lost(crawl: Crawl, shots: tuple[Picture, ...]) -> None:
    """At 02:00 one page does not come."""
    words = ""
    if crawl.status(STUCK + 1) == "skipped":
        words = "your run waits for it. The run of 03:00 is skipped."
    elif crawl.status(STUCK) == "error":
        words = f"your run ends with `{crawl.detail(STUCK)}`: the four others are lost, too."
    elif crawl.returned.get(STUCK) != [*PAGES[:2], *PAGES[3:]]:
        words = f"the four others do. Your run returns {shown(crawl.returned.get(STUCK))}."
    if words:
        raise NotYetError(f"At 02:00 the reply to page 3 never comes, and {words}", shots)


def _require_cancelled(crawl_pages: Callable[..., Any], shots: tuple[Picture, ...]) -> None:
    """A cancelled run ends, and does not call itself done."""
    words = Crawl(crawl_pages, cancelled=True).after_cancel
    if words:
        raise NotYetError(
            f"A drain cancels your run while it awaits a page, and {words}: what ends the wait for "
            "a page ends the cancellation, too.",
            shots,
        )


class Crawl:
    """Three hours in which pages are crawled, and what the runs returned, by their hour."""

    def __init__(self, crawl: Callable[..., Any], *, cancelled: bool = False) -> None:
        self.returned: dict[int, Any] = {}
        self.after_cancel = ""
        """What a cancelled run does that does not end as cancelled."""
        self.blocks: list[NotYetError] = []
        self._job = self._cancelled_run if cancelled else self._run
        self.most_at_once = self._awaited_now = 0
        self._crawl = crawl
        self._fetch = Awaited(self._reply)
        span = kst(2026, 5, 10, 0, 55), kst(2026, 5, 10, 4)
        scheduler = partial(AsyncIOScheduler, timezone=KST)
        try:
            self.night = simulate(self._add_job, *span, scheduler=scheduler)
        finally:
            self._fetch.close()

    def status(self, hour: int) -> str:
        """Return what became of the run of an hour."""
        return self._of("status", hour)

    def detail(self, hour: int) -> str:
        """Return the error of the run of an hour."""
        return self._of("detail", hour)

    def _of(self, column: str, hour: int) -> str:
        runs = self.night.runs
        return str(dict(zip(runs["scheduled_at"].dt.hour, runs[column], strict=True))[hour])

    def _add_job(self, scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(self._job, "cron", minute=0, id="hourly-crawl")

    async def _run(self) -> None:
        hour = datetime.now(KST).hour
        with blocked_to_the_end(self.blocks.append):
            pages = self._crawl(self._fetch)
            pages = await pages if inspect.isawaitable(pages) else pages
        self.returned[hour] = list(pages) if isinstance(pages, tuple) else pages

    async def _cancelled_run(self) -> None:
        run = asyncio.create_task(self._run())
        await asyncio.sleep(60)
        run.cancel()
        await asyncio.sleep(1)
        if not run.done():
            self.after_cancel = "your run goes on"
        elif not run.cancelled():
            self.after_cancel = "your run ends as if nobody had cancelled it"

    async def _reply(self, number: int) -> str:
        self._awaited_now += 1
        self.most_at_once = max(self.most_at_once, self._awaited_now)
        try:
            if number == STUCK + 1 and datetime.now(KST).hour == STUCK:
                await asyncio.Event().wait()
            await asyncio.sleep(3 * 60)
        finally:
            self._awaited_now -= 1
        return PAGES[number - 1]


def _solved(code: str, name: str) -> Any:
    names: dict[str, Any] = {"asyncio": asyncio}
    exec(code, names)  # noqa: S102 - the solution above
    return names[name]
