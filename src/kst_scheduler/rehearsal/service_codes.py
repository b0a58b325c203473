"""The findings that the source shows, and what a scheduler did not take or nobody started."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kst_scheduler.rehearsal.findings import Evidence, Facts, code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.rehearsal.functions import Called

JOB_OPTIONS: Final = ("misfire_grace_time", "coalesce", "max_instances", "replace_existing")
KNOWN_DEFAULTS: Final = frozenset(JOB_OPTIONS[:3])
COROUTINES: Final = frozenset(
    f"asyncio.{name}" for name in ("sleep", "to_thread", "wait", "wait_for", "open_connection")
)
"""Coroutine functions of Python: without await they do nothing."""


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
    for job, note in facts.notes.jobs.items():
        if not note.is_async:
            continue
        for step in facts.reading.functions.of_job(note):
            for seen in step.function.blocking:
                what = f"{seen.text} in {step.function.path[-1]}() blocks the event loop"
                yield Evidence(job, what, place=seen.place)


@code(
    11,
    "error",
    write="write job_defaults={...} for misfire_grace_time, coalesce and max_instances, and "
    "replace_existing=True at each add_job",
    section="4.8",
)
def has_an_option_without_effect(facts: Facts) -> Iterator[Evidence]:
    """An option in the wrong place is ignored.

    APScheduler reads three job defaults, and silently ignores any other; it also ignores the same
    names as options of the scheduler.
    """
    for note in {each.place: each for each in facts.notes.schedulers}.values():
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
    16,
    "error",
    write="start it in the lifespan, or in async def main()",
    section="5.8",
)
def does_not_start(facts: Facts) -> Iterator[Evidence]:
    """It starts only in a running event loop.

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
    """It is never awaited.

    An ``async def`` job in a thread, or behind a lambda, makes a coroutine that is never awaited.
    APScheduler logs "executed successfully".
    """
    rows = facts.runs[facts.runs["detail"].str.contains("nobody awaits it")]
    for job, each in rows.groupby("job_id"):
        what = f"{len(each)} of {len(each)} runs made a coroutine that was never awaited"
        yield Evidence(str(job), what, each.head(2))
    for job, note in facts.notes.jobs.items():
        if note.is_generator:
            yield Evidence(job, "its function has a yield, so a run only makes a generator")
        for step in facts.reading.functions.of_job(note):
            if step.function.is_async and step.by is not None and step.is_lost:
                yield _lost(job, step.by)
            for call in step.function.calls:
                if call.use == "dropped" and call.name in COROUTINES:
                    yield _lost(job, call)


def _lost(job: str, call: Called) -> Evidence:
    what = f"{call.name}() makes a coroutine that is never awaited"
    return Evidence(job, what, place=call.place)


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
    functions = facts.reading.functions
    for job, note in facts.notes.jobs.items():
        for where in note.functions:
            for place in (each for at in functions.at(where) for each in at.swallowed):
                yield Evidence(job, "catches every error and raises none", place=place)


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
        yield Evidence("", f"{seen.text}(next_run_time=...) changes the schedule", place=seen.place)


@code(
    22,
    "error",
    write="call scheduler.start() in the lifespan, before its yield",
    section="5.8",
)
def is_never_started(facts: Facts) -> Iterator[Evidence]:
    """The scheduler is never started.

    Jobs that are added to a scheduler wait until it is started. Nothing is logged about them.
    """
    for count, place in facts.notes.not_started:
        jobs = "its job waits" if count == 1 else f"its {count} jobs wait"
        yield Evidence(
            "", f"the service has started, and the scheduler has not: {jobs}", place=place
        )
