from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import pytest

from in_loop import in_loop
from kst_scheduler.errors import ServerError
from kst_scheduler.servers import keeping
from kst_scheduler.servers.given import GivenServer
from kst_scheduler.servers.keeping import keep_running

if TYPE_CHECKING:
    from server_kinds import Kind


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time."""
    monkeypatch.setattr(keeping, "SECONDS_BETWEEN_LOOKS", 0.001)


class Ending(GivenServer):
    """A server that ends as often as it is told to, and is started again until it is not."""

    def __init__(self, endings: int, starts: int = 1_000) -> None:
        super().__init__("DATABASE_URL", "postgresql://app:hidden@db/crawl")
        self.endings, self.starts, self.started = endings, starts, 0

    @property
    def ending(self) -> str | None:
        """Say it."""
        return "PostgreSQL was killed by signal 9" if self.endings else None

    def restart(self) -> Self:
        """Count it."""
        if self.started == self.starts:
            raise ServerError("PostgreSQL did not start: no space left")
        self.endings -= 1
        self.started += 1
        return self


@in_loop
async def test_a_server_that_ended_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """And the log says so."""
    server, other = Ending(1), Ending(0)
    keep = asyncio.create_task(keep_running([other, server]))
    while server.endings:  # noqa: ASYNC110 - the task itself is what is waited for
        await asyncio.sleep(0.001)
    keep.cancel()
    await asyncio.wait([keep])
    assert (server.started, other.started) == (1, 0)
    assert "PostgreSQL was killed by signal 9; it is started again" in caplog.text


@in_loop
async def test_one_that_cannot_be_started_is_an_error() -> None:
    """It says how the server ended, and why it does not start."""
    said = "was killed by signal 9, and could not be started again: PostgreSQL did not start: no sp"
    with pytest.raises(ServerError, match=said):
        await keep_running([Ending(1, starts=0)])


@in_loop
async def test_one_that_ends_again_and_again_is_an_error() -> None:
    """Whoever watches the process must come to know."""
    server = Ending(1_000)
    with pytest.raises(ServerError, match="for the 6th time within 300 s"):
        await keep_running([server])
    assert server.started == keeping.MAX_RESTARTS


@in_loop
async def test_a_real_server_is_started_again(kind: Kind) -> None:
    """With its address and its data."""
    with kind.make(None) as server:
        kind.write(server.url, "word")
        assert server.ending is None
        keep = asyncio.create_task(keep_running([server]))
        server.kill()
        assert str(server.ending).endswith(" was killed by signal 9")
        while server.ending:  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.01)
        while not await asyncio.to_thread(_answers, kind, server.url):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        keep.cancel()
        await asyncio.wait([keep])
    assert server.ending is None


def _answers(kind: Kind, url: str) -> bool:
    try:
        return kind.read(url) == ["word"]
    except Exception:  # noqa: BLE001 - each driver has its own
        return False
