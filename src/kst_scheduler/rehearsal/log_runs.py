"""The runs that a log shows, and what the times and processes of two of its lines tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kst_scheduler.rehearsal.log_events import LogEvent, span_of

if TYPE_CHECKING:
    from datetime import datetime

    from kst_scheduler.rehearsal.log_lines import LogLine

NEAR: Final = 5.0
"""Seconds within which a run that was cancelled belongs to a shutdown."""
NEAR_EVENTS: Final = 20
"""The same in messages, where lines have no time."""
AT_ONCE: Final = 1.0
"""Seconds that are one moment: what ended, and what was missed by it."""
INSTANT: Final = 0.1
"""Seconds of a run that did nothing."""
SAME: Final = 0.001
"""Seconds between two lines of one record: its time is the same, what carried them may be late."""
TOGETHER: Final = 60.0
"""Seconds within which two replicas begin the same run, and none repeats the other's."""


@dataclass(eq=False)
class Run:
    """A run that a log shows, from the line in which it begins."""

    event: LogEvent
    line: LogLine
    index: int
    """Which message of APScheduler it is."""
    scheduled_at: datetime | None
    end: str = ""
    ended: LogLine | None = None


@dataclass(frozen=True)
class Logged:
    """A message of APScheduler, and its line."""

    event: LogEvent
    line: LogLine
    index: int


def has_an_hour(fields: dict[str, str]) -> bool:
    """Tell whether a trigger means an hour of the day, which another zone moves."""
    hour = fields.get("hour", "")
    if hour:
        step = hour.removeprefix("*/")
        return hour != "*" and not (
            hour.startswith("*/") and step.isdigit() and step in {"1", "3", "9"}
        )
    return any(name in fields for name in ("year", "month", "day", "week", "day_of_week"))


def are_two_ids(first: Run, second: Run) -> bool:
    """Tell whether a run that began before another's end must be another job's, of one function.

    One id may run twice at once, too, by its ``max_instances``: then the trigger is the same.
    """
    if first.line.process != second.line.process:
        return False
    one, two = first.event.trigger, second.event.trigger
    if one != two:
        return not (one.startswith("date[") and two.startswith("date["))
    if first.scheduled_at is None or second.scheduled_at is None:
        return False
    apart = abs(second.scheduled_at - first.scheduled_at)
    if not apart:
        return bool(second.line.process)  # else they may be two processes
    interval = span_of(one) if one.startswith("interval[") else None
    return interval is not None and apart < interval / 2


def are_twice(first: Run, second: Run) -> bool:
    """Tell whether two processes did the same run, and neither repeats what the other lost."""
    if "locked_out" in {first.end, second.end}:
        return False
    one, two = first.line.process, second.line.process
    if (one == two and one) or bool(one) != bool(two):
        return False
    if first.end == second.end == "executed":
        return True
    apart = second.line.seconds_after(first.line)
    is_together = apart is None or abs(apart) <= TOGETHER
    failed = first.ended if first.end == "raised" else None
    return is_together and (failed is None or failed.number > second.line.number)


def is_coarse(line: LogLine) -> bool:
    """Tell whether the time of a line has whole seconds only."""
    return line.at is not None and not line.at.microsecond


def is_instant(run: Run, line: LogLine, index: int) -> bool:
    """Tell whether a run that this line ends has taken no time."""
    apart = line.seconds_after(run.line)
    return index - run.index == 1 if apart is None else apart <= INSTANT


def is_just_before(run: Run, line: LogLine) -> bool:
    """Tell whether a run ended a few lines before, in the same moment."""
    if run.ended is None or line.number - run.ended.number > NEAR:
        return False
    apart = line.seconds_after(run.ended)
    return apart is None or abs(apart) <= AT_ONCE


def is_at_once(miss: Logged, line: LogLine, index: int) -> bool:
    """Tell whether a line is of the moment in which a run was missed."""
    apart = line.seconds_after(miss.line)
    return index - miss.index <= NEAR_EVENTS if apart is None else abs(apart) <= AT_ONCE


def is_near(raised: Logged, shutdown: Logged) -> bool:
    """Tell whether a shutdown of the same process may have ended a run that raised."""
    if len({raised.line.process, shutdown.line.process} - {""}) > 1:
        return False
    apart = raised.line.seconds_after(shutdown.line)
    if apart is None:
        return abs(raised.index - shutdown.index) <= NEAR_EVENTS
    return abs(apart) <= NEAR
