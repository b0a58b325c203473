"""A program whose thread makes its scheduler, after the function that starts it has returned.

target: main
nodes: 1
finds: none
"""

from __future__ import annotations

import threading
import time

from apscheduler.schedulers.background import BackgroundScheduler


def crawl() -> None:
    """Do the work."""


class Nights(threading.Thread):
    """Runs the scheduler."""

    def run(self) -> None:
        """Start it, and stay."""
        scheduler = BackgroundScheduler(timezone="Asia/Seoul")
        scheduler.add_job(crawl, "cron", hour=3, id="nightly", misfire_grace_time=300)
        scheduler.start()
        while True:
            time.sleep(3600)


def main() -> None:
    """Start the thread."""
    Nights(daemon=True).start()
