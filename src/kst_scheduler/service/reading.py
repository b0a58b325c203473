"""What readers of the service share with one another, and with no job.

They have connections to the database of their own, a thread of their own for what takes long to
draw or to write down, and a limit on how many are served at a time. So 25 dashboards that ask
without a pause cost a job the time of a few answers, not of 25.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from fastapi import Depends, HTTPException, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kst_scheduler.ledger import Ledger

_T = TypeVar("_T")

MAX_SERVED: Final = 2
"""Readers that are served at a time; each has a connection."""
MAX_WAITING: Final = 50
"""Readers that wait for their turn; a further one is sent away at once."""
SECONDS_TO_WAIT: Final = 10.0
"""How long a reader waits for its turn."""
SECONDS_UNTIL_RETRY: Final = 2


class Readers:
    """The connections, the thread and the turns of those who read."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        """The service's, over connections of its own."""
        # One thread: the event loop gets at least every second turn of the interpreter.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kst-scheduler-readers")
        self._turns = asyncio.Semaphore(MAX_SERVED)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and give it back before the answer is sent: a client may be slow.

        Raises:
            HTTPException: 503, as too many wait already, or the turn did not come in time.

        """
        if self._waiting >= MAX_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(SECONDS_TO_WAIT):
                await self._turns.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def in_thread(self, function: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
        """Call a function in the readers' thread, where jobs do not wait for it."""
        call = partial(function, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Begin nothing more in the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _busy() -> HTTPException:
    return HTTPException(
        503,
        "too many readers at a time; ask again later",
        headers={"Retry-After": str(SECONDS_UNTIL_RETRY)},
    )


@asynccontextmanager
async def readers(ledger: Ledger) -> AsyncIterator[Readers]:
    """Open what readers share."""
    own = ledger.with_own_connections(MAX_SERVED)
    them = Readers(own)
    try:
        await own.open()
        yield them
    finally:
        them.close()
        if own is not ledger:
            await own.close()


async def readers_of(request: Request) -> Readers:
    """Return what the readers of the service share."""
    them = request.app.state.readers
    assert isinstance(them, Readers)  # noqa: S101 - tells the type; the lifespan has set it
    return them


ReadersDep = Annotated[Readers, Depends(readers_of)]
