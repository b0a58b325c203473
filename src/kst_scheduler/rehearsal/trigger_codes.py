"""The findings that fire times show: when a job is due, and when it never is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.fire_times import fire_times
from kst_scheduler.fire_times.instants import SECOND, moment_at
from kst_scheduler.rehearsal.findings import Evidence, Facts, code, in_zone
from kst_scheduler.timezone import KST, UTC

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from kst_scheduler.rehearsal.notes import JobNote

QUARTER: Final = 15 * 60 * SECOND
MANY: Final = 30
"""So many fires in one hour, of a job whose hour is given, are too many."""
RARE: Final = 11
"""Fires a year, or fewer, of a job that is due on a day of the month and on a weekday."""
WEEK: Final = 7
HOUR: Final = 3600.0
NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@code(
    1,
    "error",
    write="write cron(hour=3, minute=0), or CronTrigger(..., timezone=KST)",
    section="2.2",
)
def fires_in_the_hosts_zone(facts: Facts) -> Iterator[Evidence]:
    """It fires in the host's zone.

    A trigger object, or a scheduler, without a zone takes the host's. On a host in UTC, as most
    containers are, an hour that was meant in Korea comes nine hours later.
    """
    for job, here in facts.zones[facts.host].items():
        note = facts.note(job)
        if here is None or note is None or note.hangs:
            continue
        others = {
            zone: there
            for zone, fires in facts.zones.items()
            if (there := fires.get(job)) is not None and abs(there - here) >= QUARTER
        }
        if not others:
            continue
        zone, there = next(iter(others.items()))
        fields = ", ".join(
            f"{name}={value if value.isdigit() else repr(value)}"
            for name, value in note.fields.items()
        )
        yield Evidence(
            job,
            f"fires at {in_zone(here)} ({in_zone(here, UTC)}) on a host in {facts.host}, and at "
            f"{in_zone(there)} on one in {zone}: the trigger took the host's zone",
            facts.runs_of(job).head(2),
            write=_with_a_zone(note, fields),
        )


def _with_a_zone(note: JobNote, fields: str) -> str:
    if note.kind == "date":
        return "write at(kst(2026, 5, 10, 9)), with your date"
    return f"write cron({fields}), or CronTrigger(..., timezone=KST)" if fields else ""


@code(
    2,
    "error",
    write="write kst(2026, 5, 10, 9), or KST.localize(datetime(...))",
    section="3.3",
)
def fires_by_local_mean_time(facts: Facts) -> Iterator[Evidence]:
    """A pytz zone as tzinfo is the mean time of 1908.

    A zone of pytz that is passed as ``tzinfo=`` is not resolved. For Seoul it is the local mean
    time, 8 hours and 28 minutes, so the job fires 32 minutes late.
    """
    for job, note in facts.notes.jobs.items():
        if "LMT" in note.trigger and note.first is not None:
            rows = facts.runs_of(job).head(2)
            yield Evidence(job, f"fires at {in_zone(note.first)}: its time is in LMT, +08:28", rows)


@code(
    3,
    "error",
    write='write the name, "mon", or crontab("0 9 * * 1"), which counts as crontab does',
    section="3.4",
)
def fires_a_day_late(facts: Facts) -> Iterator[Evidence]:
    """A number for a weekday counts from Monday.

    APScheduler's ``from_crontab`` counts weekdays from 0 for Monday; in crontab 0 is Sunday.
    """
    for seen in facts.reading.crontabs:
        for job, note in facts.notes.jobs.items():
            if note.place.file == seen.place.file and _is_of(note, seen.text):
                first = moment_at(note.first or 0).astimezone(KST)
                yield Evidence(
                    job,
                    f"from_crontab({seen.text!r}) fires on {NAMES[first.weekday()]} "
                    f"{first:%Y-%m-%d}: it counts from 0 for Monday, and crontab from 0 for Sunday",
                    facts.runs_of(job).head(2),
                    place=seen.place,
                )


def _is_of(note: JobNote, line: str) -> bool:
    names = ("minute", "hour", "day", "month", "day_of_week")
    given = dict(zip(names, line.split(), strict=False))
    return all(note.fields.get(name, "*") == value for name, value in given.items())


@code(
    4,
    "error",
    write="give the field between, too: cron(hour=3, minute=0, second=0)",
    section="3.6",
)
def fires_sixty_times(facts: Facts) -> Iterator[Evidence]:
    """A field that was left open fires often.

    A field that stands before one that is given, and is itself not given, matches each value:
    ``hour=3, second=0`` fires at 03:00, 03:01 and so on.
    """
    for job, note in facts.notes.jobs.items():
        if not {"hour", "second"} <= note.fields.keys() or "minute" in note.fields:
            continue
        rows = facts.runs[(facts.runs["job_id"] == job) & (facts.runs["node"] == _first(facts))]
        per_hour = rows.groupby(rows["scheduled_at"].dt.floor("h")).size()
        if len(per_hour) and per_hour.max() >= MANY:
            hour = per_hour.idxmax()
            what = f"fires {per_hour.max()} times from {hour:%H:%M} to {hour:%H}:59 KST"
            yield Evidence(job, what, rows.head(3))


@code(
    5,
    "error",
    write='write crontab("0 3 1 * mon"), where either is enough',
    section="3.5",
)
def fires_once_in_months(facts: Facts) -> Iterator[Evidence]:
    """Two day fields must both match.

    APScheduler fires where both the day of the month and the weekday match; cron fires where
    either does.
    """
    for job, note in facts.notes.jobs.items():
        if not {"day", "day_of_week"} <= note.fields.keys() or not note.fields["day"].isdigit():
            continue
        fires = _year(facts, note)
        if len(fires) <= RARE:
            what = (
                f"fires on {len(fires)} days of the year, on those {note.fields['day']}. of a "
                f"month that are {note.fields['day_of_week']}"
            )
            yield Evidence(job, what)


@code(
    6,
    "error",
    write="write every(days=1), which counts from a Korean midnight",
    section="3.2",
)
def never_gets_to_its_first_run(facts: Facts) -> Iterator[Evidence]:
    """An interval begins anew with each process.

    An interval without ``start_date`` counts from when the trigger was built. Each restart puts
    its next run off, and each replica has a time of its own.
    """
    for job, note in facts.notes.jobs.items():
        if note.interval < HOUR or note.is_aligned:
            continue
        rows = facts.runs_of(job)
        times = rows["scheduled_at"].drop_duplicates()
        phases = (times.astype("int64") - (note.first or 0)) % round(note.interval * SECOND)
        if len(set(phases)) > 1:
            gap = times.sort_values().diff().max().to_pytimedelta()
            every = _every(note.interval)
            what = (
                f"its interval of {timedelta(seconds=note.interval)} began anew at each restart: "
                f"it was due at {len(set(phases))} different times of it, once after {gap}"
            )
            yield Evidence(
                job, what, rows.head(3), write=f"write {every}, which counts from a date"
            )


def _every(seconds: float) -> str:
    for unit, length in {"days": 86400, "hours": 3600, "minutes": 60}.items():
        if seconds % length == 0:
            return f"every({unit}={seconds / length:.0f})"
    return f"every(seconds={seconds:g})"


@code(
    7,
    "error",
    write='write one trigger with both fields, such as cron(day_of_week="mon", hour=3)',
    section="10.4",
)
def searches_for_ever(facts: Facts) -> Iterator[Evidence]:
    """The trigger searches for ever.

    An AndTrigger of two triggers that do not always agree finds its first fire, and then
    searches for ever: the process uses a whole core and answers nothing.
    """
    for job, note in facts.notes.jobs.items():
        if note.hangs and note.first is None:
            yield Evidence(job, "finds no fire within 0.5 s of CPU")
        elif note.hangs:
            first = in_zone(note.first or 0)
            yield Evidence(job, f"finds its first fire, {first}, and no second within 0.5 s of CPU")


@code(
    20,
    "error",
    write="use another hour, or Korean time, which has not changed since 1988",
    section="3.9",
)
def loses_a_midnight(facts: Facts) -> Iterator[Evidence]:
    """A midnight is lost when clocks are put forward.

    APScheduler 3.11 loses fires of hour 0 after a clock was put forward.
    """
    for job, note in facts.notes.jobs.items():
        if note.kind != "cron" or note.zone in {"UTC", "Asia/Seoul"} or not note.fields:
            continue
        real = {each.date() for each in _year(facts, note)}
        meant = {each.date() for each in _year(facts, note, zone="UTC")}
        first, last = min(meant, default=None), max(meant, default=None)  # of a day cut in two
        if lost := sorted(meant - real - {first, last}):
            what = f"does not fire on {', '.join(map(str, lost[:3]))} in {note.zone}"
            yield Evidence(job, what)


@code(
    24,
    "error",
    write="write a time that is to come: hour=3, day='last' for the last day of a month",
    section="10.4",
)
def never_fires(facts: Facts) -> Iterator[Evidence]:
    """It never fires.

    A trigger without a next fire time is taken without a word: a day that no month has, a year or
    an ``end_date`` in the past. It is a warning where there were fires before.
    """
    for job, note in facts.notes.jobs.items():
        if note.never == "never":
            yield Evidence(job, f"has no fire time: {note.trigger}")
        elif note.never or (note.kind == "date" and (note.first or facts.start) < facts.start):
            day = moment_at(facts.start).astimezone(KST)
            what = f"has no fire time after {day:%Y-%m-%d}: {note.trigger}"
            yield Evidence(job, what, level="warning")


def _first(facts: Facts) -> str:
    return str(facts.runs["node"].iloc[0]) if len(facts.runs) else ""


def _year(facts: Facts, note: JobNote, zone: str = "") -> pd.DatetimeIndex:
    """Return the fire times of a cron job in a year, in its own zone."""
    try:
        trigger = CronTrigger(**note.fields, timezone=zone or note.zone)
    except LookupError:  # a fixed offset has no name
        trigger = CronTrigger(**note.fields, timezone=UTC)
    start = moment_at(facts.start).astimezone(UTC)
    return fire_times(trigger, start, start + timedelta(days=365))
