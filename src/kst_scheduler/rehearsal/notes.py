"""What a rehearsal notes of the reader's code: jobs, schedulers, and where they are written.

All of it can be written as JSON, for it comes from the process in which the service ran.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from apscheduler.triggers.combining import BaseCombiningTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.rehearsal.job_function import functions_of, identity_of, is_generator
from kst_scheduler.rehearsal.place import NOWHERE, Place
from kst_scheduler.rehearsal.stand_ins import is_async
from kst_scheduler.rehearsal.stretches import unstretched

if TYPE_CHECKING:
    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler


@dataclass(frozen=True)
class JobNote:
    """A job as the scheduler took it."""

    id: str
    place: Place
    """Where it was added."""
    functions: list[Place]
    """Where its functions begin: what the scheduler calls, and what that wraps."""
    closed: dict[str, Place]
    """The functions that one of those has from around it, by ``closed_key``."""
    identity: str
    """Two jobs share it that call the same function with the same arguments."""
    trigger: str
    kind: str
    """cron, interval, date, and, or; another trigger by the name of its class."""
    zone: str
    fields: dict[str, str]
    """The fields of a cron trigger that are not the default."""
    interval: float
    """Seconds between two fires of an interval trigger; 0: another trigger."""
    first: int | None
    """Its first fire, in microseconds since 1970 in UTC; None: it never fires."""
    grace: float | None
    is_async: bool
    is_generator: bool
    """Whether to call its function begins nothing."""
    is_once: bool
    is_aligned: bool
    """Whether an interval is counted from a fixed moment, and not from when it was built."""
    hangs: bool
    """Whether its trigger searches forever."""
    never: str
    """"never", or "no more", where its trigger has no next fire time."""
    is_on_loop: bool
    """Whether its scheduler is an AsyncIOScheduler."""
    store: str
    """The kind of its job store, if that is not in memory."""


@dataclass(frozen=True)
class SchedulerNote:
    """A scheduler as it was made, and its options by name."""

    kind: str
    place: Place
    options: dict[str, str]
    defaults: dict[str, str]


@dataclass
class Notes:
    """All that was noted in one rehearsal."""

    jobs: dict[str, JobNote] = field(default_factory=dict)
    schedulers: list[SchedulerNote] = field(default_factory=list)
    not_started: list[tuple[int, Place]] = field(default_factory=list)
    """Schedulers that nobody started: how many jobs each has, and where it is made."""
    no_loop: str = ""
    """Why the module cannot be imported where no event loop runs, and where."""
    no_loop_place: Place = NOWHERE
    ours: list[str] = field(default_factory=list)
    """Jobs that are functions of this package, and are not judged."""
    shutdowns: list[Place] = field(default_factory=list)
    """Where an AsyncIOScheduler is shut down as if that waited for its runs."""
    errors: list[tuple[str, str, Place]] = field(default_factory=list)
    """What adding a job, or starting a scheduler, raised: job, text, place."""

    def as_json(self) -> dict[str, Any]:
        """Return it in values that JSON has."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Notes:
        """Return what ``as_json`` was made of."""
        jobs = {
            name: JobNote(
                **_with_places(each, "place")
                | {
                    "functions": [Place(**place) for place in each["functions"]],
                    "closed": {key: Place(**place) for key, place in each["closed"].items()},
                }
            )
            for name, each in found["jobs"].items()
        }
        return cls(
            jobs=jobs,
            schedulers=[
                SchedulerNote(**_with_places(each, "place")) for each in found["schedulers"]
            ],
            not_started=[(count, Place(**place)) for count, place in found["not_started"]],
            no_loop=found["no_loop"],
            no_loop_place=Place(**found["no_loop_place"]),
            ours=found["ours"],
            shutdowns=[Place(**place) for place in found["shutdowns"]],
            errors=[(job, text, Place(**place)) for job, text, place in found["errors"]],
        )


def _with_places(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return values | {name: Place(**values[name]) for name in names}


def note_of(
    job: Job, name: str, place: Place, *, hangs: bool, never: str, is_on_loop: bool, store: str
) -> JobNote:
    """Return the note of a job that a scheduler has just taken, and that is shown by this name."""
    trigger, function = unstretched(job.trigger), job.func
    places, closed = functions_of(function)
    first = getattr(job, "next_run_time", None)
    interval = trigger.interval.total_seconds() if isinstance(trigger, IntervalTrigger) else 0.0
    return JobNote(
        id=name,
        place=place,
        functions=places,
        closed=closed,
        identity=identity_of(function, job.args, job.kwargs),
        trigger=str(trigger),
        kind=_kind(trigger),
        zone=str(getattr(trigger, "timezone", "")),
        fields={each.name: str(each) for each in trigger.fields if not each.is_default}
        if isinstance(trigger, CronTrigger)
        else {},
        interval=interval,
        first=None if first is None else microseconds(first),
        grace=job.misfire_grace_time,
        is_async=is_async(function),
        is_generator=is_generator(function),
        is_once=hasattr(function, "once"),
        is_aligned=type(trigger) is not IntervalTrigger,
        hangs=hangs,
        never=never,
        is_on_loop=is_on_loop,
        store=store,
    )


def scheduler_note(
    scheduler: BaseScheduler, options: dict[str, Any], place: Place
) -> SchedulerNote:
    """Return the note of a scheduler that was made with these options."""
    defaults = options.get("job_defaults")
    return SchedulerNote(
        kind=type(scheduler).__name__,
        place=place,
        options={name: repr(value) for name, value in options.items()},
        defaults={str(name): repr(value) for name, value in dict(defaults or {}).items()},
    )


def unpacked(function: Any) -> Any:
    """Return the function that a partial calls."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _kind(trigger: Any) -> str:
    if isinstance(trigger, BaseCombiningTrigger):
        return type(trigger).__name__.removesuffix("Trigger").lower()
    for kind in type(trigger).__mro__:
        if kind.__module__.startswith("apscheduler.triggers."):
            return kind.__name__.removesuffix("Trigger").lower()
    return type(trigger).__name__
