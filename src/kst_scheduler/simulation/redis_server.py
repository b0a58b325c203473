"""A Redis server that all simulated nodes share, with redis-py's own client.

The server is fakeredis. Its clock is always right: a key expires on time, even if the clock of the
node that reads it is wrong.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_extra
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.simulation.clock import current_world
from kst_scheduler.timezone import require_aware

with require_extra("simulation", "SimulatedRedis"):
    from fakeredis import FakeAsyncRedis, FakeServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from redis.asyncio import Redis

    from kst_scheduler.simulation.world import Host


class SimulatedRedis:
    """One Redis server in virtual time; make a new one for each simulation.

    Example:
        ``server = SimulatedRedis()``, and in a job
        ``async with server.client().lock("lock:crawl", timeout=30, blocking=False): ...``

    Args:
        away: outages, each from an aware time until another, in true time; keys expire meanwhile.

    Raises:
        InvalidArgumentError: an outage does not end after it begins.
        NaiveDatetimeError: one of its times has no zone.

    """

    def __init__(self, away: Sequence[tuple[datetime, datetime]] = ()) -> None:
        self._server = _Server(away)
        # A command is processed while this lock is held (fakeredis 2.40), so this is the place
        # where the server's clock takes the place of the node's.
        self._server.lock = _ServerClock()  # type: ignore[assignment]

    def client(self, **options: Any) -> Redis:
        """Return redis-py's client, for the event loop that runs; the options are redis-py's."""
        client: Redis = FakeAsyncRedis(server=self._server, **options)
        return client

    @property
    def reachable(self) -> bool:
        """Whether clients can reach the server; set it to False to cut them off."""
        return self._server.connected

    @reachable.setter
    def reachable(self, value: bool) -> None:
        self._server.connected = value


class _Server(FakeServer):
    """The fake server, which goes away and comes back by the world's clock.

    ``connected`` is what fakeredis asks before each command (2.40), guarded by a test.
    """

    def __init__(self, away: Sequence[tuple[datetime, datetime]]) -> None:
        self._away = [_outage(start, end) for start, end in away]
        super().__init__()

    @property
    def connected(self) -> bool:
        world = current_world()
        now = 0 if world is None else world.now
        return self._connected and not any(start <= now < end for start, end in self._away)

    @connected.setter
    def connected(self, value: bool) -> None:
        self._connected = value


def _outage(start: datetime, end: datetime) -> tuple[int, int]:
    require_aware(start, "away")
    require_aware(end, "away")
    if end <= start:
        raise InvalidArgumentError(
            f"away: {end.isoformat()} does not come after {start.isoformat()}; swap them"
        )
    return microseconds(start), microseconds(end)


class _ServerClock:
    """The server's lock, under which the running node's clock is true."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._skew = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; only a real thread, outside the simulation, can find it taken."""
        if not self._lock.acquire(blocking, timeout):
            return False
        host = _running_host()
        if host is not None:
            self._skew, host.skew = host.skew, 0
        return True

    def release(self) -> None:
        """Give the node its own clock back."""
        host = _running_host()
        if host is not None:
            host.skew = self._skew
        self._lock.release()

    def locked(self) -> bool:
        """Tell whether the lock is held; a threading.Condition of Python 3.14 needs to know."""
        return self._lock.locked()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_exception: object) -> None:
        self.release()


def _running_host() -> Host | None:
    world = current_world()
    return world.current.host if world is not None and world.current is not None else None
