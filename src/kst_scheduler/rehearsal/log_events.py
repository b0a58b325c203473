"""What a line of APScheduler tells: a run begins or ends, is missed or skipped, and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kst_scheduler.timezone import KST

_SCHEDULED: Final = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?P<offset>[+-]\d\d:\d\d(?::\d\d)?)"
)
_SPAN: Final = re.compile(r"(?:(\d{1,6}) days?, )?(\d{1,2}):(\d\d):(\d\d(?:\.\d{1,6})?)")
_FIELD: Final = re.compile(r"(\w{1,20})='([^']{1,250})'")

_OF_JOB: Final = (
    ("running", 'Running job "', '" (scheduled at '),
    ("executed", 'Job "', '" executed successfully'),
    ("raised", 'Job "', '" raised an exception'),
    ("locked_out", 'Job "', '" was locked out: '),
    ("stopped", 'Job "', '" was stopped: '),
    ("missed", 'Run time of job "', '" was missed by '),
    ("skipped", 'Execution of job "', '" skipped: maximum number of running instances reached ('),
    ("removed", 'Unable to restore job "', '" -- removing it'),
)
"""A kind of event, how its message begins, and what follows the job (APScheduler 3.11.3)."""
_OTHERS: Final = (
    ("started", "Scheduler started", ""),
    ("shut_down", "Scheduler has been shut down", ""),
    ("shut_down", "Drained the scheduler: cancelled", ""),
    ("conflict", "Job identifier (", ") conflicts with an existing job"),
    ("not_stored", "This Job cannot be serialized since", ""),
    ("not_stored", "Job (", ") cannot be added to this job store"),
)
ENDS: Final = frozenset({"executed", "raised", "locked_out", "stopped"})
OF_AN_ERROR: Final = frozenset({"conflict", "not_stored"})
"""The events that are the text of an exception."""


@dataclass(frozen=True)
class LogEvent:
    """One message of APScheduler."""

    kind: str
    job: str = ""
    """The name of the job, or its id where that is what the message has."""
    trigger: str = ""
    zone: str = ""
    """That of the next run time, such as "KST"; empty: the message has none."""
    rest: str = ""
    """What follows the job."""

    @property
    def scheduled_at(self) -> datetime | None:
        """The time at which a run that begins was due."""
        found = _SCHEDULED.match(self.rest)
        try:
            return datetime.fromisoformat(found[0]).astimezone(KST) if found else None
        except (ValueError, OverflowError):
            return None

    @property
    def offset(self) -> str:
        """That of the time at which a run was due, such as "+09:00"."""
        found = _SCHEDULED.match(self.rest)
        return found["offset"] if found else ""

    @property
    def fields(self) -> dict[str, str]:
        """The fields of a cron trigger that are given."""
        return dict(_FIELD.findall(self.trigger[:2000])) if "cron[" in self.trigger else {}


def event_of(message: str) -> LogEvent | None:
    """Return what a message tells; None: nothing that counts."""
    for kind, begin, after in _OF_JOB:
        if message.startswith(begin):
            described, found, rest = message.removeprefix(begin).rpartition(after)
            if not found:
                continue
            if kind == "removed":
                return LogEvent(kind, described, rest=rest)
            job, is_job, more = described.rpartition(" (trigger: ")
            if is_job:
                trigger, _, state = more.removesuffix(")").rpartition(", ")
                zone = state.rpartition(" ")[2] if state.startswith("next run at: ") else ""
                return LogEvent(kind, job, trigger, zone, rest)
    for kind, begin, after in _OTHERS:
        if message.startswith(begin) and after in message:
            job = message.removeprefix(begin).partition(after)[0] if after else ""
            return LogEvent(kind, job)
    return None


def span_of(text: str) -> timedelta | None:
    """Return a span as ``str(timedelta)`` writes it."""
    found = _SPAN.search(text[:250])
    if found is None:
        return None
    days, hours, minutes, seconds = (float(each or 0) for each in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
