from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI

from in_loop import in_loop
from kst_scheduler.errors import ServerError
from kst_scheduler.servers.local_server import LOOPBACK, listening, serve_locally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@in_loop
async def test_the_lifespan_surrounds_the_requests() -> None:
    """Start-up ends before the first request, shut-down begins after the last."""
    story = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        story.append("up")
        yield
        story.append("down")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def root() -> str:
        story.append("request")
        return "hello"

    async with serve_locally(app) as url, httpx.AsyncClient() as client:
        assert (await client.get(url)).json() == "hello"
    assert story == ["up", "request", "down"]
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


@in_loop
async def test_an_application_that_does_not_start_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A lifespan that fails is an error here, not a URL where nobody answers."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(ServerError, match="lifespan failed"):
        async with serve_locally(FastAPI(lifespan=lifespan)):
            pass
    assert "no database" in caplog.text


@in_loop
async def test_small_writes_are_sent_at_once() -> None:
    """The connections that asyncio accepts have TCP_NODELAY, else each answer takes 40 ms."""
    accepted: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer.get_extra_info("socket"))
        writer.close()

    with listening(LOOPBACK, 0) as listener:
        async with await asyncio.start_server(greet, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            connection = await accepted
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()


def test_a_taken_port_is_refused() -> None:
    """The error is the system's own, and no socket is left open."""
    with listening(LOOPBACK, 0) as listener, pytest.raises(OSError, match="in use"):
        listening(*listener.getsockname())
