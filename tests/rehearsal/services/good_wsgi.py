"""A WSGI application with one worker: its module starts a BackgroundScheduler and stops it.

target: app
nodes: 1
finds: none
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.background import BackgroundScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Application:
    """A WSGI application."""

    def __call__(
        self, _environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer each request."""
        start_response("204 No Content", [])
        return []


class Mail:
    """Sends mail, by a method and by being called."""

    def __init__(self, to: str) -> None:
        self._to = to

    def __call__(self) -> None:
        """Do the work."""

    def remind(self) -> None:
        """Do the work."""


scheduler = BackgroundScheduler(
    timezone="Asia/Seoul",
    job_defaults={"misfire_grace_time": 600, "coalesce": True, "max_instances": 1},
)
scheduler.add_job(Mail("a"), "cron", hour=9, id="mail")
scheduler.add_job(Mail("b").remind, "cron", hour=9, minute=30, id="remind")
scheduler.start()
atexit.register(scheduler.shutdown, wait=False)
app = Application()
