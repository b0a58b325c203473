"""A slow function that a method of a coroutine calls.

target: scheduler
nodes: 1
finds: KST010 nightly
"""

from __future__ import annotations

from subprocess import run

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


class Backup:
    """Copies a database."""

    async def start(self) -> None:
        """Do the work."""
        self._dump()

    def _dump(self) -> None:
        run(["true"], check=True)  # noqa: S607 - the fault


scheduler.add_job(Backup().start, "cron", hour=3, id="nightly")
