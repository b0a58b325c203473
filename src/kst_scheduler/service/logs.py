"""The log of the command: a line of a job names its run; none holds a password or is endless."""

from __future__ import annotations

import logging
from typing import Final

from kst_scheduler.redaction import without_passwords
from kst_scheduler.scheduler.occurrence import ATTEMPT, RUNNING, Occurrence

MAX_LOGGED: Final = 10_000
"""Characters of an entry, its traceback included: an exception's text may hold a whole response."""


def log_to_stderr() -> None:
    """Log what is at INFO and above, for this process."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s%(run)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and so their keys
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # or a line or more for every task
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # of an outage the queue logs one


class Formatter(logging.Formatter):
    """Names the run that logs, takes out passwords, tracebacks included, and cuts what is long."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry."""
        record.run = _run()  # a handler formats where the job logs, in its context
        return without_passwords(super().format(record), MAX_LOGGED)


def _run() -> str:
    """Return the run that is in progress here, and which attempt it is, if it has a row."""
    running = RUNNING.get()
    if running is None:
        return ""
    key = Occurrence(*running).key
    claimed, attempt = ATTEMPT.get() or (None, 0)
    shown = key if key.isprintable() else ascii(key)[1:-1]  # an id must not begin a new line
    return f" [{shown} attempt {attempt}]" if claimed == key else f" [{shown}]"
