"""Servers that the environment names: used as they are, never started, stopped or killed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from kst_scheduler.errors import ServerError
from kst_scheduler.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "postgres": 5432}


class GivenServer(Server):
    """A server that somebody else runs."""

    embedded = False

    def __init__(self, variable: str, url: str) -> None:
        self._variable = variable
        self._url = url

    @property
    def url(self) -> str:
        """The variable's value."""
        return self._url

    @property
    def port(self) -> int:
        """The port in the URL, or the protocol's own."""
        parts = urlsplit(self._url)
        return parts.port or _DEFAULT_PORTS[parts.scheme.partition("+")[0]]

    @property
    def folder(self) -> None:
        """None: its state is not ours."""
        return

    def start(self) -> Self:
        """Do nothing: it runs, or is somebody else's to start."""
        return self

    def stop(self) -> None:
        """Do nothing: others may use it."""

    def kill(self) -> None:
        """Refuse."""
        self._refuse("kill")

    def restart(self) -> Self:
        """Refuse."""
        self._refuse("restart")

    def _refuse(self, verb: str) -> NoReturn:
        raise ServerError(
            f"{verb}() is for embedded servers only, and {self._variable} names one that is not: "
            f"unset {self._variable} to have one started here"
        )

    def _shown(self) -> str:
        return f"from {self._variable}"


def given_server(variable: str, schemes: Sequence[str]) -> GivenServer | None:
    """Return the server that ``variable`` names, None when it is unset or empty."""
    url = os.environ.get(variable, "")
    if not url:
        return None
    # Never the value itself: what is malformed may show its password anywhere.
    if url.partition("://")[0].partition("+")[0] not in schemes or not _is_whole(url):
        raise ServerError(
            f"{variable} is set to something that is no {schemes[0]} URL: write "
            f"{schemes[0]}://user:password@host:{_DEFAULT_PORTS[schemes[0]]}/name, or unset it to "
            "have a server started here"
        )
    return GivenServer(variable, url)


def _is_whole(url: str) -> bool:
    """Return whether the URL's port is a port."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
