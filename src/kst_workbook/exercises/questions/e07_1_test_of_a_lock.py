"""Exercise 7.1: The test of a lock."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import LockedOutError
from kst_scheduler.simulation import simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import require_function, shown
from kst_workbook.exercises.questions.tried_tests import require_catches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from redis.asyncio import Redis

BEGIN: Final = kst(2026, 5, 10, 3)
HOURS: Final = 3
"""How long a test may take, in simulated time."""
_OWN: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


@dataclass(frozen=True)
class _Lock:
    """A lock on which the reader's test is tried; right as it is, or with one fault."""

    what: str
    is_right: bool = False
    holds: bool = True
    """Whether it keeps anybody out."""
    waits: bool = False
    """Whether it waits where it should refuse."""
    milliseconds: int | None = 1000
    """How long it holds for a second of its ttl; None: until it is released."""
    is_released: bool = True
    own_only: bool = True
    """Whether it leaves the lock of somebody else alone."""

    @contextlib.asynccontextmanager
    async def __call__(self, client: Redis, name: str, ttl: float) -> AsyncIterator[None]:
        """Hold the lock."""
        if not self.holds:
            yield
            return
        token = secrets.token_hex(16)
        expires = round(ttl * self.milliseconds) if self.milliseconds else None
        while not await client.set(name, token, nx=True, px=expires):
            if not self.waits:
                raise LockedOutError(f"{name} is held by another run")
            await asyncio.sleep(1)
        try:
            yield
        finally:
            await self._release(client, name, token)

    async def _release(self, client: Redis, name: str, token: str) -> None:
        if self.is_released and self.own_only:
            await client.eval(_OWN, 1, name, token)
        elif self.is_released:
            await client.delete(name)


@dataclass(frozen=True)
class _RedisPys:
    """redis-py's own lock, which raises an error when it releases what it no longer holds."""

    what: str = "redis-py's lock, with a `LockedOutError`"
    is_right: bool = True

    @contextlib.asynccontextmanager
    async def __call__(self, client: Redis, name: str, ttl: float) -> AsyncIterator[None]:
        """Hold the lock."""
        lock = client.lock(name, timeout=ttl, blocking=False)
        if not await lock.acquire():
            raise LockedOutError(f"{name} is held by another run")
        try:
            yield
        finally:
            await lock.release()


LOCKS: Final = (
    _Lock("a lock with a token", is_right=True),
    _RedisPys(),
    _Lock("a lock that keeps nobody out", holds=False),
    _Lock("a lock that waits where it is busy", waits=True),
    _Lock("a lock that never expires", milliseconds=None),
    _Lock("a lock that takes its `ttl` for milliseconds", milliseconds=1),
    _Lock("a lock that is not released, and only expires", is_released=False),
    _Lock("a lock whose holder also releases the lock of another", own_only=False),
)
"""What the reader's test is tried on; right ones first."""


@exercise(
    "7.1",
    title="The test of a lock",
    variable="test_lock",
    hints=(
        "A task holds the lock: `asyncio.create_task(hold(90))`. Meanwhile, is the lock busy?",
        "When is it busy: within the `ttl`, after the `ttl`, after the end?",
        "Let the first work for longer than its `ttl`. Does its end release the second's lock?",
    ),
    solution="""
        from kst_scheduler import LockedOutError


        async def test_lock(own_lock, client):
            async def hold(seconds):
                async with own_lock(client, "lock:test", ttl=60):
                    await asyncio.sleep(seconds)

            async def is_busy():
                try:
                    await hold(0)
                except LockedOutError:
                    return True
                return False

            first = asyncio.create_task(hold(90))
            await asyncio.sleep(70)
            second = asyncio.create_task(hold(45))
            await asyncio.sleep(30)
            assert await is_busy(), "the first has ended, and the second holds the lock"
            await asyncio.gather(first, second, return_exceptions=True)
            assert not await is_busy(), "both have ended"
    """,
    link="https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/",
)
def a_test_of_a_lock(test_lock: Any) -> Right:
    """Run the reader's test on right locks, and on locks with a fault each."""
    require_function(test_lock, "test_lock", "own_lock", "client")
    faults = require_catches("test_lock", partial(_run, test_lock), LOCKS)
    return Right(
        f"It passes on both locks that are right, and fails on all {faults} that are not. With "
        "`simulate` and a `SimulatedRedis`, it is a test of your repository that takes no time."
    )


def _run(
    test: Callable[..., Any], lock: Callable[[Any, str, float], AbstractAsyncContextManager[None]]
) -> Any:
    """Await a test in simulated time; return what it returns, raise what it raises."""
    ends: list[Any] = []

    # It does not tell whether it is right.
    def own_lock(client: Any, name: str, ttl: float) -> AbstractAsyncContextManager[None]:
        return lock(client, name, ttl)

    async def job() -> None:
        try:
            returned = test(own_lock, SimulatedRedis().client())
            ends.append(await returned if inspect.isawaitable(returned) else _refuse(returned))
        except BaseException as error:
            ends.append(error)
            raise

    simulate(
        lambda scheduler: scheduler.add_job(job, "cron", hour=BEGIN.hour),
        BEGIN - timedelta(minutes=1),
        BEGIN + timedelta(hours=HOURS),
    )
    if ends and isinstance(ends[0], BaseException) and not isinstance(ends[0], GeneratorExit):
        raise ends[0]
    if not ends or isinstance(ends[0], BaseException):
        raise TimeoutError(f"the test has not ended after {HOURS} simulated hours")
    return ends[0]


def _refuse(returned: Any) -> NotYetError:
    return NotYetError(
        f"`test_lock` returns {shown(returned)}, and nobody can await that. Write `async def`: "
        "the lock needs `async with`."
    )
