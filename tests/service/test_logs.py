from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler import KSTScheduler, cron, once
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.service.logs import MAX_LOGGED, Formatter

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER = logging.getLogger("crawl")


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Yield what the command's own format makes of the log."""
    text = StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(Formatter("%(levelname)s %(name)s%(run)s: %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    yield text
    LOGGER.removeHandler(handler)


@in_loop
async def test_each_line_of_a_job_names_its_run(log: StringIO) -> None:
    """Its tasks and threads, too; of a job with a row, also which attempt it is."""
    ledger = MemoryLedger()
    scheduler = KSTScheduler()

    async def crawl() -> None:
        LOGGER.info("page 1")
        await asyncio.create_task(page(2))
        await asyncio.to_thread(LOGGER.info, "page %d", 3)

    async def page(number: int) -> None:
        LOGGER.info("page %d", number)

    def plain() -> None:
        LOGGER.info("plain")

    scheduler.add_job(once(ledger, catch_up=timedelta(hours=1))(crawl), cron(hour=3), id="crawl")
    scheduler.add_job(plain, cron(hour=3), id="plain\nforged")
    scheduler.start()
    run, other = scheduler.run_now("crawl"), scheduler.run_now("plain\nforged")
    while scheduler.running_occurrences():  # noqa: ASYNC110 - the library has no event
        await asyncio.sleep(0.01)
    LOGGER.info("outside")
    await scheduler.drain(1)
    lines = log.getvalue().splitlines()
    forged = other.key.replace("\n", "\\n")
    assert sorted(lines) == sorted(
        [
            *(f"INFO crawl [{run} attempt 1]: page {number}" for number in (1, 2, 3)),
            f"INFO crawl [{forged}]: plain",
            "INFO crawl: outside",
        ]
    )


def test_a_long_text_is_cut(log: StringIO) -> None:
    """5 MB of an exception, in no time, and no half of a password is left at the cut."""
    before = time.process_time()
    try:
        int("a." * 2_500_000)
    except ValueError:
        LOGGER.exception("the job failed: %s", "a." * 2_500_000)
    assert time.process_time() - before < 2
    said = log.getvalue()
    assert len(said) < MAX_LOGGED + 100
    assert said.startswith("ERROR crawl: the job failed: a.a.a.")
    assert "ValueError: invalid literal for int()" in said
    LOGGER.info("%spostgresql://app:%s@db", "x" * (MAX_LOGGED - 30), "hidden" * 10)
    assert "hidden" not in log.getvalue()
