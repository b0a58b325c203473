"""The holders of a lock in a simulation: from when, until when, and the end of each lease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from kst_scheduler.simulation.work import WorkLog

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass
class Holding:
    """A time for which a node held the lock."""

    node: str
    begin: pd.Timestamp
    lease_end: pd.Timestamp
    """When the lease ends, or would have ended, by the last renewal."""
    released: pd.Timestamp | None = None
    """When the lock was free again before that; None: the lease ran out."""

    @property
    def end(self) -> pd.Timestamp:
        """When the node no longer held the lock, whether or not it knew."""
        return self.released or self.lease_end


class LockLog:
    """Watches a lock of Redis, the key ``name``, in true time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen = WorkLog()

    def watch(self, client: Redis) -> Redis:
        """Return the client, which from now on notes the lock's holder after each command.

        A lock changes only by a command that returns something other than nothing, or when its time
        to live is over. All of redis-py's commands and scripts go through ``execute_command``
        (8.1.0, guarded by a test).
        """
        execute: Any = client.execute_command  # redis-py does not type it

        async def execute_and_note(*arguments: Any, **options: Any) -> Any:
            answer = await execute(*arguments, **options)
            if not answer:  # the lock was busy, or was no longer held
                return answer
            token, left = await execute("GET", self._name), await execute("PTTL", self._name)
            self._seen.note((token, left))
            return answer

        client.execute_command = execute_and_note  # type: ignore[method-assign]
        return client

    def holdings(self) -> list[Holding]:
        """Return each time for which a node held the lock, in order."""
        found: list[Holding] = []
        held: Any = None  # the token of the last holder
        table = self._seen.table()
        for node, at, (token, left) in zip(table["node"], table["at"], table["piece"], strict=True):
            lease_end = at + pd.Timedelta(milliseconds=left)
            if token == held and token is not None:
                found[-1].lease_end = lease_end
                continue
            if held is not None and at < found[-1].lease_end:
                found[-1].released = at
            if token is not None:
                found.append(Holding(node, at, lease_end))
            held = token
        return found
