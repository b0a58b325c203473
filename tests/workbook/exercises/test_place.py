"""A line of the reader's own code is named, and not one of a library that it calls."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from kst_workbook.exercises import check


async def _waits_for_an_event(_fetch: Any) -> None:
    threading.Event().wait()


async def _waits_for_a_queue(_fetch: Any) -> None:
    queue.Queue[int]().get()


async def _waits_for_its_own_lock(_fetch: Any) -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


async def _waits_on_the_second_page(fetch: Any) -> None:
    await fetch(1)
    threading.Event().wait()


@pytest.mark.parametrize(
    ("crawl_pages", "line"),
    [
        (_waits_for_an_event, "threading.Event().wait()"),
        (_waits_for_a_queue, "queue.Queue[int]().get()"),
        (_waits_for_its_own_lock, "lock.acquire()"),
        (_waits_on_the_second_page, "threading.Event().wait()"),
    ],
)
def test_the_line_that_blocks_an_event_loop_is_named(crawl_pages: Any, line: str) -> None:
    """A simulation ends it when it is over, and the judge hears where it was."""
    message = check("4.4", crawl_pages).message
    assert "blocks the event loop in line" in message
    assert f"`{line}`" in message


def test_so_is_that_of_a_decorated_job() -> None:
    """In 9.4 it is the reader's decorator that blocks."""

    def recorded(_write: Any) -> Any:
        def decorate(_job: Any) -> Any:
            async def run() -> None:
                threading.Event().wait()

            return run

        return decorate

    message = check("9.4", recorded).message
    assert "blocks the event loop in line" in message
    assert "`threading.Event().wait()`" in message
