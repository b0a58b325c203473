"""Cancellations of what waits for the queue: none is lost, or its loop would never end."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from procrastinate import PsycopgConnector
from procrastinate.exceptions import AppNotOpen, ConnectorException

from handed_off import NOWHERE
from in_loop import in_loop
from kst_scheduler.distributed import queue, task_app
from kst_scheduler.distributed.queue import QUEUE_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Pool:
    """As much of a pool as is used when a statement fails."""

    async def drain(self) -> None:
        """Replace nothing."""

    async def close(self) -> None:
        """Close nothing."""


async def lose_it(*_arguments: Any, **_options: Any) -> list[Any]:
    """Return an answer all the same when it is cancelled for the first time."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return []
    raise AssertionError("it was not cancelled")


async def fail(*_arguments: Any, **_options: Any) -> None:
    """Find a session that has ended, when it is cancelled for the first time."""
    await lose_it()
    raise ConnectorException from psycopg.OperationalError("the server closed the connection")


@pytest.mark.parametrize("answer", [lose_it, fail])
@pytest.mark.parametrize(
    "method", ["execute_query_async", "execute_query_one_async", "execute_query_all_async"]
)
@in_loop
async def test_a_cancellation_that_the_pool_loses_ends_a_statement(
    monkeypatch: pytest.MonkeyPatch, method: str, answer: Callable[..., Coroutine[Any, Any, Any]]
) -> None:
    """Whatever its answer was: it is not tried again, either."""
    monkeypatch.setattr(PsycopgConnector, method, answer)
    connector: Any = task_app(NOWHERE).connector
    connector._async_pool = Pool()
    asking = asyncio.create_task(getattr(connector, method)("SELECT 1"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()


@in_loop
async def test_a_cancellation_that_the_pool_loses_ends_the_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the pool is closed again."""

    async def opened(connector: Any, _pool: object) -> None:
        connector._async_pool = Pool()
        await lose_it()

    async def created(_connector: Any) -> None: ...

    monkeypatch.setattr(PsycopgConnector, "open_async", opened)
    connector: Any = task_app(NOWHERE).connector
    monkeypatch.setattr(type(connector), "_create_tables", created)
    opening = asyncio.create_task(connector.open_async())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    assert connector._async_pool is None


@in_loop
async def test_a_statement_that_is_cancelled_when_a_session_becomes_free(postgres_url: str) -> None:
    """In whatever turn of the event loop: Python 3.11 loses the cancellation in some of them."""
    async with task_app(postgres_url).open_async() as app:
        pool = app.connector.pool  # type: ignore[attr-defined]
        for turns in range(8):
            held = [await pool.getconn() for _ in range(QUEUE_CONNECTIONS)]
            asking = asyncio.create_task(app.connector.execute_query_all_async("SELECT 1"))
            while not pool.get_stats()["requests_waiting"]:  # noqa: ASYNC110 - the pool's
                await asyncio.sleep(0)
            freeing = asyncio.create_task(pool.putconn(held.pop()))
            for _ in range(turns):
                await asyncio.sleep(0)
            is_under_way = asking.cancel()
            await asyncio.wait([asking])
            assert asking.cancelled() == is_under_way
            await freeing
            for connection in held:
                await pool.putconn(connection)


def test_a_pool_that_is_not_closed_lets_the_event_loop_end() -> None:
    """While it connects to a server that does not answer: its worker ignores a cancellation."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        accepted = []  # and never answered
        port = server.getsockname()[1]

        async def main() -> None:
            pool = queue._pool(conninfo=f"host=127.0.0.1 port={port}", min_size=1, open=False)
            await pool.open()
            accepted.append(await asyncio.get_running_loop().sock_accept(server))

        running = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
        running.start()
        running.join(60)
        assert not running.is_alive()
        for connection, _ in accepted:
            connection.close()


@in_loop
async def test_a_close_that_is_cancelled_leaves_no_closed_pool() -> None:
    """Whose statements would be tried again for ever, as if PostgreSQL were away."""
    closing = asyncio.Event()

    class SlowPool(Pool):
        async def close(self) -> None:
            closing.set()
            await asyncio.sleep(60)

    connector: Any = task_app(NOWHERE).connector
    connector._async_pool = SlowPool()
    close = asyncio.create_task(connector.close_async())
    await closing.wait()
    close.cancel()
    await asyncio.wait([close])
    with pytest.raises(AppNotOpen):
        await connector.execute_query_async("SELECT 1")
