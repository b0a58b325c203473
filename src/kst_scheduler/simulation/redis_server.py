"""A Redis server that all simulated nodes share, spoken to by redis-py's own client.

The server is fakeredis; what is added is whose clock decides. A key expires by the clock of the
server, which is true, however wrong the clock of the node is that asks.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fakeredis import FakeAsyncRedis, FakeServer

from kst_scheduler.simulation.clock import current_world

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from kst_scheduler.simulation.world import Host


class SimulatedRedis:
    """One Redis server in virtual time; make a new one for each simulation.

    Example:
        ``server = SimulatedRedis()``, and in a job
        ``async with server.client().lock("lock:nps", timeout=30, blocking=False): ...``

    """

    def __init__(self) -> None:
        self._server = FakeServer()
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
        return bool(self._server.connected)

    @reachable.setter
    def reachable(self, value: bool) -> None:
        self._server.connected = value


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

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_exception: object) -> None:
        self.release()


def _running_host() -> Host | None:
    world = current_world()
    return world.current.host if world is not None and world.current is not None else None
