from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.errors import ServerError
from server_kinds import Kind, listens

if TYPE_CHECKING:
    from pathlib import Path


async def count_turns(turns: list[int]) -> None:
    """Append to ``turns`` each time that the event loop comes round."""
    while True:
        turns.append(len(turns))
        await asyncio.sleep(0)


@in_loop
async def test_the_event_loop_turns_while_a_server_starts(kind: Kind) -> None:
    """``async with`` starts and stops a server without standing in the way of others."""
    turns: list[int] = []
    counting = asyncio.create_task(count_turns(turns))
    async with kind.make(None) as server:
        assert len(turns) > 100
        port = server.port
        assert await asyncio.to_thread(kind.read, server.url) == []
    counting.cancel()
    assert not listens(port)


def test_a_server_lives_longer_than_the_thread_that_started_it(kind: Kind) -> None:
    """It is signalled when the process ends, not when a thread of a pool does."""
    server = kind.make(None)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    with server:
        kind.write(server.url, "word")
        assert kind.read(server.url) == ["word"]


@in_loop
async def test_a_cancelled_start_leaves_nothing(kind: Kind, temporary: Path) -> None:
    """Whoever is cancelled while a server starts is not left with one."""
    server = kind.make(None)
    entering = asyncio.create_task(server.__aenter__())
    while server.folder is None:  # noqa: ASYNC110 - the thread that makes it has no event
        await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert server.folder is None
    assert os.listdir(temporary) == []  # noqa: PTH208 - iterdir() is not for coroutines


@in_loop
async def test_a_failed_start_is_raised(kind: Kind, tmp_path: Path) -> None:
    """An error in the thread reaches ``async with``."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="Not a directory"):
        async with kind.make(tmp_path / "file"):
            pass
