"""A BackgroundScheduler that each worker of a WSGI server starts.

target: create_app
finds: KST012 nightly
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.background import BackgroundScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def crawl() -> None:
    """Do the work."""


class Application:
    """A WSGI application."""

    def __call__(
        self, _environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer each request."""
        start_response("204 No Content", [])
        return []


def create_app() -> Application:
    """Return the application, and start what runs beside it."""
    scheduler = BackgroundScheduler(timezone="Asia/Seoul")
    scheduler.add_job(crawl, "cron", hour=3, id="nightly", misfire_grace_time=300)
    scheduler.start()
    return Application()
