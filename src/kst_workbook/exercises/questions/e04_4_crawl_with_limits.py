"""Exercise 4.4: a page that never comes."""

from __future__ import annotations

import asyncio
import inspect
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.awaited import Awaited
from kst_workbook.exercises.exercise import NotYetError, Picture, Right, exercise, run_solution
from kst_workbook.exercises.judging import pictures, require_function, shown
from kst_workbook.exercises.place import blocked_to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT: Final = "https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout"
PAGES: Final = ["page 1", "page 2", "page 3", "page 4", "page 5"]
STUCK: Final = 2
"""The hour of the run in which the reply to page 3 never comes."""
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
    shots = pictures(crawl.night, Crawl(run_solution(EXPECTED_CRAWL, "crawl_pages")).night)
    _require_one_at_a_time(crawl, shots)
    _require_good_night(crawl, shots)
    _require_stuck_page_lost(crawl, shots)
    _require_cancelled(crawl_pages, shots)
    why = "The run of 02:00 gives up on one page, returns the four others, and is over by 03:00."
    return Right(why, shots[:1])


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
