"""What every server can do, whether it was started here or is only named by a variable."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class Server(ABC):
    """A server with a URL, used by ``with``, ``async with``, or start() and stop()."""

    embedded: bool
    """Whether this process starts and stops it."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect; holds the password."""

    @property
    @abstractmethod
    def port(self) -> int:
        """The TCP port."""

    @property
    @abstractmethod
    def folder(self) -> Path | None:
        """Where the state is; None where it is not ours, or not there yet."""

    @property
    def ending(self) -> str | None:
        """How the server ended by itself, in words; None while it runs, or is not ours to watch."""
        return None

    @abstractmethod
    def start(self) -> Self:
        """Start the server and wait until it answers; does nothing when it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the server, and throw away state that is not kept; does nothing when stopped."""

    @abstractmethod
    def kill(self) -> None:
        """End the server as ``kill -9`` does; its port, password and data wait for restart()."""

    @abstractmethod
    def restart(self) -> Self:
        """Stop the server if it runs, and start it with the same port, password and data."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Nobody is going to leave a block that was never entered.
            await asyncio.wait([starting])
            await asyncio.to_thread(self.stop)
            raise

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown()}>"

    @abstractmethod
    def _shown(self) -> str:
        """Return what repr() shows of it."""
