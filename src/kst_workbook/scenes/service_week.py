"""A week with incidents for the service of notebook 10, and what is wrong with it afterwards.

Each finding is a symptom in figures, as somebody would report it; none names the line at fault.
They do not depend on each other: a service with one fault has one finding.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import pandas as pd
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.fire_times import fire_times
from kst_scheduler.runs.table import NODE_DOWN
from kst_scheduler.simulation import Crash, Freeze, SimulationResult, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.scenes.broken_service import COPY_SECONDS, OutsideWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

WEEK: Final = (kst(2026, 5, 4), kst(2026, 5, 11))
WITH_TWO: Final = (kst(2026, 5, 11), kst(2026, 5, 12))
"""The day after, on which a second replica is added."""

CRAWL, REPORT, BACKUP, TOKEN = "daily-nps-crawl", "morning-report", "backup", "hourly-token"
WANTED: Final = {
    CRAWL: (cron(hour=3, minute=0), "at 03:00 in Korea, every night"),
    REPORT: (cron(hour=6, minute=0), "at 06:00 in Korea, once a day"),
    BACKUP: (cron(hour="0,8,16", minute=0), "at 00:00, 08:00 and 16:00 in Korea"),
    TOKEN: (cron(minute=30), "at half past every hour"),
}
"""When each job is wanted, as a trigger and in words."""
WORK: Final = {
    CRAWL: ("crawl begun",),
    REPORT: ("report sent",),
    BACKUP: ("copied in a thread", "copied on the event loop"),
    TOKEN: ("token renewed",),
}
"""What a run of each job is there for, in the words of its events."""

_MINUTES_3, _MINUTES_5 = timedelta(minutes=3), timedelta(minutes=5)
INCIDENTS: Final = (
    Freeze("A", kst(2026, 5, 4, 15, 59), _MINUTES_3),
    Crash("A", kst(2026, 5, 6, 12, 3), _MINUTES_5),
    Crash("A", kst(2026, 5, 7, 3, 3), _MINUTES_5),
    Freeze("A", kst(2026, 5, 8, 2, 59), _MINUTES_3),
    Freeze("A", kst(2026, 5, 9, 5, 59), _MINUTES_3 + timedelta(seconds=30)),
    Freeze("A", kst(2026, 5, 9, 11, 59), _MINUTES_3),
    Freeze("A", kst(2026, 5, 10, 14, 29), _MINUTES_3),
)
PAUSE: Final = timedelta(minutes=5)
"""No pause of the week is longer, so no run need be lost."""


@dataclass(frozen=True)
class ServiceWeek:
    """What became of a service in its week, and on the day after, with two replicas."""

    result: SimulationResult
    outside: OutsideWorld
    with_two: OutsideWorld
    warnings: list[str]

    def rows(self, job_id: str) -> pd.DataFrame:
        """Return the rows of a job, but for those of times at which there was no process."""
        runs = self.result.runs
        return runs[(runs["job_id"] == job_id) & (runs["detail"] != NODE_DOWN)]

    def idle(self, job_id: str) -> pd.DataFrame:
        """Return the rows of a job that started and did nothing of what it is there for."""
        rows = self.rows(job_id)
        rows = rows[rows["started_at"].notna()]
        done = sorted(at for what in WORK[job_id] for at in self.outside.when(what))
        return rows[[not _any_within(done, row) for row in rows.itertuples()]]


def one_week(register: Callable[[AsyncIOScheduler], object]) -> ServiceWeek:
    """Run a service through the week on one replica, then through a quiet day on two.

    The scheduler is the lesson's, ``AsyncIOScheduler(timezone=KST)``, the hosts are in UTC.
    """
    outside, with_two = OutsideWorld(), OutsideWorld()
    scheduler = partial(AsyncIOScheduler, timezone=KST)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with outside.open():
            result = simulate(register, *WEEK, incidents=INCIDENTS, scheduler=scheduler)
        week_warnings = [str(each.message) for each in caught]
        with with_two.open():
            simulate(register, *WITH_TWO, nodes=2, scheduler=scheduler)
    return ServiceWeek(result, outside, with_two, week_warnings)


def findings(week: ServiceWeek) -> list[str]:
    """Return what is wrong, a symptom each; nothing where all is well."""
    looks: list[Callable[[ServiceWeek], Iterator[str]]] = [
        partial(_due_at_other_times, job_id=CRAWL),
        _crawled_nothing,
        _failed_as_success,
        partial(_due_at_other_times, job_id=REPORT),
        partial(_did_nothing, job_id=REPORT),
        partial(_due_at_other_times, job_id=BACKUP),
        partial(_did_nothing, job_id=BACKUP),
        _stood_still,
        partial(_due_at_other_times, job_id=TOKEN),
        partial(_did_nothing, job_id=TOKEN),
        _lost,
    ]
    return [finding for look in looks for finding in look(week)]


def _due_at_other_times(week: ServiceWeek, job_id: str) -> Iterator[str]:
    """Compare when a job was due with when it is wanted, while there was a process."""
    trigger, wanted_words = WANTED[job_id]
    rows = week.rows(job_id)
    if rows.empty:
        yield f"`{job_id}` was never due. It is wanted {wanted_words}; keep its id."
        return
    due = pd.DatetimeIndex(rows["scheduled_at"])
    wanted = _while_up(fire_times(trigger, *WEEK))
    extra, missing = _while_up(due).difference(wanted), wanted.difference(due)
    if len(extra) == len(missing) == 0:
        return
    words = f"`{job_id}` is wanted {wanted_words}. It was due {len(due)} times in the week"
    if len(extra):
        words += f", {len(extra)} of them at other times, as on {_moment(extra[0])}"
    if len(missing):
        words += f"; {len(missing)} times it was not, as on {_moment(missing[0])}"
    yield f"{words}."


def _crawled_nothing(week: ServiceWeek) -> Iterator[str]:
    """Find crawls that began nothing, and a day with two replicas and not one crawl."""
    idle, started = week.idle(CRAWL), week.rows(CRAWL)["started_at"].notna().sum()
    if len(idle):
        first, ends = idle.iloc[0], _ends(idle)
        yield (
            f"`{CRAWL}` started {started} times, and {len(idle)} times it crawled nothing, for "
            f"the first time on {_moment(first['started_at'])}. Those runs ended as {ends}."
        )
    crawls = [event for event in week.with_two.events if event.what == "crawl begun"]
    if len(crawls) != 1:
        where = (
            ", ".join(f"{_moment(event.at)} on {event.node}" for event in crawls) or "none at all"
        )
        yield (
            f"On the day after the week there are two replicas. One crawl is wanted; "
            f"{len(crawls)} began: {where}."
        )


def _failed_as_success(week: ServiceWeek) -> Iterator[str]:
    """Find crawls that failed in runs that are ok."""
    rows = week.rows(CRAWL)
    ok = rows[rows["status"] == "ok"]
    for at in week.outside.when("crawl failed"):
        if any(_any_within([at], row) for row in ok.itertuples()):
            yield (
                f"On {_moment(at)} the NPS answered 503 and a crawl broke off. Its run is `ok`, "
                "and the log says `executed successfully`."
            )


def _did_nothing(week: ServiceWeek, job_id: str) -> Iterator[str]:
    """Find runs that did not do what they are there for."""
    idle = week.idle(job_id)
    if idle.empty:
        return
    count = sum(len(week.outside.when(what)) for what in WORK[job_id])
    words = f"`{job_id}` started {len(idle)} times without doing anything; these ended as "
    words += f"{_ends(idle)}. Outside the service: {WORK[job_id][0]}, {count} times."
    never = sorted({text for text in week.warnings if "never awaited" in text})
    yield words + "".join(f" Python warned: `{text}`." for text in never)


def _stood_still(week: ServiceWeek) -> Iterator[str]:
    """Find what kept the event loop from everything else."""
    blocked = week.outside.when("copied on the event loop")
    if blocked:
        yield (
            f"{len(blocked)} times the event loop stood still for {timedelta(seconds=COPY_SECONDS)}"
            f", the first time on {_moment(blocked[0])}: no other job could start, and no request "
            "was answered."
        )


def _lost(week: ServiceWeek) -> Iterator[str]:
    """Find runs that were lost though they were hardly late."""
    runs = week.result.runs
    lost = runs[(runs["status"] == "missed") & (runs["detail"] != NODE_DOWN)]
    if lost.empty:
        return
    jobs = ", ".join(f"{count} of `{job}`" for job, count in lost.groupby("job_id").size().items())
    words = f"No pause of the week is longer than {PAUSE}, and yet runs were lost: {jobs}."
    lines = week.result.log["message"]
    first = lines[lines.str.contains("was missed by")].head(1)
    yield words + "".join(f" The first of their lines in the log: `{line}`" for line in first)


def _while_up(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Leave out the moment of the start, and what falls into the time after a crash."""
    downs = [each for each in INCIDENTS if isinstance(each, Crash)]
    up = [
        time != WEEK[0] and not any(down.at <= time < down.at + _MINUTES_5 for down in downs)
        for time in times
    ]
    return times[up]


def _any_within(times: list[datetime], row: object) -> bool:
    """Tell whether one of the sorted times lies within a run; one that was cut short has no end."""
    started, finished = row.started_at, row.finished_at  # type: ignore[attr-defined]
    end = started + timedelta(hours=1) if pd.isna(finished) else finished
    place = bisect_left(times, started)
    return place < len(times) and bool(times[place] <= end)


def _ends(rows: pd.DataFrame) -> str:
    """Return how runs ended, with what the last error says."""
    counts = rows["status"].value_counts()
    words = ", ".join(f"{count} `{status}`" for status, count in counts.items() if count)
    details = [detail for detail in rows["detail"] if detail]
    return words + (f" ({details[-1]})" if details else "")


def _moment(at: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b} {at:%H:%M}"
