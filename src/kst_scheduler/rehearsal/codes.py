"""All kinds of findings: what each one is, beside the check that finds it.

KST001 to KST020 are the gotchas of notebook 10, with its numbers.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.fire_times import fire_times
from kst_scheduler.fire_times.instants import SECOND, moment_at
from kst_scheduler.rehearsal.findings import Evidence, Facts, code, in_zone
from kst_scheduler.rehearsal.nights import KINDS
from kst_scheduler.rehearsal.notes import Place
from kst_scheduler.runs.table import duplicates
from kst_scheduler.timezone import KST, UTC

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from kst_scheduler.rehearsal.notes import JobNote

QUARTER: Final = 15 * 60 * SECOND
SHORT: Final = timedelta(minutes=5)
MANY: Final = 30
"""So many fires in one hour, of a job whose hour is given, are too many."""
JOB_OPTIONS: Final = ("misfire_grace_time", "coalesce", "max_instances", "replace_existing")
KNOWN_DEFAULTS: Final = frozenset(JOB_OPTIONS[:3])
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
    8,
    "error",
    write="write misfire_grace_time=300, the default of KSTScheduler; more for a nightly job",
    section="4.1",
)
def is_lost_by_a_short_pause(facts: Facts) -> Iterator[Evidence]:
    """A short pause loses a run.

    A run that starts later than ``misfire_grace_time`` is dropped. The default is one second,
    and now and then a process is frozen for longer than that.
    """
    missed = facts.runs[facts.during("freeze", "block") & (facts.runs["status"] == "missed")]
    for job, rows in missed[missed["job_id"].isin(_impatient(facts))].groupby("job_id"):
        row, grace = rows.iloc[0], facts.notes.jobs[str(job)].grace
        what = (
            f"the run of {row.scheduled_at:%m-%d %H:%M} on {row.node} was missed after a pause: "
            f"misfire_grace_time is {grace:g} s"
        )
        yield Evidence(str(job), what, rows.head(3))


@code(
    9,
    "error",
    write="give every job a grace time, or the scheduler ThreadPoolExecutor(20)",
    section="4.2",
)
def waits_for_a_thread(facts: Facts) -> Iterator[Evidence]:
    """The pool has too few threads.

    APScheduler's pool has ten threads. Where more jobs are due at once, the others wait, and
    those that wait for longer than their grace time are dropped.
    """
    quiet = facts.runs[~facts.during(*KINDS, before=7200, after=7200)]
    missed = quiet[(quiet["status"] == "missed") & quiet["detail"].str.contains("late")]
    for moment, rows in missed.groupby("scheduled_at"):
        due = facts.runs[
            (facts.runs["scheduled_at"] == moment) & (facts.runs["node"] == rows["node"].iloc[0])
        ]
        if len(due) > len(rows) and not any(
            (note := facts.note(job)) is None or note.is_async for job in rows["job_id"]
        ):
            jobs = ", ".join(rows["job_id"].unique())
            what = (
                f"of {len(due)} jobs that were due at {moment:%H:%M} these found no thread: {jobs}"
            )
            yield Evidence(str(rows["job_id"].iloc[0]), what, rows.head(3))
            return


@code(
    10,
    "error",
    write="write await asyncio.to_thread(...), or a plain def job, which gets a thread",
    section="4.1",
    is_read=True,
)
def blocks_the_event_loop(facts: Facts) -> Iterator[Evidence]:
    """A job blocks the event loop.

    What an ``async def`` job calls without ``await`` holds the event loop: no other job starts
    meanwhile, and no request is answered.
    """
    for seen in facts.reading.blocking:
        for job, note in facts.notes.jobs.items():
            if note.is_async and note.function_name == seen.function:
                yield Evidence(
                    job, f"{seen.text} in an async def blocks the loop", place=seen.place
                )


@code(
    11,
    "error",
    write="write job_defaults={...} for misfire_grace_time, coalesce and max_instances, and "
    "replace_existing=True at each add_job",
    section="4.8",
)
def has_an_option_without_effect(facts: Facts) -> Iterator[Evidence]:
    """An option in the wrong place is ignored.

    APScheduler reads three job defaults, and drops any other without a word; the same names as
    options of the scheduler are dropped, too.
    """
    for note in facts.notes.schedulers[:1]:
        if note.kind == "KSTScheduler":
            continue
        for name in note.options:
            if name in JOB_OPTIONS:
                yield Evidence("", f"{name} at the scheduler has no effect", place=note.place)
        for name in note.defaults:
            if name not in KNOWN_DEFAULTS:
                what = f"{name} in job_defaults has no effect"
                yield Evidence("", what, place=note.place)
    for job, text, place in facts.notes.errors:
        if text.startswith("ConflictingIdError"):
            yield Evidence(job, f"the service does not start: {text}", place=place)


@code(
    12,
    "error",
    write="write @once(ledger) over the job; if every replica should run it, say --each-node JOB",
    section="7.8",
)
def runs_on_every_replica(facts: Facts) -> Iterator[Evidence]:
    """Every replica runs it.

    Each process has a scheduler of its own, so each replica runs each job.
    """
    whole = facts.runs[facts.runs["status"] != "cancelled"]  # one that was cut may be repeated
    twice = duplicates(whole)
    for job, found in twice.groupby("job_id"):
        is_meant = job in facts.each_node
        rows = found[[_names_one_twice(each) for each in found["nodes"]]] if is_meant else found
        if rows.empty:
            continue
        all_runs = facts.runs_of(str(job))
        all_due = all_runs["scheduled_at"].nunique()
        nodes = ", ".join(sorted({name for each in rows["nodes"] for name in each.split(", ")}))
        first = rows["scheduled_at"].iloc[0]
        proof = all_runs[all_runs["scheduled_at"] == first]
        what = f"ran more than once for {len(rows)} of {all_due} times, on {nodes}"
        yield Evidence(str(job), what, proof)


def _names_one_twice(nodes: str) -> bool:
    names = nodes.split(", ")
    return len({*names}) < len(names)


@code(
    13,
    "warning",
    write="give one id both fire times: OrTrigger([...]), or cron(hour=3, minute='0,30')",
    section="4.7",
)
def runs_beside_itself(facts: Facts) -> Iterator[Evidence]:
    """Two ids run one function side by side.

    ``max_instances`` counts by id, so the same function with the same arguments runs twice at once
    in one process.
    """
    twins: dict[tuple[str, str], list[str]] = {}
    for job, note in facts.notes.jobs.items():
        twins.setdefault((note.function, note.arguments), []).append(job)
    for jobs in twins.values():
        rows = facts.started[facts.started["job_id"].isin(jobs)]
        for _, each in rows.sort_values("started_at", kind="stable").groupby("node"):
            before = each.shift()
            beside = (each["started_at"] < before["finished_at"]) & (
                each["job_id"] != before["job_id"]
            )
            if beside.any():
                second, first = each[beside].iloc[0], before[beside].iloc[0]
                what = (
                    f"runs the same as {first.job_id} and beside it: on {second.node} from "
                    f"{second.started_at:%m-%d %H:%M} on, until {first.finished_at:%H:%M}"
                )
                yield Evidence(str(second.job_id), what, each[beside].head(3))
                break


@code(
    14,
    "error",
    write="write async with asyncio.timeout(30 * 60) in the job",
    section="4.6",
    is_logged=True,
)
def runs_once_and_never_again(_facts: Facts) -> Iterator[Evidence]:
    """It runs once and never again.

    A run that never ends keeps the place of its job: each later one is skipped, until the process
    is restarted. A run that takes longer than its interval loses those between.
    """
    yield from ()


@code(
    15,
    "error",
    write="write await scheduler.drain(30) of a KSTScheduler in place of shutdown(), or make the "
    "job once(ledger)",
    section="5.1",
)
def is_cut_by_a_deployment(facts: Facts) -> Iterator[Evidence]:
    """A deployment cuts the run off.

    On an AsyncIOScheduler ``shutdown(wait=True)`` returns at once, and cancels what runs.
    """
    done = _done(facts)
    cut = facts.runs[
        (facts.runs["status"] == "cancelled")
        & facts.during("deploy", before=86400)
        & ~facts.runs["detail"].str.contains("crashed")
    ]
    for job, rows in cut.groupby("job_id"):
        lost = rows[[key not in done for key in _keys(rows)]]
        if len(lost):
            row = lost.iloc[0]
            waits = [] if "Background" in facts.notes.schedulers[0].kind else facts.reading.waits
            place = waits[0].place if waits else Place()
            what = (
                f"the run of {row.scheduled_at:%m-%d %H:%M} was cut by a deployment at "
                f"{row.finished_at:%H:%M:%S}, and nobody repeated it"
            )
            level = "" if waits else "warning"
            yield Evidence(str(job), what, lost.head(3), place, level=level)


@code(
    16,
    "error",
    write="start it in the lifespan, or in async def main()",
    section="5.8",
)
def does_not_start(facts: Facts) -> Iterator[Evidence]:
    """It starts only where an event loop runs.

    ``start()`` of an AsyncIOScheduler needs a running event loop, and a module has none.
    """
    if facts.notes.no_loop:
        what = f"the module cannot be imported: RuntimeError: {facts.notes.no_loop}"
        yield Evidence("", what, place=facts.notes.no_loop_place)


@code(
    17,
    "error",
    write="write a function of a module in place of a lambda or an inner function",
    section="8.5",
)
def cannot_be_stored(facts: Facts) -> Iterator[Evidence]:
    """The job store cannot keep it.

    A persistent job store keeps the name of a function, and finds it by that name.
    """
    for job, text, place in facts.notes.errors:
        if "cannot be serialized" in text or "Unable to restore" in text:
            yield Evidence(job, re.sub(r" at 0x\w+", "", text), place=place)


@code(
    18,
    "error",
    write="use AsyncIOScheduler with its own executor, and the function itself as the job",
    section="2.7",
)
def is_never_awaited(facts: Facts) -> Iterator[Evidence]:
    """Nobody awaits it.

    An ``async def`` job in a thread, or behind a lambda, makes a coroutine that nobody awaits.
    APScheduler says "executed successfully".
    """
    rows = facts.runs[facts.runs["detail"].str.contains("nobody awaits it")]
    for job, each in rows.groupby("job_id"):
        what = f"{len(each)} of {len(each)} runs made a coroutine, and nobody awaited it"
        yield Evidence(str(job), what, each.head(2))
    for seen in facts.reading.lambdas:
        for job, note in facts.notes.jobs.items():
            if note.is_lambda and note.function_place == seen.place:
                yield Evidence(job, f"{seen.text} makes a coroutine that nobody awaits")


@code(
    19,
    "warning",
    write="raise after the except block, so that the run counts as failed",
    section="9.1",
    is_read=True,
)
def hides_its_failure(facts: Facts) -> Iterator[Evidence]:
    """A failure is hidden.

    An ``except Exception`` that raises nothing makes a failed run a successful one.
    """
    for seen in facts.reading.swallowed:
        for job, note in facts.notes.jobs.items():
            if note.function_name == seen.function:
                yield Evidence(job, "catches every error and raises none", place=seen.place)


@code(
    20,
    "error",
    write="use another hour, or Korean time, which has not changed since 1988",
    section="3.8",
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
    21,
    "warning",
    write="write scheduler.run_now(job_id), which leaves the schedule alone",
    section="6.4",
    is_read=True,
)
def moves_the_schedule(facts: Facts) -> Iterator[Evidence]:
    """A run by hand moves the schedule.

    ``modify(next_run_time=...)`` consumes a one-shot job, un-pauses a paused one, and moves an
    interval.
    """
    for seen in facts.reading.modified:
        yield Evidence("", f"{seen.text}(next_run_time=...) is no run by hand", place=seen.place)


@code(
    22,
    "error",
    write="call scheduler.start() in the lifespan, before its yield",
    section="5.8",
)
def is_never_started(facts: Facts) -> Iterator[Evidence]:
    """Nobody starts the scheduler.

    Jobs that are added to a scheduler wait until it is started. Nothing is logged of them.
    """
    for count, place in facts.notes.not_started:
        jobs = "its job waits" if count == 1 else f"its {count} jobs wait"
        yield Evidence("", f"the service has started, the scheduler has not: {jobs}", place=place)


@code(
    23,
    "warning",
    write="write @once(ledger) over the job, and let a Reconciler catch it up",
    section="8.9",
)
def is_lost_while_down(facts: Facts) -> Iterator[Evidence]:
    """A run is lost while the service is down, or is frozen.

    A scheduler forgets what was due while no process ran: its memory is gone, and it begins anew.
    It drops what it finds later than the grace time.
    """
    begun = {*_keys(facts.started)}
    short = facts.during("freeze", "block") & facts.runs["job_id"].isin(_impatient(facts))
    due = facts.runs[facts.during(*KINDS) & ~short & (facts.runs["status"] == "missed")]
    for job, rows in due.groupby("job_id"):
        lost = rows[[key not in begun for key in _keys(rows)]]
        if len(lost):
            times = lost["scheduled_at"].drop_duplicates()
            what = (
                f"{len(times)} run(s) were due while no replica could run them, and nobody caught "
                f"them up: {times.iloc[0]:%m-%d %H:%M} first"
            )
            yield Evidence(str(job), what, lost.head(3))


def _impatient(facts: Facts) -> list[str]:
    """Return the jobs whose grace time is so short that a short pause loses a run."""
    return [
        job
        for job, note in facts.notes.jobs.items()
        if note.grace is not None and timedelta(seconds=note.grace) < SHORT
    ]


def _keys(rows: pd.DataFrame) -> Iterator[tuple[str, pd.Timestamp]]:
    return zip(rows["job_id"], rows["scheduled_at"], strict=True)


def _done(facts: Facts) -> set[tuple[str, pd.Timestamp]]:
    return {*_keys(facts.runs[facts.runs["status"] == "ok"])}


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
