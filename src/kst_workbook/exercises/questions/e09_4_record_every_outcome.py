"""Exercise 9.4: Record every outcome."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import STATUSES, RunLog
from kst_scheduler.scheduler.executor import returns_awaitable
from kst_scheduler.simulation import ClockJump, Incident, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import NotYetError, Picture, Right, exercise
from kst_workbook.exercises.judging import pictures, require_function, shown
from kst_workbook.exercises.place import blocked_to_the_end
from kst_workbook.exercises.replacements import replace_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MONOTONIC: Final = "https://docs.python.org/3/library/time.html#time.monotonic"
SPAN: Final = (kst(2026, 5, 10, 2, 45), kst(2026, 5, 10, 3, 45))
THREE: Final = kst(2026, 5, 10, 3)
FIVE_PAST: Final = kst(2026, 5, 10, 3, 5)
MOMENT_LATER: Final = kst(2026, 5, 10, 3, 20, 2)
"""The first write has failed by then, and a second one has not."""
HALF_PAST: Final = kst(2026, 5, 10, 3, 30)
IN_A_WRITE: Final = kst(2026, 5, 10, 3, 20, 0, 500_000)
"""A crawl of 20 minutes is over by then, and its row is not yet written."""
ROWS: Final = 250
"""What the crawl of the first night returns; that of each other night returns one more."""
FIRST_ERROR: Final = {"error": "TimeoutError", "cancelled": "CancelledError"}
"""What a crawl raises that ends with this status."""


@dataclass
class _Night:
    """A crawl at 03:00, how it should be recorded, and what the reader's decorator did."""

    name: str
    status: str = "ok"
    minutes: int = 20
    incidents: tuple[Incident, ...] = ()
    away: datetime | None = None
    """Until when each write fails."""
    stopped: datetime | None = None
    """When the process is stopped, which cancels the run."""
    rows: int = ROWS
    failed_writes: int = 0
    written: list[tuple[Any, Any, Any]] = field(default_factory=list)
    """status, duration_ms, error of each row."""
    awaited: int = 0
    """How many of these rows were there when the run ended."""
    returned: list[Any] = field(default_factory=list)
    raised: list[BaseException] = field(default_factory=list)
    blocks: list[NotYetError] = field(default_factory=list)

    async def write(self, status: Any = None, duration_ms: Any = None, error: Any = None) -> None:
        """Take a second to write a row, as the reader's decorator does."""
        await asyncio.sleep(1)
        if self.away and datetime.now(KST) < self.away:
            self.failed_writes += 1
            raise ConnectionError("the database is away")
        self.written.append((status, duration_ms, error))

    async def crawl(self) -> int:
        """Work for 20 minutes, or run into a timeout after five."""
        if self.status == "error":
            await asyncio.sleep(60 * self.minutes)
            raise TimeoutError
        await asyncio.sleep(20 * 60)
        return self.rows


def _nights() -> list[_Night]:
    nights = [
        _Night("quiet"),
        _Night("a timeout at 03:05", "error", 5),
        _Night("stopped at 03:05", "cancelled", 5, stopped=FIVE_PAST),
        _Night("clock set back at 03:05", incidents=(ClockJump("A", FIVE_PAST, -3600),)),
        _Night("the database is away for a moment after a good crawl", away=MOMENT_LATER),
        _Night("the database is away after a good crawl", away=HALF_PAST),
        _Night("the database is away after a timeout", "error", 5, away=HALF_PAST),
        _Night("the database is away after a stop", "cancelled", 5, (), HALF_PAST, FIVE_PAST),
        _Night("stopped while the row is written", stopped=IN_A_WRITE),
    ]
    for number, night in enumerate(nights):
        night.rows += number
    return nights


@exercise(
    "9.4",
    title="Record every outcome",
    variable="recorded",
    hints=(
        "`recorded(write)` returns a decorator: a function of a job, which returns a new job.",
        "A `write` that fails needs a `try` of its own: it must not change how the crawl ends.",
        "`asyncio.CancelledError` is no `Exception`: it needs an `except` of its own, and a raise.",
    ),
    solution="""
        def recorded(write):
            def decorate(job):
                async def run():
                    start = time.monotonic()

                    async def record(status, error):
                        try:
                            await write(status, round(1000 * (time.monotonic() - start)), error)
                        except Exception:
                            logging.exception("this run has no row")

                    try:
                        result = await job()
                    except BaseException as error:
                        cancelled = isinstance(error, asyncio.CancelledError)
                        await record("cancelled" if cancelled else "error", repr(error))
                        raise
                    await record("ok", None)
                    return result

                return run

            return decorate
    """,
    link=MONOTONIC,
)
def record_every_outcome(recorded: Any) -> Right:
    """Write a decorator that writes a row however the job ends."""
    require_function(recorded, "recorded", "write")
    nights = _nights()
    with _virtual_clocks(recorded):
        for night in nights:
            _play(recorded, night)
    shown_below = _drawn(nights)
    for night in nights:
        if fault := _fault(night):
            raise NotYetError(f"The night: {night.name}. {fault}", shown_below)
    return Right(
        "Nine nights, and each row says what happened. What this decorator cannot write is the "
        "row of a run that never began, or whose process was killed: that takes a row before the "
        "run, as `once` writes it.",
        shown_below[:1],
    )


@contextlib.contextmanager
def _virtual_clocks(answer: Any) -> Iterator[None]:
    """Let each clock that nobody sets follow a simulation, also where its name was imported."""

    def seconds() -> float:
        return time.monotonic()

    def nanoseconds() -> int:
        return time.monotonic_ns()

    perf_counters = {time.perf_counter: seconds, time.perf_counter_ns: nanoseconds}
    monotonic = {time.monotonic: seconds, time.monotonic_ns: nanoseconds}
    with replace_functions(answer, monotonic), replace_functions(answer, perf_counters, (time,)):
        yield


def _play(recorded: Callable[..., Any], night: _Night) -> None:
    decorate = recorded(night.write)
    if asyncio.iscoroutine(decorate):
        decorate.close()
    job = require_function(decorate, "recorded(write)", "job")(night.crawl)
    if not callable(job) or not returns_awaitable(job):
        raise NotYetError(f"`recorded(write)(job)` is {shown(job)}. Expected a new async def.")

    async def observed() -> None:
        try:
            with blocked_to_the_end(night.blocks.append):
                night.returned.append(await job())
        except BaseException as error:
            night.raised.append(error)
            raise
        finally:
            night.awaited = len(night.written)

    def register(scheduler: Any) -> None:
        scheduler.add_job(observed, cron(hour=3), id="nps")
        if night.stopped:
            scheduler.add_job(scheduler.shutdown, "date", run_date=night.stopped, id="deployment")

    simulate(register, *SPAN, incidents=night.incidents)


def _fault(night: _Night) -> str | None:
    for block in night.blocks:
        return str(block)
    if not night.raised and not night.returned:
        return "At 03:45 your job has not ended."
    if night.stopped == IN_A_WRITE:
        return _not_cancelled(night)
    if night.failed_writes:
        return _not_guarded(night)
    if night.status == "ok" and night.raised:
        raise night.raised[0]
    return _wrong_row(night) or _not_passed_on(night)


def _not_guarded(night: _Night) -> str | None:
    """Judge a run whose first writes fail."""
    if wrong := [status for status, _, _ in night.written if status != night.status]:
        return f"The crawl ended as {night.status}, and its row says {shown(wrong[0])}."
    fault, times = _not_passed_on(night), night.failed_writes
    often = f" It calls `write` {times} times, and each fails." if times > 1 else ""
    return fault and fault + often


def _wrong_row(night: _Night) -> str | None:
    statuses = [status for status, _, _ in night.written]
    if len(statuses) != 1:
        words = ", ".join(map(repr, statuses)) or "none"
        return f"Expected one row. Your rows: {words}."
    if not night.awaited:
        return "The run ends before its row is written: nobody awaits `write`."
    ((status, duration, error),) = night.written
    if status != night.status:
        return f"The row says {shown(status)}, and not how the crawl ended."
    return _wrong_duration(night, duration) or _wrong_error(night, error)


def _wrong_duration(night: _Night, duration: Any) -> str | None:
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        return f"Its duration_ms is {shown(duration)}. Expected a number."
    if abs(duration - 60_000 * night.minutes) <= 1000:  # noqa: PLR2004 - may be rounded
        return None
    why = ""
    if abs(duration - night.minutes) < 0.1:  # noqa: PLR2004 - may be rounded
        why = " Those are minutes."
    elif abs(duration) < 100:  # noqa: PLR2004 - real time has hardly gone by
        why = " That is the time that the processor worked, or none at all."
    elif abs(duration - 60 * night.minutes) <= 1:
        why = " Those are seconds."
    return f"Its duration_ms is {duration:,}, for a crawl of {night.minutes} minutes.{why}"


def _wrong_error(night: _Night, error: Any) -> str | None:
    if night.status == "error" and "TimeoutError" not in str(error):
        return f"Its error is {shown(error)}, which does not say what was raised."
    if night.status == "ok" and error:
        return f"Its error is {shown(error)}, and there was none."
    return None


def _not_cancelled(night: _Night) -> str | None:
    """Judge what becomes of a run that is cancelled after its crawl."""
    if any(isinstance(error, asyncio.CancelledError) for error in night.raised):
        return None
    return "Your job awaits `write`, and keeps the `CancelledError`: the run is ok."


def _not_passed_on(night: _Night) -> str | None:
    raised = type(night.raised[0]).__name__ if night.raised else None
    if night.status != "ok":
        expected = FIRST_ERROR[night.status]
        if raised is None:
            return f"The crawl raised `{expected}`, and your decorator swallows it: the run is ok."
        if raised != expected:
            return f"The crawl raised `{expected}`, and your decorated job raises `{raised}`."
    elif raised:
        return f"The crawl was ok, and your decorated job raises `{raised}`: the run is an error."
    elif night.returned != [night.rows]:
        theirs = shown(night.returned[0])
        return f"The job returned {night.rows}, and your decorated job returns {theirs}."
    return None


def _drawn(nights: list[_Night]) -> tuple[Picture, ...]:
    """Draw what somebody believes who has only the rows, and beneath it what happened."""
    rows, runs, without = RunLog(), RunLog(), []
    for night in nights:
        if night.failed_writes or night.stopped == IN_A_WRITE:
            continue  # these may leave no row
        _add(runs, night.name, night.status, night.minutes)
        for status, duration, _ in night.written[:1]:
            if isinstance(duration, int | float) and status in STATUSES:
                _add(rows, night.name, status, max(0, duration) / 60_000)
        if not night.written:
            without.append(night.name)
    title = "What your rows say" + (f"; no row: {', '.join(without)}" if without else "")
    span = {"start": SPAN[0], "end": SPAN[1]}
    recorded = pictures(rows.table(), rows.table(), title=title, **span)[:1]
    return recorded + pictures(runs.table(), runs.table(), title="What happened", **span)[:1]


def _add(log: RunLog, name: str, status: str, minutes: float) -> None:
    begin = microseconds(THREE)
    log.add("", name, begin, status, begin, begin + round(60_000_000 * minutes))
