"""A worker that listens for new tasks while its database is away, twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from procrastinate.exceptions import ConnectorException

from in_loop import in_loop
from kst_scheduler.distributed import queue, task_app
from ledgers import end_sessions, run_sql

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


async def until(is_true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.001)


async def ignore(**_notification: object) -> None:
    """Do nothing with a notification."""


@in_loop
async def test_each_outage_while_it_listens_is_logged_once(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And its end."""
    monkeypatch.setattr(queue, "SECONDS_BETWEEN_TRIES", 0.001)
    caplog.set_level("INFO", logger=queue.__name__)
    server, _, name = postgres_url.rpartition("/")

    def allow_sessions(allowed: bool) -> None:
        run_sql(f"{server}/postgres", f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')

    async with task_app(postgres_url).open_async() as app:
        connector: Any = app.connector
        listening = asyncio.create_task(connector.listen_notify(ignore, ["some"]))
        try:
            for _ in range(2):
                allow_sessions(False)
                end_sessions(postgres_url)
                await until(lambda: connector._listening.failures > 4)
                allow_sessions(True)
                await until(lambda: connector._listening.failures == 0)
        finally:
            allow_sessions(True)
            listening.cancel()
            await asyncio.wait([listening])
    messages = [each.getMessage() for each in caplog.records if each.name == queue.__name__]
    assert [("is away: " in each, each.endswith(" is back")) for each in messages] == [
        (True, False),
        (False, True),
    ] * 2


def test_one_session_that_has_ended_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """The next try has a new one; neither of them is a line of the log."""
    caplog.set_level("INFO", logger=queue.__name__)
    outage = queue._Outage("crawl")
    outage.note(ConnectorException())
    outage.end()
    assert caplog.messages == []
