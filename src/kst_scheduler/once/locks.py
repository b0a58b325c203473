"""A distributed lock on Redis: owned, renewed while the job runs, and never waited for by default.

It is redis-py's own Lock with what that leaves to its user. A lock alone keeps two runs from being
in progress together; it does not run each occurrence once. A replica whose clock is late finds the
lock free again when the job was short. A row that is claimed once does that (kst_scheduler.once).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kst_scheduler.errors import (
    InvalidArgumentError,
    LeaseLostError,
    LockedOutError,
)
from kst_scheduler.extras import require_extra
from kst_scheduler.once.lease import reason_of, renewed
from kst_scheduler.time_limit import time_limit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from redis.asyncio import Redis
    from redis.asyncio.lock import Lock

ANSWER_SECONDS: Final = 10.0
"""How long one attempt to take the lock may last, redis-py's own retries included."""

RELEASE_SECONDS: Final = 3.0
"""How long giving the lock back may last: less than a drain gives a cancelled job."""

RELEASES: Final = 6
"""How many attempts it is made of: redis-py waits longer and longer before its own."""

POLL_SECONDS: Final = 0.1
"""How often a busy lock is tried again, with ``wait``."""

MAX_SECONDS: Final = 366 * 86_400.0
"""The longest ``ttl`` and ``wait``; whoever writes more has mistaken the unit."""

logger = logging.getLogger(__name__)

R = TypeVar("R")


@contextlib.asynccontextmanager
async def redis_lock(
    name: str,
    ttl: float | timedelta,
    *,
    wait: float | timedelta = 0.0,
    client: Redis | None = None,
) -> AsyncIterator[None]:
    """Hold a lock while the block runs, on all nodes that use the same Redis server.

    The lock is renewed every third of ``ttl``, so ``ttl`` says how long the lock outlives a holder
    that crashed, not how long the job may take. An outage of Redis that is shorter does no harm;
    before a longer one makes the lock expire, the block is stopped. A release that fails is logged
    and not raised: the block has done its work, and the lock expires by itself.

    Example:
        ``async with redis_lock("lock:crawl", ttl=30): await crawl()``

    Args:
        name: the lock's key in Redis; the same on every node.
        ttl: seconds, or a timedelta.
        wait: how long to try when the lock is busy, in seconds or as a timedelta; not at all by
            default, as a run that waited for another run of its job would repeat its work.
        client: a ``redis.asyncio.Redis``; None: one for the environment's REDIS_URL, which is
            closed at the end.

    Raises:
        LockedOutError: another holds the lock.
        LeaseLostError: the lock was lost while the block ran, or had gone when it ended; an error
            of the block itself wins over it.
        InvalidArgumentError: a value makes no sense, or there is neither a client nor REDIS_URL.
        MissingExtraError: the package ``redis`` is not installed.
        redis.exceptions.RedisError: the lock could not be asked for.

    """
    if not isinstance(name, str) or not name:
        raise InvalidArgumentError(
            f"name={name!r} names no lock; write a key, such as 'lock:crawl'"
        )
    seconds, patience = _in_seconds(ttl, "ttl", 0.001), _in_seconds(wait, "wait", 0)
    async with contextlib.AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(_client_from_environment())
        lock = _Lock(client, name, seconds)
        since = await lock.acquire(patience)
        try:
            async with renewed(lock.renew, timedelta(seconds=seconds), str(lock), since=since):
                yield
        except (Exception, asyncio.CancelledError):
            await lock.release()
            raise
        if not await lock.release():
            raise LeaseLostError(
                f"{lock} was no longer held when the work ended, so another may have run beside "
                f"it; was the event loop blocked for longer than ttl={seconds:g} s?"
            )


class _Lock:
    """One attempt at a lock: redis-py's Lock, with a bound on every command."""

    def __init__(self, client: Redis, name: str, seconds: float) -> None:
        redis = _import_redis()
        if not isinstance(client, redis.asyncio.Redis):
            kind = f"{type(client).__module__}.{type(client).__name__}"
            raise InvalidArgumentError(
                f"client= is a {kind}; write redis.asyncio.Redis.from_url(...), "
                "whose commands are awaited"
            )
        self._errors = redis.exceptions
        self._name = name
        self._seconds = seconds
        self._granted = False
        self._loop = asyncio.get_running_loop()
        self._token = os.urandom(16).hex().encode()
        self._client = client
        self._lock: Lock = client.lock(name, timeout=seconds, blocking=False)
        # Set before the lock is asked for, so that a lock whose answer was lost can be recognised,
        # and released. `local` is not documented: checked on redis-py 8.1.0, guarded by a test.
        self._lock.local.token = self._token

    def __str__(self) -> str:
        return f"lock {self._name!r}"

    async def acquire(self, patience: float) -> float:
        """Return the loop's time from before the request that was granted, or be locked out."""
        give_up_at = self._loop.time() + patience
        while True:
            sent = self._loop.time()
            self._granted = await self._try_acquire()
            if self._granted:
                return sent
            left = give_up_at - self._loop.time()
            if left <= 0:
                waited = f", and was for {patience:g} s" if patience else ""
                raise LockedOutError(f"{self} is held by another run{waited}")
            await asyncio.sleep(min(left, POLL_SECONDS))

    async def renew(self) -> bool:
        """Reset the time to live; False when another holds the lock, or nobody."""
        try:
            await self._on_the_primary(self._lock.reacquire)
        except self._errors.LockNotOwnedError:
            return False
        return True

    async def release(self) -> bool:
        """Release the lock, even while being cancelled; False when it is no longer held."""
        if not self._loop.is_running():
            return True  # torn down with its loop, in which nothing can be asked any more
        release = asyncio.create_task(self._retry_release())
        try:
            return await asyncio.shield(release)
        except asyncio.CancelledError:
            await asyncio.wait([release])
            raise

    async def _try_acquire(self) -> bool:
        limit = min(self._seconds, ANSWER_SECONDS)
        try:
            async with time_limit(limit):
                # Redis refuses the lock to its own holder when redis-py repeats a request whose
                # answer was lost; then the token says so.
                take = functools.partial(self._lock.acquire, token=self._token)
                granted = await self._on_the_primary(take)
                return granted or await self._lock.owned()
        except (Exception, asyncio.CancelledError) as error:
            await self.release()  # it may have been granted all the same
            if not isinstance(error, TimeoutError):
                raise
        raise self._errors.TimeoutError(f"no answer about {self} within {limit:g} s")

    async def _retry_release(self) -> bool:
        """Release the lock, on a new connection if need be: a server may have cut them all."""
        failed: Exception | None = None
        for _ in range(RELEASES):
            try:
                async with time_limit(RELEASE_SECONDS / RELEASES - POLL_SECONDS):
                    await self._on_the_primary(self._lock.release)
            except self._errors.LockNotOwnedError:
                return failed is not None  # an attempt whose answer was lost may have done it
            except Exception as error:  # noqa: BLE001 - nothing here is worth more than the work done
                failed = error
                await asyncio.sleep(POLL_SECONDS)
            else:
                return True
        if self._granted and failed:
            self._log_kept(failed)
        return True

    async def _on_the_primary(self, command: Callable[[], Awaitable[R]]) -> R:
        """Run a command, again on a new connection where the server has become a replica.

        After a failover the pooled connections stay on the old primary, which only reads, and
        redis-py keeps them (8.1.0; its Sentinel client does not).
        """
        try:
            return await command()
        except self._errors.ReadOnlyError:
            await self._client.connection_pool.disconnect(inuse_connections=False)
            return await command()

    def _log_kept(self, error: Exception) -> None:
        message = "%s could not be released, and expires within %g s: %s"
        logger.warning(message, self, self._seconds, reason_of(error))


@contextlib.asynccontextmanager
async def _client_from_environment() -> AsyncIterator[Redis]:
    url = os.environ.get("REDIS_URL")
    if not url:
        raise InvalidArgumentError(
            "redis_lock() knows no server: set the environment variable REDIS_URL, such as "
            "redis://localhost:6379/0, or write client="
        )
    redis = _import_redis()
    try:
        client: Redis = redis.asyncio.Redis.from_url(url)
    except ValueError:
        # Neither the value nor redis-py's own message is repeated: a password may be in both.
        raise InvalidArgumentError(
            "REDIS_URL is not the URL of a Redis server; write redis://:PASSWORD@HOST:6379/0, "
            "with %-escapes for special characters in the password"
        ) from None
    async with client:
        yield client


def _import_redis() -> Any:
    with require_extra("redis", "redis_lock()"):
        import redis.asyncio  # noqa: PLC0415 - an extra
    return redis


def _in_seconds(value: float | timedelta, name: str, minimum: float) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidArgumentError(f"{name}={value!r} is no time; write seconds or a timedelta")
    if not minimum <= seconds <= MAX_SECONDS:
        raise InvalidArgumentError(
            f"{name}={value!r} must be between {minimum:g} s and a year; write seconds, such as 30"
        )
    return float(seconds)
